"""From a statistic to a surprise: a limit that keeps its false-alarm rate, and an event that rests.

Both work on any number of columns at once and forget in rows, not in seconds: what they measure
against is how often something happens among the rows of the same column.
"""

from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

LOG_STEP: Final = 0.02
"""How far one row above the limit raises it, as a share of the limit."""


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
        self._rate = rate
        self._log_limit_min = log_limit_min
        self.log_limit: FloatArray = np.maximum(log_limit, log_limit_min)

    def update(self, log_statistic: FloatArray, usable: FloatArray) -> FloatArray:
        """Return the logarithm of statistic over limit, shape (c,), then move the limit.

        Args:
            log_statistic: Natural logarithms, finite, shape (c,).
            usable: 1 where the row counts, 0 where it leaves the limit alone, shape (c,).
        """
        excess = log_statistic - self.log_limit
        self.log_limit += (LOG_STEP * usable) * ((excess > 0) - self._rate)
        np.maximum(self.log_limit, self._log_limit_min, out=self.log_limit)
        return excess


class EventGate:
    """Lets the first row of an event through, and what is more surprising than it, c columns.

    The highest surprise so far fades by e in `rest_rows`; only a row above what is left of it
    passes. So a fault that goes on is one event, another one later is a second, and a worse one is
    reported at once.
    """

    def __init__(self, *, column_count: int, rest_rows: float) -> None:
        """Begin with nothing passed.

        Args:
            column_count: c.
            rest_rows: Rows in which the memory of a surprise fades by e, above 0.
        """
        assert rest_rows > 0, rest_rows
        self._fading = 1.0 / rest_rows
        self.log_peak: FloatArray = np.full(column_count, -np.inf)

    def update(self, log_surprise: FloatArray, usable: FloatArray) -> BoolArray:
        """Return which columns pass, shape (c,).

        Args:
            log_surprise: Natural logarithms, finite, shape (c,).
            usable: 1 where the row counts, 0 where nothing passes and no time goes by, shape (c,).
        """
        self.log_peak -= self._fading * usable
        passes = (log_surprise > self.log_peak) & (usable > 0)
        np.copyto(self.log_peak, log_surprise, where=passes)
        return passes
