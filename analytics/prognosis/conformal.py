"""Intervals that hold the truth as often as they say, and a count of whether they do.

Theory. A prediction's error on units that the model has not learnt from is the best guess of its
error on the next unit (split conformal prediction; Vovk et al. 2005). Errors are large far from the
end and small near it, so they are counted apart by the predicted remaining life (Mondrian
conformal prediction), each unit as one: its rows say the same thing many times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray, frozen

BINS: Final = 10
"""Parts of the range of predictions; neighbours are merged while they hold too few units."""
UNITS_MIN: Final = 20
"""Fewer units in a part say nothing about one in twenty."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervals:
    """How far the truth lies from a prediction, by the prediction; the arrays are read-only."""

    at: FloatArray
    """Predictions, rising, shape (b,), b >= 1."""
    below: FloatArray
    """Truth minus prediction that all but a small share exceed, shape (b,)."""
    above: FloatArray
    """Truth minus prediction that a small share exceeds, shape (b,)."""

    def __post_init__(self) -> None:
        """Check the shapes and switch writing off."""
        assert self.at.shape == self.below.shape == self.above.shape
        for array in (self.at, self.below, self.above):
            frozen(array)

    def around(self, predicted: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the lower and upper ends for predictions (n,), linear between the parts."""
        return (
            predicted + np.interp(predicted, self.at, self.below),
            predicted + np.interp(predicted, self.at, self.above),
        )


def fit_intervals(
    predicted: Sequence[FloatArray],
    truth: Sequence[FloatArray],
    *,
    level: float,
    ceiling: float = np.inf,
) -> Intervals:
    """Return the intervals that hold a share `level` of the truths.

    Half of what they miss lies on either side; all of it below, where they reach the ceiling.

    Args:
        predicted: Of each unit, made by a model that has not seen it; finite, at least one value.
        truth: The same shapes.
        level: Between 0 and 1.
        ceiling: No truth is above it.
    Source:
        Vovk, Gammerman and Shafer (2005), "Algorithmic Learning in a Random World", 4.5 (Mondrian);
        finite samples: the quantile of n values and one at infinity. Ours: units in place of rows
        as the n, and linear between the parts.
    """
    assert len(predicted) > 0
    unit = np.concatenate([np.full(len(p), k) for k, p in enumerate(predicted)])
    # Each unit as one, at a moment of its life that is as likely as any other.
    weight = np.concatenate([np.full(len(p), 1.0 / len(p)) for p in predicted])
    at, error = np.concatenate(predicted), np.concatenate(truth) - np.concatenate(predicted)
    edges = _edges(at, unit)
    parts = np.searchsorted(edges, at, side="right")
    table = []
    for part in range(len(edges) + 1):
        own = parts == part
        count = len(np.unique(unit[own]))
        middle = float(np.average(at[own], weights=weight[own]))
        missed = (1.0 - level) / 2.0
        above = _quantile(error[own], weight[own], _share(missed, count))
        if middle + above >= ceiling:
            missed = 1.0 - level
        below = -_quantile(-error[own], weight[own], _share(missed, count))
        table.append((middle, min(below, 0.0), max(above, 0.0)))
    middles, belows, aboves = np.array(table).T.copy()
    return Intervals(at=middles, below=belows, above=aboves)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often intervals held the truth, once it was known: when a unit had failed.

    One is counted for a unit and not for a row; `told` is the share that was promised.
    """

    told: float
    count: int = 0
    held: int = 0

    @property
    def share(self) -> float | None:
        """Share of the units whose interval held the truth; None before the first failure."""
        return self.held / self.count if self.count else None

    def with_failure(self, *, low: float, high: float, truth: float) -> "Coverage":
        """Return the count with one more unit whose interval and truth are known now."""
        is_held = low <= truth <= high
        return Coverage(told=self.told, count=self.count + 1, held=self.held + int(is_held))

    @property
    def is_broken(self) -> bool:
        """Whether so few held the truth that chance explains it in less than one case in 100.

        By the normal approximation with a continuity correction, from ten units on.
        """
        if self.count < _COUNT_MIN:
            return False
        usual = self.count * self.told
        spread = np.sqrt(self.count * self.told * (1.0 - self.told))
        return bool(self.held + 0.5 < usual - _NORMAL_QUANTILE * spread)


_COUNT_MIN: Final = 10
_NORMAL_QUANTILE: Final = 2.326


def _edges(at: FloatArray, unit: np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    """Return what parts the predictions: evenly, merged upwards until each has enough units."""
    low, high = float(at.min()), float(at.max())
    needed = min(UNITS_MIN, len(np.unique(unit)))
    kept: list[float] = []
    for edge in np.linspace(low, high, BINS + 1)[1:-1]:
        inside = (at < edge) & (at >= (kept[-1] if kept else -np.inf))
        rest = at >= edge
        if min(len(np.unique(unit[inside])), len(np.unique(unit[rest]))) >= needed:
            kept.append(float(edge))
    return np.array(kept)


def _share(missed: float, count: int) -> float:
    """Return the share of n values to be held so that one more is missed as seldom as said."""
    return min(1.0, (1.0 - missed) * (count + 1) / count)


def _quantile(values: FloatArray, weight: FloatArray, share: float) -> float:
    """Return the least value that at least this share of the weight does not exceed."""
    order = np.argsort(values)
    cumulated = np.cumsum(weight[order])
    position = np.searchsorted(cumulated, share * cumulated[-1] * (1 - 1e-12))
    return float(values[order[min(int(position), len(values) - 1)]])
