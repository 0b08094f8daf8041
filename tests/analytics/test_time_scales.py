"""Averages over several lengths: what each shows, and that a recording is a replay."""

import math

import numpy as np

from analytics.anomaly.time_scales import TIME_SCALES_ROWS, TimeScales, averaged_run
from gateway.core.arrays import FloatArray

ALL = np.ones(1, dtype=np.bool_)


def noise(rows: int, count: int, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(rows, count))


def test_the_averages_are_the_definition() -> None:
    """Against a loop over numbers."""
    values, usual = noise(50, 2), np.array([0.5, -1.0])
    averages = averaged_run(values, usual=usual, scales_rows=(2.0, 8.0))
    for column in range(2):
        for index, tau in enumerate((2.0, 8.0)):
            average = float(usual[column])
            for row in range(50):
                average += (1 - math.exp(-1 / tau)) * (float(values[row, column]) - average)
                assert math.isclose(averages[row, column, index], average, abs_tol=1e-12)


def test_many_assets_are_what_each_is_alone() -> None:
    values = noise(30, 7)
    scales = TimeScales(asset_count=7, usual=np.zeros(1))
    for row in values:
        together = scales.update(row[:, np.newaxis], np.ones(7, dtype=np.bool_))
    for asset in range(7):
        alone = averaged_run(values[:, [asset]], usual=np.zeros(1))
        np.testing.assert_allclose(together[asset], alone[-1], rtol=1e-12)


def test_a_row_that_does_not_count_changes_nothing() -> None:
    """Not even when it is no number."""
    scales = TimeScales(asset_count=2, usual=np.zeros(1))
    scales.update(np.array([[1.0], [1.0]]), np.array([True, True]))
    before = scales.average.copy()
    after = scales.update(np.array([[np.nan], [2.0]]), np.array([False, True]))
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1] > before[1]).all()


def test_returned_averages_are_not_changed_later() -> None:
    scales = TimeScales(asset_count=1, usual=np.zeros(1))
    first = scales.update(np.array([[1.0]]), ALL)
    copy = first.copy()
    scales.update(np.array([[5.0]]), ALL)
    np.testing.assert_array_equal(first, copy)


def test_the_long_average_shows_a_slight_shift_and_the_short_one_a_spike() -> None:
    """Each in standard deviations of its own healthy averages."""
    spread = averaged_run(noise(20_000, 1), usual=np.zeros(1)).std(axis=0)
    shifted = averaged_run(noise(300, 1, seed=2) + 0.7, usual=np.zeros(1))[100:].mean(axis=0)
    spike = averaged_run(np.array([[0.0], [6.0]]), usual=np.zeros(1))[-1]
    slight, large = (shifted / spread)[0], (spike / spread)[0]
    assert slight.argmax() == len(TIME_SCALES_ROWS) - 1
    assert large.argmax() == 0


def test_one_odd_row_at_the_start_is_no_long_average() -> None:
    average = averaged_run(np.array([[10.0]]), usual=np.zeros(1))[0, 0]
    assert average[-1] < 0.4
