"""The plain ways: what they say of rows for which anyone can see the answer."""

from math import erfc, log10, sqrt

import numpy as np
import pytest

from analytics.training.plain_life import plain_remaining_life
from gateway.proof.plain import (
    GAUSSIAN_ROWS_MIN,
    averaged,
    fit_components,
    largest_z,
    window_distance,
    windowed_gaussian,
    with_hysteresis,
)
from gateway.proof.plain_envelope import ORDERS_6205, envelope_evidence


def test_the_largest_column_counts_and_one_that_stood_still_counts_little() -> None:
    rng = np.random.default_rng(0)
    healthy = np.column_stack([rng.normal(size=500), np.full(500, 3.0)])
    test = np.array([[0.0, 3.0], [5.0, 3.0], [0.0, 3.01]])
    z = largest_z(healthy, test)
    assert z[1] == pytest.approx(5, abs=0.5)
    assert z[2] == pytest.approx(10)


def test_components_find_what_breaks_the_relation() -> None:
    rng = np.random.default_rng(0)
    load = rng.normal(size=(400, 1))
    healthy = load + 0.1 * rng.normal(size=(400, 3)) + 1e5
    ratios = fit_components(healthy).ratios(np.array([[2.0, 2, 2], [1.0, 1, -1]]) + 1e5)
    assert ratios[0] < 1
    assert ratios[1] > 10
    assert (fit_components(healthy).ratios(healthy) <= 1).mean() >= 0.98
    still = fit_components(np.ones((20, 3)))
    assert np.isfinite(still.ratios(np.ones((2, 3)))).all()


def test_hysteresis_by_hand() -> None:
    alarm = with_hysteresis(np.array([0, 2, 4, 2, 1, 2, 4.0]), on=3, off=1)
    assert alarm.tolist() == [False, False, True, True, False, False, True]
    assert averaged(np.array([1.0, 2, 2]), rows=2).tolist() == [1, 1.5, 1.75]
    assert averaged(np.array([])).tolist() == []


def test_windows_see_an_order_that_no_single_row_shows() -> None:
    """A square wave whose values stay, but stop changing."""
    wave = np.tile([0.0, 1.0], 300)[:, np.newaxis]
    test = np.concatenate([wave[:100], np.zeros((60, 1))])
    distance = window_distance(wave, test)
    assert distance.shape == (160,)
    assert distance[:100].max() < 1e-3
    assert distance[130:].min() > 1
    assert window_distance(wave, wave[:5]).tolist() == [0] * 5


def test_the_windowed_gaussian_is_the_tail_after_those_before() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(loc=1e4, size=60)
    values[50] += 8
    surprise = windowed_gaussian(values)
    assert surprise[:GAUSSIAN_ROWS_MIN].tolist() == [0] * GAUSSIAN_ROWS_MIN
    before = values[:50]
    tail = erfc(abs(values[50] - before.mean()) / sqrt(2 * before.var()))
    assert surprise[50] == pytest.approx(-log10(tail), rel=1e-6)
    assert windowed_gaussian(np.ones(30)).tolist() == [0] * 30


@pytest.mark.parametrize("fault", ORDERS_6205)
def test_the_envelope_shows_the_impacts_of_each_fault(fault: str) -> None:
    rng = np.random.default_rng(0)
    rate_hz, shaft_hz = 12_000.0, 29.95
    time_s = np.arange(4_096) / rate_hz
    since_impact_s = time_s % (1 / (ORDERS_6205[fault] * shaft_hz))
    ringing = np.exp(-since_impact_s * 800) * np.sin(2 * np.pi * 3_000 * since_impact_s)
    evidence = envelope_evidence(
        ringing + 0.2 * rng.normal(size=4_096),
        rate_hz=rate_hz,
        shaft_hz=shaft_hz,
        orders=ORDERS_6205,
    )
    assert max(evidence, key=lambda name: evidence[name]) == fault


def test_lives_that_wear_tells_are_foreseen() -> None:
    """A column that rises with the age over all conditions; the other columns are the condition."""
    rng = np.random.default_rng(0)

    def engine(length: int, end: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        condition = rng.integers(0, 2, size=end).astype(np.float64)
        wear = np.arange(end) / length + 0.05 * rng.normal(size=end)
        return np.column_stack([condition, 10 * condition + wear])

    runs = [engine(length, length) for length in (90, 110, 130, 150, 170, 20)]
    tests = [engine(120, 60), engine(120, 100)]
    lives = plain_remaining_life(runs, tests, condition_columns=1, cap=125)
    assert lives[0] == pytest.approx(60, abs=25)
    assert lives[1] == pytest.approx(20, abs=15)
