"""What the past of each asset says, in a few numbers that are kept up row by row.

Theory. Exponentially weighted averages of every column over several times, each divided by the
sum of its own weights, so that a young average is the plain mean of what there is. The difference
between a short and a long average is the trend between the two, and that to the longest one is the
deviation from the asset's own beginning: an asset that was made a little different is no fault.
Weights fall with time and not with rows, so a gap ages the past as it should.

The state is bounded: one average a column, time and asset.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, Float32Array, FloatArray

AGE: Final = 1
"""Statistics that do not belong to a column: the age."""


class WindowStatistics:
    """Statistics of n assets with p columns over t times."""

    def __init__(
        self, *, asset_count: int, column_count: int, windows: FloatArray, period: float
    ) -> None:
        """Begin with no past.

        Args:
            asset_count: n.
            column_count: p.
            windows: Time constants, rising, shape (t,), above 0.
            period: Usual time between rows, above 0, in the same unit: what the first row of an
                asset stands for.
        """
        assert (windows > 0).all()
        assert (np.diff(windows) > 0).all()
        self._windows = windows
        self._pairs = [(a, b) for a in range(len(windows)) for b in range(a + 1, len(windows))]
        self._short = np.array([a for a, _ in self._pairs], dtype=np.intp)
        self._long = np.array([b for _, b in self._pairs], dtype=np.intp)
        self._period = period
        self.mean = np.zeros((asset_count, len(windows), column_count))
        """The averages, shape (n, t, p)."""
        self.weight = np.zeros((asset_count, len(windows)))
        """Sum of the weights in each, shape (n, t); 0 is no past."""
        self.began = np.full(asset_count, np.nan)
        """Time of the first row, shape (n,)."""
        self.newest = np.full(asset_count, np.nan)
        """Time of the last row, shape (n,)."""
        self.rows = np.zeros(asset_count, dtype=np.int64)
        """Rows taken in, shape (n,)."""

    @property
    def size(self) -> int:
        """How many statistics there are of an asset."""
        count = len(self._windows) + len(self._pairs)
        return AGE + count * self.mean.shape[2]

    def take(self, at: NDArray[np.intp], time: FloatArray, steps: Float32Array) -> Float32Array:
        """Take in one row of each of some assets and return their statistics, shape (r, size).

        The first is the age in longest windows; then the averages, and the differences of each
        pair of them, one column beside the other.

        Args:
            at: Which assets, each once, shape (r,).
            time: Later than their last row, shape (r,).
            steps: Standardised rows, finite, shape (r, p).
        """
        passed = np.where(self.rows[at] > 0, time - self.newest[at], self._period)
        gain = -np.expm1(-passed[:, np.newaxis] / self._windows)
        weight = self.weight[at] * (1.0 - gain) + gain
        mean = self.mean[at]
        mean += (gain / weight)[:, :, np.newaxis] * (steps[:, np.newaxis] - mean)
        # The earlier of both, whatever a machine without a past has.
        began = np.fmin(self.began[at], time)
        self.weight[at], self.mean[at] = weight, mean
        self.began[at], self.newest[at] = began, time
        self.rows[at] += 1
        age = ((time - began) / self._windows[-1])[:, np.newaxis]
        trend = mean[:, self._short] - mean[:, self._long]
        count = len(at)
        return np.concatenate(
            (age, mean.reshape(count, -1), trend.reshape(count, -1)), axis=1, dtype=np.float32
        )

    def forget(self, is_new: BoolArray) -> None:
        """Begin anew with some assets, such as one with a new bearing.

        Args:
            is_new: Shape (n,).
        """
        self.mean[is_new], self.weight[is_new], self.rows[is_new] = 0.0, 0.0, 0
        self.began[is_new], self.newest[is_new] = np.nan, np.nan
