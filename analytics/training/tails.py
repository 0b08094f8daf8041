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
WIDTH_SHARE_MIN: Final = 0.01
"""Of the statistic's own size that the tail's width is at the least: one that hardly varies on the
recording is not therefore exact."""
WIDTH_MIN: Final = 1e-6
"""For a statistic that was always 0; statistics are of the order of 1."""


def fit_tails(values: FloatArray, *, rate: float) -> Tails:
    """Return the exponential tails of k statistics on healthy rows.

    Args:
        values: Shape (r, k), finite; at least `TAIL_VALUES_MIN` / `TAIL_SHARE` rows. The rows may
            hang together in time, as averages do.
        rate: Share of healthy rows that may have a surprise above 1, from 0 to `TAIL_SHARE`.
    Raises:
        ModelError: there are too few rows.
    Source:
        Peaks over threshold with shape 0 (Pickands 1975; Davison and Smith 1990): the excesses
        over a high threshold are exponential, and their mean is the scale's best estimate.
    """
    assert 0.0 < rate < TAIL_SHARE, rate
    if len(values) * TAIL_SHARE < TAIL_VALUES_MIN:
        raise ModelError(
            f"{len(values)} rows are too few to tell a usual value from an odd one: "
            f"{TAIL_VALUES_MIN / TAIL_SHARE:.0f} are needed"
        )
    threshold = np.quantile(values, 1.0 - TAIL_SHARE, axis=0)
    excess = np.maximum(values - threshold, 0.0)
    scale = excess.sum(axis=0) / np.maximum((excess > 0).sum(axis=0), 1)
    scale = np.maximum(scale, np.maximum(WIDTH_SHARE_MIN * np.abs(threshold), WIDTH_MIN))
    return Tails(
        usual=frozen(threshold - scale * np.log(1.0 / TAIL_SHARE)),
        width=frozen(scale * np.log(1.0 / rate)),
    )
