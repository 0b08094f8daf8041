"""Prognosis by trend: told when the fall is real, silent when it may be chance."""

import numpy as np
import pytest

from analytics.trend import BUCKETS_MAX, WIDTH_S_MAX, Trends
from gateway.core.arrays import FloatArray

T0_NS = 1_767_225_600 * 10**9
HOUR = 3600.0


def feed(trends: Trends, values: FloatArray, *, step_s: float, start_s: float = 0.0) -> None:
    """Feed values of n assets, shape (k, n), a step apart."""
    for k, row in enumerate(values):
        time_ns = T0_NS + round((start_s + k * step_s) * 1e9)
        trends.update(time_ns, row, np.isfinite(row))


def falling(hours: float, *, per_hour: float, noise: float = 0.02, seed: int = 1) -> FloatArray:
    draw = np.random.default_rng(seed)
    steps = np.arange(round(hours * 360))
    return np.stack(
        [
            0.95 - per_hour * steps / 360 + draw.normal(0, noise, len(steps)),
            0.95 + draw.normal(0, noise, len(steps)),
        ],
        axis=1,
    )


@pytest.mark.parametrize("per_hour", [0.2, 0.05, 0.01])
def test_a_fall_is_extrapolated_to_the_limit(per_hour: float) -> None:
    """The true time lies in the interval and near the estimate; the steady asset has none."""
    trends = Trends(asset_count=2)
    hours = 0.4 / per_hour
    feed(trends, falling(hours, per_hour=per_hour), step_s=10.0)
    time_s, low_s, high_s = trends.remaining_s(0, 0.2)
    true_s = (0.95 - 0.4 - 0.2) / per_hour * HOUR
    assert time_s == pytest.approx(true_s, rel=0.15)
    assert low_s <= true_s * 1.05
    assert high_s >= true_s * 0.95
    assert np.isnan(trends.remaining_s(1, 0.2)).all()


def test_chance_is_hardly_ever_a_trend() -> None:
    """A hundred steady assets, whose noise lasts for minutes, and one prognosis at the most."""
    draw = np.random.default_rng(3)
    noise = draw.normal(0, 1, (4000, 100))
    slow = np.zeros(100)
    values = np.empty_like(noise)
    for k, row in enumerate(noise):
        slow = 0.95 * slow + 0.03 * row
        values[k] = 0.8 + slow
    trends = Trends(asset_count=100)
    feed(trends, values, step_s=10.0)
    assert sum(np.isfinite(trends.remaining_s(k, 0.2)[0]) for k in range(100)) <= 1


def test_too_little_is_not_enough() -> None:
    trends = Trends(asset_count=2)
    feed(trends, falling(0.15, per_hour=2.0), step_s=10.0)
    assert np.isnan(trends.remaining_s(0, 0.2)).all()


def test_what_is_below_the_limit_has_no_time_left() -> None:
    trends = Trends(asset_count=2)
    feed(trends, falling(2.0, per_hour=0.45), step_s=10.0)
    assert trends.remaining_s(0, 0.2)[0] == 0.0


def test_stretches_become_longer_and_then_the_oldest_are_forgotten() -> None:
    """Whatever the length, every value of the time kept is in one stretch."""
    trends = Trends(asset_count=1)
    step_s = 480.0
    count = round(40 * 86_400 / step_s)
    feed(trends, np.full((count, 1), 0.7), step_s=step_s)
    assert trends.width_s[0] == WIDTH_S_MAX
    has = trends.count[0] > 0
    assert has.sum() >= BUCKETS_MAX // 2
    np.testing.assert_allclose(trends.total[0][has] / trends.count[0][has], 0.7)
    whole = trends.count[0][has][:-1]
    assert set(whole.tolist()) == {round(trends.width_s[0] / step_s)}


def test_a_long_silence_keeps_what_was_before_it_in_its_place() -> None:
    trends = Trends(asset_count=1)
    feed(trends, np.full((10, 1), 0.5), step_s=60.0)
    feed(trends, np.full((10, 1), 0.9), step_s=60.0, start_s=400 * 86_400)
    has = trends.count[0] > 0
    np.testing.assert_allclose(trends.total[0][has] / trends.count[0][has], 0.9)


def test_the_slope_is_the_median_of_all_pairs() -> None:
    """A naive count over all pairs gives the same time."""
    draw = np.random.default_rng(7)
    value = 0.9 - np.arange(40) * 0.01 + draw.normal(0, 0.03, 40)
    trends = Trends(asset_count=1)
    feed(trends, np.append(value, 0.5)[:, np.newaxis], step_s=60.0)
    slopes = sorted(
        (value[j] - value[i]) / ((j - i) * 60.0) for i in range(40) for j in range(i + 1, 40)
    )
    middle = len(slopes) // 2
    slope = (slopes[middle - 1] + slopes[middle]) / 2
    level = float(np.median([v - slope * (i + 0.5) * 60.0 for i, v in enumerate(value)]))
    expected = (level + slope * 39.5 * 60.0 - 0.2) / -slope
    assert trends.remaining_s(0, 0.2)[0] == pytest.approx(expected)
