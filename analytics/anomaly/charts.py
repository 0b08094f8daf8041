"""Control charts for every tag at once: moving average, cumulative sum, Page–Hinkley, limits.

Each standardises a value with the level and spread from training, and returns a surprise: its
statistic over its limit, so that 1 is the limit. They are *state* statistics: they stay on while
the tag is away from where it was trained, and so see faults that last; `memory` sees the new.
All take rows (n assets, m columns), keep their time constants in rows, and are causal. A column
that is not usable is left as it was and has the surprise NaN; one that stood still in training
(spread 0) has no unit to measure a move in, and the surprise 0.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

STEPS_MAX: Final = 50.0
"""Standardised values are cut here: one wild reading is no lasting shift."""
SUM_SURPRISE_MAX: Final = 10.0
"""Sums stop growing at this surprise, so that a repaired machine is quiet again in finite time."""
CUSUM_SLACK: Final = 0.5
"""In spreads: shifts of twice this are found soonest (Page 1954; Montgomery, section 9.1)."""
EWMA_ROWS: Final = 20.0
"""Time constant of the moving average."""
REFERENCE_ROWS: Final = 500.0
"""Time constant of what Page–Hinkley and the robust limits take for the present level."""
MAD_OF_SIGMA: Final = 0.6745
"""Median distance from the median, in standard deviations of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChartModel:
    """What a training found for the m columns of one chart; the arrays are read-only."""

    level: FloatArray
    """Median of each column, shape (m,)."""
    spread: FloatArray
    """Robust standard deviation of each column; 0 for one that stood still, shape (m,)."""
    limit: FloatArray
    """Statistic at which the surprise is 1, above 0, shape (m,)."""


class Chart(ABC):
    """One chart for n assets of m columns; the subclass says what it accumulates."""

    def __init__(self, model: ChartModel, *, asset_count: int) -> None:
        """Begin as if every column had stood at its level.

        Args:
            model: For the m columns of one asset.
            asset_count: n.
        """
        self._level = model.level
        self._scale = np.where(
            model.spread > 0, 1.0 / np.where(model.spread > 0, model.spread, 1), 0
        )
        self._limit = model.limit
        self._state: FloatArray = self._begin((asset_count, len(model.level)))

    def update(self, value: FloatArray, usable: BoolArray) -> FloatArray:
        """Take in one row of each asset and return the surprises, shape (n, m).

        Args:
            value: In the columns' units, shape (n, m).
            usable: Which values count, shape (n, m); those are finite.
        """
        steps = (np.where(usable, value, self._level) - self._level) * self._scale
        state, statistic = self._advance(self._state, np.clip(steps, -STEPS_MAX, STEPS_MAX))
        self._state = np.where(usable, state, self._state)
        surprise: FloatArray = np.where(usable, statistic / self._limit, np.nan)
        return surprise

    def checkpoint(self) -> FloatArray:
        """Return a copy of what was accumulated, shape (k, n, m)."""
        return self._state.copy()

    def restore(self, checkpoint: FloatArray) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: it belongs to another number of assets or columns; the state is unchanged.
        """
        if checkpoint.shape != self._state.shape:
            raise ValueError(
                f"the checkpoint of the chart has shape {checkpoint.shape}, here it is "
                f"{self._state.shape}"
            )
        self._state = checkpoint.astype(np.float64)

    @abstractmethod
    def _begin(self, shape: tuple[int, int]) -> FloatArray:
        """Return the first state for n assets of m columns, shape (k, n, m)."""

    @abstractmethod
    def _advance(self, state: FloatArray, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the next state (k, n, m) and the statistic (n, m) for standardised values."""


class EwmaChart(Chart):
    """Moving average of the standardised value, in its own standard deviations.

    Source:
        Roberts (1959); the width is that of the settled chart, sqrt(w / (2 - w)).
    """

    def _begin(self, shape: tuple[int, int]) -> FloatArray:
        return np.zeros((1, *shape))

    def _advance(self, state: FloatArray, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
        average = state[0] + _EWMA_WEIGHT * (steps - state[0])
        return average[np.newaxis], np.abs(average) / _EWMA_WIDTH


class CusumChart(Chart):
    """Sums of what is beyond the slack, upwards and downwards.

    Source:
        Page (1954), two-sided, in the tabular form of Montgomery, equations 9.2 and 9.3.
    """

    def _begin(self, shape: tuple[int, int]) -> FloatArray:
        return np.zeros((2, *shape))

    def _advance(self, state: FloatArray, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
        sums = _reflected(state, steps, self._limit)
        return sums, sums.max(axis=0)


class PageHinkleyChart(Chart):
    """As the cumulative sum, but against the level that the column has had of late.

    So it finds that a level changes, and is quiet again when the new one has lasted.

    Source:
        Page (1954) and Hinkley (1971); the mean is a moving one, of `REFERENCE_ROWS`.
    """

    def _begin(self, shape: tuple[int, int]) -> FloatArray:
        return np.zeros((3, *shape))

    def _advance(self, state: FloatArray, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
        sums = _reflected(state[:2], steps - state[2], self._limit)
        mean = state[2] + (steps - state[2]) / REFERENCE_ROWS
        return np.concatenate([sums, mean[np.newaxis]]), sums.max(axis=0)


class RobustLimits(Chart):
    """Distance from a running median, in running median deviations.

    Median and deviation move by the sign of what they miss, so no outlier, however far, moves them
    more than another. The deviation may grow without bound and never falls below half the trained
    one.

    Source:
        Hampel (1974) for the identifier; Robbins and Monro (1951) for both recursions.
    """

    def _begin(self, shape: tuple[int, int]) -> FloatArray:
        state = np.zeros((2, *shape))
        state[1] = 1.0
        return state

    def _advance(self, state: FloatArray, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
        median, spread = state
        missed = steps - median
        statistic = np.abs(missed) / spread
        median = median + np.sign(missed) * spread / REFERENCE_ROWS
        spread = spread * (1 + np.sign(statistic - MAD_OF_SIGMA) / REFERENCE_ROWS)
        return np.stack([median, np.maximum(spread, _SPREAD_MIN)]), statistic


_EWMA_WEIGHT: Final = 1.0 / EWMA_ROWS
_EWMA_WIDTH: Final = (_EWMA_WEIGHT / (2 - _EWMA_WEIGHT)) ** 0.5
_SPREAD_MIN: Final = 0.5


def _reflected(sums: FloatArray, steps: FloatArray, limit: FloatArray) -> FloatArray:
    """Return both sums, shape (2, n, m), kept at 0 or above and below the bound."""
    upwards = sums[0] + steps - CUSUM_SLACK
    downwards = sums[1] - steps - CUSUM_SLACK
    both = np.stack([upwards, downwards])
    clipped: FloatArray = np.clip(both, 0.0, SUM_SURPRISE_MAX * limit)
    return clipped
