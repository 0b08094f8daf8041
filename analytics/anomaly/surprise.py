"""From a statistic to a surprise: a limit that keeps its false-alarm rate, and an event that rests.

Both work on any number of columns at once and forget in rows, not in seconds: what they measure
against is how often something happens among the rows of the same column.
"""

from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

LOG_STEP: Final = 0.02
"""How far one row above the limit raises it, as a share of the limit."""
REST_ROWS: Final = 100.0
"""Rows in which an event is forgotten, by e: as long as the slow average of the memory takes."""
GROWTH_MIN: Final = 4 / 3
"""A row during an event is another one when it is worse by this factor."""

# As arrays: a number of Python is converted anew in each call.
_ZERO, _LOG_STEP = np.array([0.0]), np.array([LOG_STEP])
_FADING, _LOG_GROWTH = np.array([1 / REST_ROWS]), np.log(np.array([GROWTH_MIN]))


class RunningLimit:
    """Follows the value that a share of the rows exceeds, for c columns at once.

    Works on the logarithm of the statistic: a row above raises the limit by `LOG_STEP` (1 - rate),
    a row below lowers it by `LOG_STEP` times rate, so that it rests where the share of the rows
    above is the rate. At a rate of 0.5 % the limit falls by a third in 4,000 quiet rows, and rises
    by a third in 15 loud ones: what keeps being loud becomes usual.

    Source:
        Robbins and Monro (1951): stochastic approximation of a quantile, with a constant step.
    """

    def __init__(self, *, log_limit: FloatArray, log_limit_min: float, rate: float) -> None:
        """Begin at the limit that was found in training.

        Args:
            log_limit: Natural logarithm of the limit of each column, shape (c,).
            log_limit_min: It never falls below this, so that a quiet column stays quiet.
            rate: Share of the rows that may lie above, 0 to 1.
        """
        assert 0 < rate < 1, rate
        self._rate = np.array([rate])
        self._log_limit_min = np.array([log_limit_min])
        self.log_limit: FloatArray = np.maximum(log_limit, log_limit_min)

    def update(self, log_statistic: FloatArray, usable: BoolArray | None) -> FloatArray:
        """Return the logarithm of statistic over limit, shape (c,), then move the limit.

        Args:
            log_statistic: Natural logarithms, finite, shape (c,).
            usable: Which columns count, shape (c,); the others keep their limit. None for all.
        """
        excess = log_statistic - self.log_limit
        step = np.heaviside(excess, _ZERO)
        step -= self._rate
        step *= _LOG_STEP
        if usable is not None:
            step *= usable
        self.log_limit += step
        np.maximum(self.log_limit, self._log_limit_min, out=self.log_limit)
        return excess


class EventGate:
    """Lets the first row of an event through, and what is clearly worse than it, for c columns.

    After a row has passed, only one passes that is worse by `GROWTH_MIN`; what is asked for fades
    by e in `REST_ROWS`. So a fault that goes on is one event, another one later is a second, and
    one that gets worse is told again without a row of alarms on the way up.
    """

    def __init__(self, *, column_count: int) -> None:
        """Begin with nothing passed.

        Args:
            column_count: c.
        """
        self.log_least: FloatArray = np.full(column_count, -np.inf)

    def update(self, log_surprise: FloatArray, usable: BoolArray | None) -> BoolArray:
        """Return which columns pass, shape (c,).

        Args:
            log_surprise: Natural logarithms, finite, shape (c,).
            usable: Which columns count, shape (c,); the others do not pass. None for all.
        """
        self.log_least -= _FADING
        passes = log_surprise > self.log_least
        if usable is not None:
            passes &= usable
        np.copyto(self.log_least, log_surprise + _LOG_GROWTH, where=passes)
        return passes
