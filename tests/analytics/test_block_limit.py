"""Limits from the maxima of stretches of time."""

import numpy as np
import pytest

from analytics.training.block_limit import (
    EXCEEDED_SHARE,
    LIMIT_SHARE_MIN,
    block_limit,
    student_quantile,
)


def test_it_is_the_prediction_limit_of_one_more_maximum() -> None:
    """Five maxima 1, 2, 3, 4, 5: t(0.99, 4) = 3.7469 from the tables, sd = 1.5811."""
    values = np.zeros((50, 1))
    values[3::10, 0] = [1.0, 2.0, 3.0, 4.0, 5.0]
    expected = 3.0 + 3.7469 * 1.5811 * np.sqrt(1.2)
    np.testing.assert_allclose(block_limit(values), [expected], rtol=1e-4)


def test_each_statistic_has_its_own() -> None:
    values = np.random.default_rng(1).normal(size=(100, 3)) * [1.0, 10.0, 0.0]
    together = block_limit(values)
    alone = [block_limit(values[:, [k]])[0] for k in range(3)]
    np.testing.assert_array_equal(together, alone)
    assert together[2] == 0.0


def test_maxima_that_happen_to_agree_still_leave_room() -> None:
    values = np.tile([0.0, 1.0], 50)[:, np.newaxis]
    assert block_limit(values)[0] == pytest.approx(1.0 + LIMIT_SHARE_MIN * 0.5)


def test_the_next_stretch_stays_below_as_often_as_stated() -> None:
    """Averages of noise over eight rows; maxima lean to the right of a normal, so twice is fine."""
    dice = np.random.default_rng(2)
    noise = dice.normal(size=(4_008, 1_200))
    sums = np.cumsum(noise, axis=0)
    averages = ((sums[8:] - sums[:-8]) / 8)[:480]
    limit = block_limit(averages[:400])
    exceeded = (averages[400:480].max(axis=0) > limit).mean()
    assert exceeded < 2 * EXCEEDED_SHARE


def test_a_restless_stretch_moves_the_limit_out() -> None:
    values = np.abs(np.random.default_rng(3).normal(size=(400, 1)))
    quiet = block_limit(values)[0]
    values[100:120] += 3.0
    assert block_limit(values)[0] > values.max() > quiet


@pytest.mark.parametrize(("share", "expected"), [(0.05, 2.132), (0.01, 3.747), (0.001, 7.173)])
def test_the_quantile_is_that_in_the_tables(share: float, expected: float) -> None:
    assert student_quantile(share) == pytest.approx(expected, abs=5e-4)
