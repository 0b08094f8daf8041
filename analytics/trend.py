"""Whether a health is falling, and when it will have fallen too far; or that nobody can tell.

Theory. The averages of equal stretches of time are kept, 64 at most: when there are more, pairs
become one and the stretches twice as long, up to eight hours and a half, so that a fault of an
hour and a wear of weeks are both seen. A trend counts when Kendall's test says that it is hardly
chance and the fall is large enough to matter. Its slope is the median of the slopes of all pairs,
which a few odd values do not move, with Sen's interval; the time that is left is what the line
needs from here to the limit. Without a significant trend there is no prognosis: ISO 13381-1 asks
for the confidence of one, and here there is none.

Source:
    Mann (1945), Kendall (1955): the test. Theil (1950), Sen (1968): slope and interval.
    ISO 13381-1:2015, 5.4 and annex A: extrapolation to a failure limit, and its confidence.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray

BUCKETS_MAX: Final = 64
BUCKETS_MIN: Final = 12
"""Averages without which nothing is told."""
WIDTH_S_MIN: Final = 60.0
WIDTH_S_MAX: Final = 60.0 * 2**9
"""Eight and a half hours: 64 of them are three weeks."""
FALL_MIN: Final = 0.08
"""Fall over the time looked at that matters."""
TEST_QUANTILE: Final = 3.29
"""Of the normal distribution, 0.1 % on either side: the averages are not quite independent."""
INTERVAL_QUANTILE: Final = 1.645
"""For an interval that holds nine of ten."""
HORIZON_S: Final = 365 * 86_400.0
"""What is further away is not told."""

CountArray = NDArray[np.int64]


class Trends:
    """Averages over time of one figure of n assets, between 0 and 1."""

    def __init__(self, *, asset_count: int) -> None:
        """Begin with nothing known."""
        self.total: FloatArray = np.zeros((asset_count, BUCKETS_MAX))
        """Sum of the values in each stretch, the oldest first."""
        self.count: CountArray = np.zeros((asset_count, BUCKETS_MAX), dtype=np.int64)
        """Values in each stretch."""
        self.began_ns: CountArray = np.zeros(asset_count, dtype=np.int64)
        """When the first stretch began; 0 before the first value."""
        self.width_s: FloatArray = np.full(asset_count, WIDTH_S_MIN)
        """Length of the stretches."""

    def update(self, time_ns: int, value: FloatArray, counts: BoolArray) -> BoolArray:
        """Take in a value of some assets and return of whom a stretch was finished by it.

        Args:
            time_ns: UTC, rising.
            value: Shape (n,), finite where it counts.
            counts: Which count, shape (n,).
        """
        is_first = counts & (self.began_ns == 0)
        self.began_ns[is_first] = time_ns
        at = np.flatnonzero(counts)
        before = self._filled(at)
        place = self._place(at, time_ns)
        for k in at[place >= BUCKETS_MAX]:
            self._make_room(int(k), time_ns)
        place = np.clip(self._place(at, time_ns), 0, BUCKETS_MAX - 1)
        self.total[at, place] += value[at]
        self.count[at, place] += 1
        finished = np.zeros(len(counts), dtype=np.bool_)
        finished[at] = place != before
        return finished

    def remaining_s(self, asset: int, limit: float) -> tuple[float, float, float]:
        """Return how long an asset has until its figure falls to a limit.

        Returns:
            The time, and the ends of the interval that holds nine of ten, in seconds; the upper
            end is infinite where the fall may as well be none. All NaN: nobody can tell.
        """
        return _remaining(*self._averages(asset), limit=limit)

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        self.began_ns[self.began_ns > 0] += shift_ns

    def _place(self, at: NDArray[np.intp], time_ns: int) -> CountArray:
        return ((time_ns - self.began_ns[at]) / (self.width_s[at] * 1e9)).astype(np.int64)

    def _filled(self, at: NDArray[np.intp]) -> CountArray:
        """Return the last stretch that holds a value, of each of some assets; -1 for none."""
        has = self.count[at] > 0
        last = BUCKETS_MAX - 1 - np.argmax(has[:, ::-1], axis=1)
        return np.where(has.any(axis=1), last, -1)

    def _make_room(self, k: int, time_ns: int) -> None:
        """Make the stretches longer, or forget the oldest, until the time has a place."""
        while time_ns - self.began_ns[k] >= BUCKETS_MAX * self.width_s[k] * 1e9:
            if self.width_s[k] < WIDTH_S_MAX:
                half = BUCKETS_MAX // 2
                for array in (self.total, self.count):
                    array[k, :half] = array[k].reshape(half, 2).sum(axis=1)
                    array[k, half:] = 0
                self.width_s[k] *= 2
                continue
            width_ns = int(self.width_s[k] * 1e9)
            step = (time_ns - int(self.began_ns[k])) // width_ns - BUCKETS_MAX + 1
            kept = max(BUCKETS_MAX - step, 0)
            for array in (self.total, self.count):
                array[k, :kept] = array[k, BUCKETS_MAX - kept :]
                array[k, kept:] = 0
            self.began_ns[k] += step * width_ns

    def _averages(self, k: int) -> tuple[FloatArray, FloatArray]:
        """Return the middles of the stretches that hold values, in seconds, and their averages."""
        has = np.flatnonzero(self.count[k] > 0)
        # The last one is still being filled.
        has = has[:-1]
        middle = (has + 0.5) * self.width_s[k]
        return middle, self.total[k, has] / self.count[k, has]


def _remaining(
    time_s: FloatArray, value: FloatArray, *, limit: float
) -> tuple[float, float, float]:
    """Return time, low and high end until values reach a limit; NaN where nobody can tell."""
    unknown = (np.nan, np.nan, np.nan)
    n = len(value)
    if n < BUCKETS_MIN:
        return unknown
    first, second = np.triu_indices(n, k=1)
    rise = value[second] - value[first]
    spread = np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    slopes = np.sort(rise / (time_s[second] - time_s[first]))
    slope = float(np.median(slopes))
    is_chance = np.sign(rise).sum() > -TEST_QUANTILE * spread
    if is_chance or -slope * (time_s[-1] - time_s[0]) < FALL_MIN:
        return unknown
    level = float(np.median(value - slope * time_s)) + slope * time_s[-1]
    off = INTERVAL_QUANTILE * spread
    lowest = int(np.clip((len(slopes) - off) / 2, 0, len(slopes) - 1))
    highest = int(np.clip((len(slopes) + off) / 2, 0, len(slopes) - 1))
    steep, flat = float(slopes[lowest]), float(slopes[highest])
    way = max(level - limit, 0.0)
    time = way / -slope
    if time > HORIZON_S:
        return unknown
    return time, way / -steep, way / -flat if flat < 0 else np.inf
