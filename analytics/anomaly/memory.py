"""A bounded memory of what a signal has done: how far is the present from all of it?

*Theory.* Where a signal stands and how it got there is put into four numbers: how far the value is
from its fast average, the fast average from the slow one, the slow one from the trained level (each
in the trained spread of that difference), and the logarithm of the short dispersion. Averages of
several lengths are an embedding as lagged values are, but smooth, and need two numbers of state.
What has been seen is kept as at most P points of that space. The distance to the nearest is the
novelty of a row. A row farther off than `RADIUS` becomes a point itself, in place of the one that
was not met for longest; a nearer one draws its point a little towards it. So what comes again is
not new, a daily cycle is learnt without knowing its length, and memory and time are bounded.

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
RADIUS: Final = 1.0
"""A row within one trained spread of a point is that point again."""
DRAWN_SHARE: Final = 0.1
"""How far a point follows a row that it matches."""
DISPERSION_WEIGHT: Final = 2.0
"""A dispersion that grows by e^(1/2) counts as much as one spread of a band."""
DISPERSION_FLOOR: Final = 0.1
"""Added to the dispersion (in trained spreads), so that silence is no infinite distance."""
FEATURE_MAX: Final = 1e4
"""Bands are cut here: squares of nonsense stay exact enough, and a column that stood still in
training, whose every move is beyond it, is told by the signs of its moves."""
OFFSET_MAX: Final = 1e100
"""Values are taken for no farther from their level than this, in the column's unit."""
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
        point_count: P, at least 2.
    """
    assert point_count >= 2, point_count
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
        column_count = asset_count * len(model.level)
        self._level = np.tile(model.level, asset_count)
        self._scale = 1.0 / np.tile(model.spread, (asset_count, 1))
        self._column = np.arange(column_count)
        self._probe: FloatArray = np.ones((column_count, FEATURES + 1))
        self._recent: FloatArray = np.zeros((column_count, 3))
        self._dispersion: FloatArray = np.ones(column_count)
        self._points: FloatArray = np.tile(model.points, (asset_count, 1, 1))
        self._last_met: FloatArray = np.tile(model.last_met, (asset_count, 1))
        self._row: FloatArray = np.full(1, model.last_met.max(initial=0.0))

    def update(self, value: FloatArray, usable: BoolArray | None) -> FloatArray:
        """Return the square of each column's distance to the nearest point, and learn the row.

        Args:
            value: In the column's unit, shape (c,); anything where it is not usable.
            usable: Which columns count, shape (c,); the others are left as they were and get the
                distance of the row before. None for all.
        """
        probe = self._embed(value, usable)
        features = probe[:, :-1]
        product = np.matmul(self._points, probe[:, :, np.newaxis])[:, :, 0]
        nearest = product.argmax(axis=1)
        point = self._points[self._column, nearest]
        step = features - point[:, :-1]
        # The difference, not the product: it is exact where a row matches its point.
        squared: FloatArray = np.einsum("cf,cf->c", step, step)
        is_new = squared > RADIUS**2
        if is_new.any():
            nearest = np.where(is_new, self._last_met.argmin(axis=1), nearest)
            np.copyto(point[:, :-1], features, where=is_new[:, np.newaxis])
            step[is_new] = 0.0
        step *= DRAWN_SHARE
        centre = point[:, :-1]
        centre += step
        np.multiply(np.einsum("cf,cf->c", centre, centre), -0.5, out=point[:, -1])
        self._row += 1.0
        if usable is None:
            self._points[self._column, nearest] = point
            self._last_met[self._column, nearest] = self._row
        else:
            kept = self._column[usable], nearest[usable]
            self._points[kept] = point[usable]
            self._last_met[kept] = self._row
        return squared

    def seen(self) -> tuple[FloatArray, FloatArray]:
        """Return the points of all columns and when they were last met, as in `MemoryModel`."""
        return self._points, self._last_met

    def arrays(self) -> tuple[FloatArray, ...]:
        """Return all that changes with a row, not copied."""
        return self._recent, self._dispersion, self._points, self._last_met, self._row

    def _embed(self, value: FloatArray, usable: BoolArray | None) -> FloatArray:
        """Return the features of each column and a 1, shape (c, FEATURES + 1)."""
        probe, recent, dispersion = self._probe, self._recent, self._dispersion
        offset = value - self._level
        np.maximum(offset, -OFFSET_MAX, out=offset)
        np.minimum(offset, OFFSET_MAX, out=offset)
        before = recent, dispersion
        if usable is not None:
            recent, dispersion = recent.copy(), dispersion.copy()
            offset = np.where(usable, offset, recent[:, 0])
        recent[:, 0] = offset
        moved = recent @ _RECURSION
        recent[:, 1:] = moved[:, :2]
        bands = np.multiply(moved[:, 2:], self._scale, out=probe[:, :BANDS])
        np.maximum(bands, -FEATURE_MAX, out=bands)
        np.minimum(bands, FEATURE_MAX, out=bands)
        dispersion *= 1 - 1 / FAST_ROWS
        dispersion += np.abs(bands[:, 0]) / FAST_ROWS
        feature = np.log(dispersion + DISPERSION_FLOOR)
        np.multiply(feature, DISPERSION_WEIGHT, out=probe[:, BANDS])
        if usable is not None:
            np.copyto(before[0], recent, where=usable[:, np.newaxis])
            np.copyto(before[1], dispersion, where=usable)
        return probe


_FAST, _SLOW = 1 / FAST_ROWS, 1 / SLOW_ROWS
_RECURSION: FloatArray = np.array(
    [
        # new averages, fast and slow | bands, from: value, fast average, slow average before
        [_FAST, _SLOW, 1 - _FAST, _FAST - _SLOW, _SLOW],
        [1 - _FAST, 0.0, _FAST - 1, 1 - _FAST, 0.0],
        [0.0, 1 - _SLOW, 0.0, _SLOW - 1, 1 - _SLOW],
    ]
)
