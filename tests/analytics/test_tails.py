"""Surprises: one unit for all statistics, with the stated false-alarm rate at 1."""

import numpy as np
import pytest

from analytics.anomaly.tails import Tails
from analytics.training.tails import TAIL_SHARE, fit_tails
from gateway.core.arrays import FloatArray
from gateway.core.errors import ModelError

RATE = 0.001
ONES = np.ones(1)
"""Rows that do not hang together."""


def dice(rows: int, columns: int = 1, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).exponential(size=(rows, columns))


def test_the_tail_of_an_exponential_law_is_that_law() -> None:
    """P(X > x) = exp(-x): the surprise is x / ln(1 / rate), within the error of 2,000 excesses."""
    tails = fit_tails(dice(20_000), rate=RATE, independent_rows=ONES)
    x = np.array([[0.0], [np.log(1 / RATE)], [20.0]])
    np.testing.assert_allclose(tails.surprise(x), x / np.log(1 / RATE), rtol=0.08, atol=0.02)


@pytest.mark.parametrize("rate", [0.01, 0.001])
@pytest.mark.parametrize("law", ["normal", "exponential", "chi_square"])
def test_healthy_rows_exceed_one_at_about_the_stated_rate(law: str, rate: float) -> None:
    """Laws with lighter tails than the exponential are exceeded less, none more than 1.5 times."""
    source = np.random.default_rng(2)
    values = {
        "normal": source.normal(size=(400_000, 1)),
        "exponential": source.exponential(size=(400_000, 1)),
        "chi_square": source.chisquare(4, size=(400_000, 1)),
    }[law]
    tails = fit_tails(values[:200_000], rate=rate, independent_rows=ONES)
    assert float((tails.surprise(values[200_000:]) > 1.0).mean()) < 1.5 * rate


def test_the_parameters_are_those_of_the_definition() -> None:
    """By sorting: the mean excess over the nine tenths' point, and the law of the next excess."""
    values = np.arange(1.0, 101.0)[:, np.newaxis]
    threshold = 1.0 + 0.9 * 99.0
    excesses = [x - threshold for x in range(1, 101) if x > threshold]
    scale = sum(excesses) / len(excesses)
    tails = fit_tails(values, rate=RATE, independent_rows=np.array([2.0]))
    assert tails.usual[0] == pytest.approx(threshold - scale * np.log(1 / TAIL_SHARE))
    limit = tails.usual[0] + tails.width[0]
    chance = TAIL_SHARE * (1 + (limit - threshold) / (5 * scale)) ** -5
    assert chance == pytest.approx(RATE)


@pytest.mark.parametrize("rows", [60, 200])
def test_many_short_recordings_keep_the_rate_together(rows: int) -> None:
    """What is stated holds over trainings: a limit that was only estimated is exceeded more."""
    values = np.random.default_rng(4).exponential(size=(rows, 2_000))
    tails = fit_tails(values, rate=RATE, independent_rows=np.ones(2_000))
    new = np.random.default_rng(5).exponential(size=(200, 2_000))
    assert float((tails.surprise(new) > 1.0).mean()) < 1.5 * RATE


def test_rows_that_hang_together_move_the_limit_out() -> None:
    values = dice(300)
    widths = [
        fit_tails(values, rate=RATE, independent_rows=np.array([rows])).width[0]
        for rows in (1.0, 4.0, 16.0, 64.0)
    ]
    assert widths == sorted(widths)
    assert widths[-1] > 5 * widths[0]


def test_columns_do_not_see_each_other() -> None:
    values = np.concatenate([dice(500), 1e6 + 50.0 * dice(500, seed=3)], axis=1)
    together = fit_tails(values, rate=RATE, independent_rows=np.ones(2))
    for column in range(2):
        alone = fit_tails(values[:, [column]], rate=RATE, independent_rows=ONES)
        np.testing.assert_allclose(together.usual[[column]], alone.usual, rtol=1e-12)
        np.testing.assert_allclose(together.width[[column]], alone.width, rtol=1e-12)


def test_the_unit_of_a_statistic_does_not_matter() -> None:
    values = dice(1_000)
    one, other = (
        fit_tails(values, rate=RATE, independent_rows=ONES),
        fit_tails(1e3 * values, rate=RATE, independent_rows=ONES),
    )
    np.testing.assert_allclose(one.surprise(values), other.surprise(1e3 * values), rtol=1e-9)


def test_a_surprise_goes_on_beyond_everything_seen() -> None:
    tails = fit_tails(dice(1_000), rate=RATE, independent_rows=ONES)
    surprise = tails.surprise(np.array([[1e2], [1e4], [1e6]]))[:, 0]
    assert (np.diff(surprise) > 0).all()
    assert surprise[-1] == pytest.approx(100.0 * surprise[1], rel=0.01)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e9])
def test_a_statistic_that_never_varied_has_a_width(value: float) -> None:
    tails = fit_tails(np.full((200, 1), value), rate=RATE, independent_rows=ONES)
    assert (tails.surprise(np.full((1, 1), value)) < 1.0).all()
    assert (tails.surprise(np.full((1, 1), value + abs(value) + 1.0)) > 1.0).all()


def test_nan_stays_nan() -> None:
    tails = Tails(usual=np.zeros(2), width=np.ones(2))
    np.testing.assert_array_equal(
        tails.surprise(np.array([[np.nan, 2.0]])), np.array([[np.nan, 2.0]])
    )


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ModelError, match="49 rows are too few"):
        fit_tails(dice(49), rate=RATE, independent_rows=ONES)
