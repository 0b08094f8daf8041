"""Intervals: they hold the truth as often as they say, and it is noticed when they do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.prognosis.conformal import Coverage, Intervals, fit_intervals
from gateway.core.arrays import FloatArray
from tests.naive.intervals import weighted_quantile


def drawn(seed: int, count: int, rows: int) -> tuple[list[FloatArray], list[FloatArray]]:
    """Predictions of units whose errors grow with what is predicted."""
    generator = np.random.default_rng(seed)
    predicted = [generator.uniform(0, 100, rows) for _ in range(count)]
    truth = [each + generator.normal(0, 1 + 0.2 * each) for each in predicted]
    return predicted, truth


def test_nine_in_ten_new_units_lie_inside() -> None:
    """300 known units and 20000 new ones: chance moves the share by less than two per cent."""
    intervals = fit_intervals(*drawn(1, 300, 5), level=0.9)
    (predicted,), (truth,) = drawn(2, 1, 20_000)
    low, high = intervals.around(predicted)
    assert 0.88 <= np.mean((low <= truth) & (truth <= high)) <= 0.93


def test_intervals_are_wide_where_errors_are_large() -> None:
    intervals = fit_intervals(*drawn(1, 300, 5), level=0.9)
    low, high = intervals.around(np.array([5.0, 95.0]))
    assert (high - low)[1] > 3 * (high - low)[0]


@settings(max_examples=50, deadline=None)
@given(
    errors=st.lists(st.floats(-50, 50), min_size=5, max_size=40),
    level=st.sampled_from([0.5, 0.8, 0.9]),
)
def test_the_ends_are_weighted_quantiles(errors: list[float], level: float) -> None:
    """Two units, the second with more rows: each weighs as much as the other."""
    parts = [np.array(errors[:2]), np.array(errors[2:])]
    predicted = [np.full(len(part), 50.0) for part in parts]
    intervals = fit_intervals(
        predicted, [p + e for p, e in zip(predicted, parts, strict=True)], level=level
    )
    weights = [1 / len(part) for part in parts for _ in part]
    values = [float(e) for p, part in zip(predicted, parts, strict=True) for e in (p + part) - p]
    share = min(1.0, (1 - (1 - level) / 2) * 3 / 2)
    above = weighted_quantile(values, weights, share)
    below = -weighted_quantile([-value for value in values], weights, share)
    assert intervals.above.tolist() == pytest.approx([max(above, 0.0)])
    assert intervals.below.tolist() == pytest.approx([min(below, 0.0)])


def test_a_single_unit_and_a_constant_prediction_are_enough_for_an_interval() -> None:
    intervals = fit_intervals([np.array([5.0])], [np.array([6.0])], level=0.9)
    assert intervals.around(np.array([-100.0, 5.0, 1e9]))[1].tolist() == [-99.0, 6.0, 1e9 + 1]


def test_ends_are_linear_between_the_parts() -> None:
    intervals = Intervals(
        at=np.array([0.0, 10.0]), below=np.array([-1.0, -3.0]), above=np.array([0.0, 4.0])
    )
    low, high = intervals.around(np.array([5.0]))
    assert (float(low[0]), float(high[0])) == (3.0, 7.0)


def test_coverage_counts_units_whose_end_is_known() -> None:
    coverage = Coverage(told=0.9)
    assert coverage.share is None
    coverage = coverage.with_failure(low=10, high=30, truth=30)
    coverage = coverage.with_failure(low=10, high=30, truth=31)
    assert (coverage.count, coverage.held, coverage.share) == (2, 1, 0.5)


@pytest.mark.parametrize(
    ("count", "held", "is_broken"),
    [(5, 0, False), (10, 9, False), (10, 5, True), (100, 88, False), (100, 80, True)],
)
def test_coverage_is_broken_when_chance_does_not_explain_it(
    count: int, held: int, *, is_broken: bool
) -> None:
    """Few units say nothing; of a hundred, 80 held are too few and 88 are not."""
    assert Coverage(told=0.9, count=count, held=held).is_broken is is_broken
