"""Drift: told for what lasts, never for chance, a fault, or a stretch too short."""

from copy import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.drift import (
    PSI_MAJOR,
    WINDOW_S,
    Drift,
    DriftMonitor,
    distribution_of,
    population_stability,
)
from gateway.core.arrays import FloatArray
from gateway.core.drift_reference import DriftReference

PERIOD_S = 60.0
DAY = int(WINDOW_S / PERIOD_S)
T0_NS = 1_767_225_600 * 10**9
COLUMNS = 3


def reference() -> DriftReference:
    draw = np.random.default_rng(1)
    value = draw.normal(size=(5 * DAY, COLUMNS))
    return DriftReference(
        columns=tuple(distribution_of(value[:, k]) for k in range(COLUMNS)),
        score=distribution_of(np.abs(draw.normal(0.4, 0.1, size=5 * DAY))),
        independent_rows=5 * DAY / 3,
    )


def play(
    monitor: DriftMonitor, *, days: int, shift: FloatArray, alarm_share: float = 0.0, seed: int = 2
) -> list[Drift]:
    """Feed days of rows of two assets; the second one's columns are shifted."""
    draw = np.random.default_rng(seed)
    found: list[Drift] = []
    for k in range(days * DAY + 1):
        value = draw.normal(size=(2, COLUMNS))
        value[1] += shift
        score = np.abs(draw.normal(0.4, 0.1, size=2))
        if draw.random() < alarm_share:
            score[1] = 1.5
        time_ns = T0_NS + round(k * PERIOD_S * 1e9)
        found += monitor.update(time_ns, value, score, np.ones(2, dtype=np.bool_))
    return found


def new() -> DriftMonitor:
    return DriftMonitor(reference(), asset_count=2, period_s=PERIOD_S)


def test_an_input_that_moved_for_two_days_is_told_once() -> None:
    found = play(new(), days=5, shift=np.array([0.0, 1.0, 0.0]))
    (drift,) = found
    assert drift.position == 1
    assert drift.rows == DAY
    assert np.argmax(drift.psi) == 1
    assert drift.psi[1] > PSI_MAJOR
    assert 0.3 < drift.distance[1] < 0.5


def test_a_day_is_not_enough_and_no_shift_is_none() -> None:
    assert not play(new(), days=1, shift=np.array([0.0, 1.0, 0.0]))
    assert not play(new(), days=6, shift=np.zeros(COLUMNS))


def test_a_fault_is_no_drift() -> None:
    """The same shift with the asset in alarm for a part of the day speaks of a fault."""
    assert not play(new(), days=5, shift=np.array([0.0, 1.0, 0.0]), alarm_share=0.2)


def test_a_monitor_goes_on_from_its_arrays() -> None:
    whole = new()
    shift = np.array([0.0, 1.0, 0.0])
    play(whole, days=1, shift=shift)
    other = new()
    for name in ("counts", "rows", "alarm_rows", "began_ns", "agreeing", "newest_ns"):
        setattr(other, name, copy(getattr(whole, name)))
    np.testing.assert_array_equal(whole.compare(1)[0], other.compare(1)[0])


def test_the_index_is_that_of_its_definition() -> None:
    expected, observed = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    by_hand = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    assert population_stability(expected, observed) == by_hand
    assert population_stability(expected, expected) == 0.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_a_distribution_holds_every_row_and_finds_itself(values: list[float]) -> None:
    """Its shares sum to one, and rows of the very recording have moved nowhere."""
    value = np.array(values)
    found = distribution_of(value)
    assert abs(sum(found.shares) - 1.0) < 1e-9
    bins = (value[:, np.newaxis] > np.array(found.edges)).sum(axis=1)
    assert np.allclose(np.bincount(bins, minlength=len(found.shares)) / len(value), found.shares)


@pytest.mark.parametrize("changed", [5.0, 4.1])
def test_a_constant_that_changes_has_moved(changed: float) -> None:
    constant = distribution_of(np.full(1000, 4.2))
    both = DriftReference(columns=(constant,), score=constant, independent_rows=300.0)
    monitor = DriftMonitor(both, asset_count=1, period_s=PERIOD_S)
    for k in range(400):
        row = np.array([[4.2 if k % 2 else changed]])
        monitor.update(T0_NS + k * 10**10, row, np.array([4.2]), np.ones(1, dtype=np.bool_))
    psi, distance = monitor.compare(0)
    assert psi[0] > PSI_MAJOR
    assert psi[1] == 0.0
    assert distance[0] == 0.5


def test_what_is_no_number_counts_for_nothing() -> None:
    monitor = new()
    row = np.full((2, COLUMNS), np.nan)
    monitor.update(T0_NS, row, np.array([0.4, np.nan]), np.ones(2, dtype=np.bool_))
    assert monitor.rows.tolist() == [1, 0]
    assert monitor.counts[0].sum(axis=1).tolist() == [0, 0, 0, 1]
