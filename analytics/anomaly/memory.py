"""A bounded memory of what a signal has done: how far is the present from all of it?

*Theory.* Where a signal stands and how it got there is put into four numbers: how far the value is
from its fast average, the fast average from the slow one, the slow one from the trained level (each
in the trained spread of that difference), and the logarithm of the short dispersion. Averages of
several lengths are an embedding as lagged values are, but smooth, and need two numbers of state.
What has been seen is kept as at most P points of that space. The distance to the nearest is the
novelty of a row. A row farther off than `RADIUS` becomes a point itself, in place of the one that
was not met for longest. So what comes again is not new, a daily cycle is learnt without knowing its
length, and memory and time are bounded. It is for what comes suddenly: what creeps becomes usual as
it goes, point by point.

Source:
    The idea of prototypes that are made when nothing matches is adaptive resonance (Carpenter and
    Grossberg 1987); distance to a bounded past is k-nearest-neighbour novelty (Knorr and Ng 1998).
    The space, its scales and the replacement are ours.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

FAST_ROWS: Final = 10.0
"""Time constant of the fast average and of the short dispersion."""
SLOW_ROWS: Final = 100.0
"""Time constant of the slow average."""
BANDS: Final = 3
"""Differences between averages."""
FEATURES: Final = BANDS + 1
POINT_COUNT_MIN: Final = 2
"""One for the tag at its level, one for what is new."""
RADIUS: Final = 1.0
"""A row within one trained spread of a point is that point again."""
DISPERSION_WEIGHT: Final = 2.0
"""A dispersion that grows by e^(1/2) counts as much as one spread of a band."""
DISPERSION_FLOOR: Final = 0.1
"""Added to the dispersion (in trained spreads), so that silence is no infinite distance."""
OFFSET_MAX: Final = 300.0
"""Values are taken for no farther from their level than this, in the largest spread of the bands:
the averages come back from one wild reading before the limit has grown to its size. A column that
stood still in training, whose every move is beyond it, is told by the signs of its moves."""
_FAR: Final = -1e30
"""Stands for minus half the square of the length where there is no point."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryModel:
    """What a training found for m columns; the arrays are read-only."""

    level: FloatArray
    """Median of each column, shape (m,)."""
    spread: FloatArray
    """Spread of each band in the column's unit, above 0, shape (m, BANDS)."""
    points: FloatArray
    """What was seen, shape (m, P, FEATURES + 1): features, then minus half the square of their
    length, so that the largest product with a row and 1 belongs to the nearest point."""
    last_met: FloatArray
    """Number of the row at which a point was last met, shape (m, P); empty ones are negative."""


def empty_memory(level: FloatArray, spread: FloatArray, *, point_count: int) -> MemoryModel:
    """Return a memory that knows one thing of each column: standing still at its level.

    Args:
        level: Shape (m,).
        spread: Shape (m, BANDS), above 0.
        point_count: P, at least `POINT_COUNT_MIN`.
    """
    assert point_count >= POINT_COUNT_MIN, point_count
    points = np.zeros((len(level), point_count, FEATURES + 1))
    points[:, 1:, -1] = _FAR
    points[:, 0, BANDS] = DISPERSION_WEIGHT * np.log(1.0 + DISPERSION_FLOOR)
    points[:, 0, -1] = -0.5 * points[:, 0, BANDS] ** 2
    last_met = np.full((len(level), point_count), -1.0)
    last_met[:, 0] = 0.0
    return MemoryModel(level=level, spread=spread, points=points, last_met=last_met)


class NoveltyMemory:
    """How new the present of each column is, for c = n assets times m columns."""

    def __init__(self, model: MemoryModel, *, asset_count: int) -> None:
        """Begin with what the training saw, each column at its level.

        Args:
            model: For the m columns of one asset.
            asset_count: n.
        """
        column_count, point_count = asset_count * len(model.level), model.last_met.shape[1]
        spread = np.tile(model.spread, (asset_count, 1))
        unit = spread.max(axis=1, initial=0.0)
        self._level = np.tile(model.level, asset_count)
        self._scale = 1.0 / unit
        self._band_scale = unit[:, np.newaxis] / spread
        self._recent: FloatArray = np.zeros((column_count, 3))
        self._dispersion: FloatArray = np.ones(column_count)
        self._points: FloatArray = np.tile(model.points, (asset_count, 1, 1))
        self._last_met: FloatArray = np.tile(model.last_met, (asset_count, 1))
        self._row = float(model.last_met.max(initial=0.0))
        self._first = np.arange(column_count) * point_count
        # Room and views that every row uses again: a call of numpy costs more than the arithmetic.
        self._probe: FloatArray = np.ones((column_count, FEATURES + 1))
        self._features, self._bands = self._probe[:, :FEATURES], self._probe[:, :BANDS]
        self._column_probe = self._probe[:, :, np.newaxis]
        self._product: FloatArray = np.empty((column_count, point_count, 1))
        self._closeness = self._product[:, :, 0]
        self._flat_points = self._points.reshape(-1, FEATURES + 1)
        self._flat_last_met = self._last_met.reshape(-1)

    def update(self, value: FloatArray, usable: BoolArray | None) -> FloatArray:
        """Return the square of each column's distance to the nearest point, and learn the row.

        Args:
            value: In the column's unit, shape (c,); anything where it is not usable.
            usable: Which columns count, shape (c,); the others are left as they were and get the
                distance of the row before. None for all.
        """
        self._embed(value, usable)
        np.matmul(self._points, self._column_probe, out=self._product)
        nearest = self._closeness.argmax(axis=1)
        nearest += self._first
        step = self._features - self._flat_points.take(nearest, axis=0)[:, :-1]
        # The difference, not the product: it is exact where a row matches its point.
        squared: FloatArray = np.vecdot(step, step)
        is_new = squared > _SQUARED_RADIUS
        if usable is not None:
            is_new &= usable
        if np.count_nonzero(is_new):
            new = np.flatnonzero(is_new)
            nearest[new] = self._last_met[new].argmin(axis=1) + self._first[new]
            features = self._features[new]
            self._flat_points[nearest[new], :-1] = features
            self._flat_points[nearest[new], -1] = -0.5 * np.vecdot(features, features)
        self._row += 1.0
        self._flat_last_met[nearest if usable is None else nearest[usable]] = self._row
        return squared

    def seen(self) -> tuple[FloatArray, FloatArray]:
        """Return the points of all columns and when they were last met, as in `MemoryModel`."""
        return self._points, self._last_met

    def arrays(self) -> tuple[FloatArray, ...]:
        """Return all that changes with a row, not copied; after writing to it call `resume`."""
        return self._recent, self._dispersion, self._points, self._last_met

    def resume(self) -> None:
        """Go on with the arrays as they are now."""
        self._row = float(self._last_met.max(initial=0.0))

    def _embed(self, value: FloatArray, usable: BoolArray | None) -> None:
        """Put the features of each column into the probe, after taking in the row."""
        recent, dispersion = self._recent, self._dispersion
        offset = value - self._level
        offset *= self._scale
        np.maximum(offset, _OFFSET_LEAST, out=offset)
        np.minimum(offset, _OFFSET_MOST, out=offset)
        if usable is not None:
            recent, dispersion = recent.copy(), dispersion.copy()
            offset = np.where(usable, offset, recent[:, 0])
        recent[:, 0] = offset
        moved = np.dot(recent, _RECURSION)
        recent[:, 1:] = moved[:, :2]
        np.multiply(moved[:, 2:], self._band_scale, out=self._bands)
        step = np.abs(self._bands[:, 0])
        step -= dispersion
        step *= _FAST_SHARE
        dispersion += step
        feature = dispersion + _FLOOR
        np.log(feature, out=feature)
        feature *= _WEIGHT
        self._probe[:, BANDS] = feature
        if usable is not None:
            np.copyto(self._recent, recent, where=usable[:, np.newaxis])
            np.copyto(self._dispersion, dispersion, where=usable)


# As arrays: a number of Python is converted anew in each call.
_OFFSET_LEAST, _OFFSET_MOST = np.array([-OFFSET_MAX]), np.array([OFFSET_MAX])
_FAST_SHARE, _FLOOR = np.array([1 / FAST_ROWS]), np.array([DISPERSION_FLOOR])
_WEIGHT, _SQUARED_RADIUS = np.array([DISPERSION_WEIGHT]), np.array([RADIUS**2])
_FAST, _SLOW = 1 / FAST_ROWS, 1 / SLOW_ROWS
_RECURSION: FloatArray = np.array(
    [
        # new averages, fast and slow | bands, from: value, fast average, slow average before
        [_FAST, _SLOW, 1 - _FAST, _FAST - _SLOW, _SLOW],
        [1 - _FAST, 0.0, _FAST - 1, 1 - _FAST, 0.0],
        [0.0, 1 - _SLOW, 0.0, _SLOW - 1, 1 - _SLOW],
    ]
)
