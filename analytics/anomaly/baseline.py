"""What is usual at present: level and spread of every column, which drift slowly.

A machine warms up, fouls and wears, and its recording saw but a part of that. So the trained level
and spread of each column follow what comes, by steps of a bounded size that only ask whether a
value lies above or below, however far: in `FOLLOW_ROWS` rows the level moves by one spread at the
most, and the spread grows by a factor of e at the most. It never falls below the trained one: a
quiet hour makes nobody nervous.

    z = (x - level) / spread
    level  += spread sign(z) / FOLLOW_ROWS
    spread *= exp(sign(|z| - 0.67) / FOLLOW_ROWS),  not below the trained spread

Both rest where half of the values lie on either side: the median, and the median deviation.

A fault must not become the usual. While an asset is not calm, which is for the caller to say, its
steps are `TROUBLED_SHARE` as long: a fault that lasts a thousand rows moves the level by a fifth of
a spread, and an asset that was rebuilt or set anew for good is quiet again in finite time.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

FOLLOW_ROWS: Final = 500.0
"""Rows in which the level moves by one spread at the most. On a test rig that warms up 250 to 1,000
find alike; with fewer, faults of minutes are followed, with more, warm-ups are not."""
TROUBLED_SHARE: Final = 0.1
"""Of a step, while an asset is not calm. On a chemical plant nothing at all finds as much; without
it a quarter of what the faults show is followed."""
MEDIAN_DEVIATION: Final = 0.6745
"""Median distance from the median, in standard deviations of a normal distribution."""
WIDENING_MAX: Final = 100.0
"""Times the trained spread that the present one is at the most: a column whose scale was changed
stays comparable to the others, and nothing grows without end."""


class Baseline:
    """Standardises rows of n assets of m columns; time constants are in rows.

    Source:
        Robbins and Monro (1951), for the median by steps of its sign; the two bounds and the
        shortened steps of a troubled asset are ours.
    """

    def __init__(
        self,
        *,
        asset_count: int,
        level: FloatArray,
        spread: FloatArray,
        follow_rows: float = FOLLOW_ROWS,
    ) -> None:
        """Begin at the trained level and spread.

        Args:
            asset_count: n.
            level: Trained level of each column, in its unit, finite, shape (m,).
            spread: Trained standard deviation of each column, finite and above 0, shape (m,).
            follow_rows: Rows in which the level moves by one spread at the most, above 1.
        """
        assert (spread > 0.0).all(), spread
        assert follow_rows > 1.0, follow_rows
        self._level, self._spread = level, spread
        self._rate = 1.0 / follow_rows
        shape = (asset_count, len(level))
        self.moved: FloatArray = np.zeros(shape)
        """How far the level has moved since training, in trained spreads, shape (n, m)."""
        self.widened: FloatArray = np.ones(shape)
        """The present spread over the trained one, at least 1, shape (n, m)."""

    def update(self, value: FloatArray, usable: BoolArray, is_calm: BoolArray) -> FloatArray:
        """Return what the values are in present spreads, shape (n, m), and follow them.

        Args:
            value: In the columns' units, shape (n, m).
            usable: Which values count, shape (n, m); those are finite. The others give NaN and are
                not followed.
            is_calm: Which assets are well, by what was known before this row, shape (n,).
        """
        steps = (np.where(usable, value, self._level) - self._level) / self._spread
        z: FloatArray = (steps - self.moved) / self.widened
        rate = np.where(is_calm, self._rate, self._rate * TROUBLED_SHARE)[:, np.newaxis]
        rate = np.where(usable, rate, 0.0)
        self.moved = self.moved + rate * self.widened * np.sign(z)
        wider = self.widened * np.exp(rate * np.sign(np.abs(z) - MEDIAN_DEVIATION))
        self.widened = np.clip(wider, 1.0, WIDENING_MAX)
        return np.where(usable, z, np.nan)

    def checkpoint(self) -> FloatArray:
        """Return a copy of what was followed, shape (2, n, m)."""
        return np.stack([self.moved, self.widened])

    def restore(self, checkpoint: FloatArray) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: it belongs to another number of assets or columns; the state is unchanged.
        """
        if checkpoint.shape != (2, *self.moved.shape):
            raise ValueError(
                f"the checkpoint of the baseline has shape {checkpoint.shape}, here it is "
                f"{(2, *self.moved.shape)}"
            )
        self.moved, self.widened = checkpoint.astype(np.float64)


def followed_run(
    rows: FloatArray,
    *,
    level: FloatArray,
    spread: FloatArray,
    is_calm: Sequence[bool] | BoolArray | None = None,
    follow_rows: float = FOLLOW_ROWS,
) -> FloatArray:
    """Return one recording in present spreads, as the running service would have it.

    Args:
        rows: Shape (r, m), in the order of time.
        level: As for `Baseline`, shape (m,).
        spread: As for `Baseline`, shape (m,).
        is_calm: Of each row, shape (r,); None where the machine was well all along.
        follow_rows: As for `Baseline`.
    Returns:
        Shape (r, m); NaN where a value is not finite.
    """
    baseline = Baseline(asset_count=1, level=level, spread=spread, follow_rows=follow_rows)
    usable = np.isfinite(rows)
    calm = np.ones(len(rows), dtype=np.bool_) if is_calm is None else np.asarray(is_calm)
    z = np.empty(rows.shape)
    for index in range(len(rows)):
        now = slice(index, index + 1)
        z[now] = baseline.update(rows[now], usable[now], calm[now])
    return z
