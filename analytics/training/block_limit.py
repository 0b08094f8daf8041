"""The limit of a statistic whose values hang together in time, from a recording of minutes.

Neighbouring values of a machine are nearly the same, all the more once they are averaged: the
quantile of a few hundred of them rests on one or two episodes, and an exponential tail on little
more. What a recording does tell is how high the statistic came in each of several stretches of
time. Those maxima are few, but independent of each other as far as anything here is, and how far
they differ tells how far the next one may differ from them:

    limit = mean + t sd √(1 + 1/B),

of the B maxima, with Student's t of B - 1 degrees of freedom: the prediction limit of the next
stretch's maximum. Where the stretches agree, it lies little above them; where one stood out, as it
does while a machine warms up, the limit moves out by itself and no margin needs to be guessed.
"""

from math import acos, cos, sqrt
from typing import Final

import numpy as np

from analytics.training.held_out import BLOCK_COUNT
from gateway.core.arrays import FloatArray

EXCEEDED_SHARE: Final = 0.01
"""Share of stretches as long as a block in which a healthy machine exceeds the limit, where its
maxima are about normal. With 0.05 false alarms are many."""
LIMIT_SHARE_MIN: Final = 0.05
"""Of the mean of the maxima above the usual, that the limit lies above that mean at the least: the
maxima of five stretches may happen to be the same."""


def block_limit(values: FloatArray, *, exceeded_share: float = EXCEEDED_SHARE) -> FloatArray:
    """Return the limit of each of k statistics, shape (k,).

    Args:
        values: Healthy values in the order of time, of rows that were not fitted, finite, shape
            (r, k), r >= B = `BLOCK_COUNT`.
        exceeded_share: Of stretches as long as a block; above 0, below 1.
    Source:
        Hahn (1969), "Factors for Calculating Two-Sided Prediction Intervals for Samples from a
        Normal Distribution", for one further value, one-sided; the block maxima as in Gumbel
        (1958). A normal distribution of the maxima is ours: five do not tell it from Gumbel's.
    """
    assert len(values) >= BLOCK_COUNT, values.shape
    maxima = np.stack([block.max(axis=0) for block in np.array_split(values, BLOCK_COUNT)])
    mean, deviation = maxima.mean(axis=0), maxima.std(axis=0, ddof=1)
    width = student_quantile(exceeded_share) * deviation * np.sqrt(1.0 + 1.0 / BLOCK_COUNT)
    least = LIMIT_SHARE_MIN * np.abs(mean - values.mean(axis=0))
    limit: FloatArray = mean + np.maximum(width, least)
    return limit


def student_quantile(exceeded_share: float) -> float:
    """Return what Student's distribution with four degrees of freedom exceeds with a share.

    Args:
        exceeded_share: Above 0, below a half.
    Source:
        Shaw (2006), "Sampling Student's T Distribution": closed for four degrees of freedom.
    """
    assert BLOCK_COUNT - 1 == 4, BLOCK_COUNT
    assert 0.0 < exceeded_share < 0.5, exceeded_share
    root = sqrt(4.0 * exceeded_share * (1.0 - exceeded_share))
    return 2.0 * sqrt(cos(acos(root) / 3.0) / root - 1.0)
