"""Averages anomaly scores over time, so that one odd row is no alarm."""

from typing import Final

import numpy as np

from analytics.instants import NEVER_NS
from gateway.core.arrays import BoolArray, Float32Array, FloatArray, TimeArray

SCORE_MAX: Final = 4.0
"""A row counts for so much at the most."""
WEIGHT_MAX: Final = 0.1
"""Share of one row in the average at the most, however long ago the row before it was. Healthy
averages lie below 2/3, the threshold's margin; from there one row of `SCORE_MAX` leads to
2/3 + 0.1 (4 - 2/3) = 1 and so to no alarm."""
_FIRST_SCORE_MAX: Final = 1.0
"""With nothing before it, a row can bring the average to its threshold but not over it."""


class Smoother:
    """Exponentially weighted average of the scores of n assets, in the time of the data.

    A row that comes dt after the one before counts with 1 - exp(-dt / time constant), but never
    with more than `WEIGHT_MAX`: slow rows are averaged over about ten of them.

    Source:
        Roberts (1959), with the weight for uneven steps that follows from the continuous filter;
        the two bounds are ours.
    """

    def __init__(self, *, asset_count: int, column_count: int, smoothing_s: float) -> None:
        """Begin with nothing known.

        Args:
            asset_count: n.
            column_count: Columns of the rows, m.
            smoothing_s: Time constant, above 0.
        """
        self._smoothing_ns = smoothing_s * 1e9
        self.score: FloatArray = np.zeros(asset_count)
        self.part: FloatArray = np.zeros((asset_count, column_count))
        self.newest_ns: TimeArray = np.full(asset_count, NEVER_NS, dtype=np.int64)

    @property
    def has_begun(self) -> BoolArray:
        """Which assets have had a row that counts, shape (n,)."""
        return np.asarray(self.newest_ns != NEVER_NS, dtype=np.bool_)

    def update(
        self, time_ns: int, score: Float32Array, contribution: Float32Array, counts: BoolArray
    ) -> FloatArray:
        """Take in the scores of one instant and return the averages, NaN for rows left out.

        Args:
            time_ns: Later than that of the call before.
            score: Shape (n,), finite where it counts.
            contribution: How far each column made the score, in any unit, shape (n, m).
            counts: Which rows count, shape (n,).
        """
        is_first = ~self.has_begun
        score_max = np.where(is_first, _FIRST_SCORE_MAX, SCORE_MAX)
        limited = np.minimum(np.where(counts, score.astype(np.float64), 0.0), score_max)
        part = limited[:, np.newaxis] * _shares(contribution)
        elapsed_ns = time_ns - np.where(is_first, np.int64(time_ns), self.newest_ns)
        weight = np.minimum(-np.expm1(-elapsed_ns / self._smoothing_ns), WEIGHT_MAX)
        weight = np.where(counts, np.where(is_first, 1.0, weight), 0.0)
        self.score = self.score + weight * (limited - self.score)
        self.part = self.part + weight[:, np.newaxis] * (part - self.part)
        self.newest_ns = np.where(counts, np.int64(time_ns), self.newest_ns)
        averages: FloatArray = np.where(counts, self.score, np.nan)
        return averages

    def shares(self) -> FloatArray:
        """Return how far each column makes each asset's average, shape (n, m), 0 to 1.

        A row sums to 1, or to 0 where the model attributed nothing.
        """
        return _shares(self.part)


def _shares(contribution: Float32Array | FloatArray) -> FloatArray:
    """Return contributions over the sum of their row; what is no positive number counts as 0."""
    clean = np.where(np.isfinite(contribution) & (contribution > 0), contribution, 0.0)
    total = clean.sum(axis=1, keepdims=True, dtype=np.float64)
    shares: FloatArray = clean / np.where(total > 0, total, 1.0)
    return shares
