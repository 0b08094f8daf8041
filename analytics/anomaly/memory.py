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

from gateway.core.arrays import FloatArray

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
_FAR: Final = 1e30
"""Square of the length of a point that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryModel:
    """What a training found for m columns; the arrays are read-only."""

    level: FloatArray
    """Median of each column, shape (m,)."""
    spread: FloatArray
    """Spread of each band in the column's unit, above 0, shape (m, BANDS)."""
    points: FloatArray
    """What was seen, shape (m, P, FEATURES + 1): features, then the square of their length."""
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
    points[:, 0, BANDS] = _dispersion_feature(np.ones(1))
    points[:, 0, -1] = points[:, 0, BANDS] ** 2
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
        self._scale = 1.0 / np.tile(model.spread, (asset_count, 1)).T
        self._column = np.arange(column_count)
        self.averages: FloatArray = np.zeros((2, column_count))
        self.dispersion: FloatArray = np.ones(column_count)
        self.points: FloatArray = np.tile(model.points, (asset_count, 1, 1))
        self.last_met: FloatArray = np.tile(model.last_met, (asset_count, 1))
        self.row: FloatArray = np.full(column_count, model.last_met.max(initial=0.0))
        self._features: FloatArray = np.ones((column_count, FEATURES))
        self._probe: FloatArray = np.ones((column_count, FEATURES + 1, 1))

    def update(self, value: FloatArray, usable: FloatArray) -> FloatArray:
        """Return the distance of each column to the nearest point, shape (c,), and learn it.

        Args:
            value: In the column's unit, shape (c,); anything where not usable, but finite.
            usable: 1 where the row counts, 0 where the column is left as it was, shape (c,).
        """
        features = self._embed(value - self._level, usable)
        probe = self._probe
        np.multiply(features, -2.0, out=probe[:, :-1, 0])
        nearest = np.matmul(self.points, probe)[:, :, 0].argmin(axis=1)
        point = self.points[self._column, nearest]
        step = features - point[:, :-1]
        # The difference, not the expanded square: it is exact where a row matches its point.
        distance: FloatArray = np.sqrt(np.einsum("cf,cf->c", step, step))
        self.row += usable
        is_new = (distance > RADIUS) & (usable > 0)
        if is_new.any():
            new = np.flatnonzero(is_new)
            nearest[new] = self.last_met[new].argmin(axis=1)
            point[new, :-1] = features[new]
            step[new] = 0.0
        point[:, :-1] += (DRAWN_SHARE * usable)[:, np.newaxis] * step
        centre = point[:, :-1]
        np.einsum("cf,cf->c", centre, centre, out=point[:, -1])
        self.points[self._column, nearest] = point
        self.last_met[self._column, nearest] = np.where(
            usable > 0, self.row, self.last_met[self._column, nearest]
        )
        return distance

    def arrays(self) -> tuple[FloatArray, ...]:
        """Return all that was learnt, not copied: averages, dispersion, points, when met, row."""
        return self.averages, self.dispersion, self.points, self.last_met, self.row

    def _embed(self, offset: FloatArray, usable: FloatArray) -> FloatArray:
        """Return the features of each column, shape (c, FEATURES), after taking in the row."""
        averages, features = self.averages, self._features
        averages += (_WEIGHTS * usable) * (offset - averages)
        bands = features.T[:BANDS]
        np.subtract(offset, averages[0], out=bands[0])
        np.subtract(averages[0], averages[1], out=bands[1])
        bands[2] = averages[1]
        bands *= self._scale
        np.clip(bands, -FEATURE_MAX, FEATURE_MAX, out=bands)
        self.dispersion += (usable / FAST_ROWS) * (np.abs(bands[0]) - self.dispersion)
        features[:, BANDS] = _dispersion_feature(self.dispersion)
        return features


_WEIGHTS: FloatArray = np.array([[1.0 / FAST_ROWS], [1.0 / SLOW_ROWS]])


def _dispersion_feature(dispersion: FloatArray) -> FloatArray:
    feature: FloatArray = DISPERSION_WEIGHT * np.log(dispersion + DISPERSION_FLOOR)
    return feature
