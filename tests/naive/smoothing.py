"""The average of an anomaly score over time, one asset, as a plain loop."""

import math
from collections.abc import Iterable


def smoothed(
    rows: Iterable[tuple[float, float]], *, smoothing_s: float, score_max: float, weight_max: float
) -> list[float]:
    """Averages for rows of (time in s, score)."""
    averages: list[float] = []
    average = 0.0
    last_s: float | None = None
    for time_s, score in rows:
        limited = min(score, score_max)
        if last_s is None:
            average = min(limited, 1.0)
        else:
            weight = min(1.0 - math.exp(-(time_s - last_s) / smoothing_s), weight_max)
            average += weight * (limited - average)
        last_s = time_s
        averages.append(average)
    return averages
