"""What a recording says about its columns."""

import numpy as np
import pytest

from analytics.training.columns import (
    LEVEL_SHARE,
    RANGE_SHARE_MIN,
    SPREAD_MIN,
    is_measured,
    level_and_spread,
    without_wild,
)


def test_switches_are_no_measurements() -> None:
    """Zeros and ones alone are a switch, also one that was never switched."""
    rows = np.array(
        [[0.0, 0.0, 1.0, 0.0, 7.0, -1.0], [1.0, 0.0, 1.0, 0.5, 7.0, 1.0], [0.0, 0.0, 1.0, 1, 7, 1]]
    )
    np.testing.assert_array_equal(is_measured(rows), [False, False, False, True, True, True])


def test_the_spread_is_the_standard_deviation() -> None:
    rows = 5.0 + 2.0 * np.random.default_rng(1).normal(size=(1_000, 3))
    level, spread = level_and_spread(rows)
    np.testing.assert_allclose(level, rows.mean(axis=0))
    np.testing.assert_allclose(spread, rows.std(axis=0))


def test_a_huge_offset_does_not_disturb_the_spread() -> None:
    rows = np.random.default_rng(1).normal(size=(1_000, 1))
    _, near = level_and_spread(rows)
    _, far = level_and_spread(rows + 1e9)
    np.testing.assert_allclose(far, near, rtol=1e-5)


def test_a_column_that_stood_still_but_for_one_row_is_not_exact() -> None:
    rows = np.zeros((1_000_000, 1))
    rows[0] = 10.0
    assert level_and_spread(rows)[1][0] == pytest.approx(10.0 * RANGE_SHARE_MIN)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, SPREAD_MIN), (500.0, 500.0 * LEVEL_SHARE), (-500.0, 5.0)]
)
def test_a_column_that_never_varied_has_a_share_of_its_level(value: float, expected: float) -> None:
    assert level_and_spread(np.full((10, 1), value))[1][0] == pytest.approx(expected)


def test_one_row_is_enough_to_be_defined() -> None:
    level, spread = level_and_spread(np.array([[3.0, 0.0]]))
    np.testing.assert_array_equal(level, [3.0, 0.0])
    assert (spread > 0).all()


def test_a_reading_that_stands_alone_is_replaced_by_the_row_before() -> None:
    rows = np.random.default_rng(1).normal(size=(200, 3))
    assert without_wild(rows) == (rows, 0)
    soiled = rows.copy()
    soiled[[0, 90], 1] = [1e3, -50.0]
    cleaned, count = without_wild(soiled)
    assert count == 2
    np.testing.assert_array_equal(cleaned[[0, 90]], rows[[1, 89]])
    np.testing.assert_array_equal(cleaned[1:90], rows[1:90])


def test_what_happens_more_often_or_never_is_the_machine() -> None:
    rows = np.random.default_rng(1).normal(size=(200, 3))
    rows[[7, 8, 100], 1] = 1e3
    for kept in (rows, np.ones((50, 2)), rows[:3]):
        assert without_wild(kept)[1] == 0
