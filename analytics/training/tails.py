"""Fits the tails that turn statistics into surprises; the law is in `analytics.anomaly.tails`."""

from typing import Final

import numpy as np

from analytics.anomaly.tails import Tails
from gateway.core.arrays import FloatArray, frozen
from gateway.core.errors import ModelError

TAIL_SHARE: Final = 0.1
"""Of the healthy values, the largest, that the tail is fitted to. A twentieth or a fifth rank
alike."""
TAIL_VALUES_MIN: Final = 5
"""The error of a mean of so many excesses is nearly half of it; fewer say nothing."""
EXCESSES_MIN: Final = 1.0
"""Independent ones; with less than one the limit would lie beyond everything."""
WIDTH_SHARE_MIN: Final = 0.01
"""Of the statistic's own size that the tail's width is at the least: one that hardly varies on the
recording is not therefore exact."""
WIDTH_MIN: Final = 1e-6
"""For a statistic that was always 0; statistics are of the order of 1."""


def fit_tails(values: FloatArray, *, rate: float, independent_rows: FloatArray) -> Tails:
    """Return the tails of k statistics, from what they were on healthy rows.

    What is exceeded with the stated rate is predicted, not only estimated: a short recording says
    little of its own tail, and one whose rows hang together says less, so it moves out. With
    c independent excesses over a threshold, of mean s, the next one is above x with the probability
    (1 + x / (c s))^-c. At a rate of 0.001, thirty excesses move it out by 5 %, three by 90 %.

    Args:
        values: Shape (r, k), finite; at least `TAIL_VALUES_MIN` / `TAIL_SHARE` rows.
        rate: Share of healthy rows that may have a surprise above 1, from 0 to `TAIL_SHARE`.
        independent_rows: Rows after which each statistic has forgotten what it was, at least 1,
            shape (k,). About twice the time constant for an exponential average.
    Raises:
        ModelError: there are too few rows.
    Source:
        Excesses are exponential: Pickands (1975), with shape 0. The predictive distribution:
        Lomax (1954), which follows from a flat prior on the logarithm of the scale.
    """
    assert 0.0 < rate < TAIL_SHARE, rate
    assert (independent_rows >= 1.0).all(), independent_rows
    if len(values) * TAIL_SHARE < TAIL_VALUES_MIN:
        raise ModelError(
            f"{len(values)} rows are too few to tell a usual value from an odd one: "
            f"{TAIL_VALUES_MIN / TAIL_SHARE:.0f} are needed"
        )
    threshold = np.quantile(values, 1.0 - TAIL_SHARE, axis=0)
    excess = np.maximum(values - threshold, 0.0)
    scale = excess.sum(axis=0) / np.maximum((excess > 0).sum(axis=0), 1)
    scale = np.maximum(scale, np.maximum(WIDTH_SHARE_MIN * np.abs(threshold), WIDTH_MIN))
    count = np.maximum(TAIL_SHARE * len(values) / independent_rows, EXCESSES_MIN)
    limit = threshold + count * scale * np.expm1(np.log(TAIL_SHARE / rate) / count)
    usual = threshold - scale * np.log(1.0 / TAIL_SHARE)
    return Tails(usual=frozen(usual), width=frozen(limit - usual))
