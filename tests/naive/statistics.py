"""A model of statistics by loops over rows, columns and numbers, from its definition."""

import math
from collections.abc import Callable, Sequence

from gateway.core.dynamics import Dynamics

Row = list[float]
TROUBLED_SHARE, MEDIAN_DEVIATION, WIDENING_MAX = 0.1, 0.6745, 100.0


def scores(
    rows: Sequence[Row], dynamics: Dynamics, statistics: Callable[[list[Row]], Row]
) -> list[float | None]:
    """The score of each row of one asset without gaps; None while the history is not full.

    `statistics` returns the k statistics of a history, the oldest row first.
    """
    moved, widened = list(dynamics.moved), list(dynamics.widened)
    averages = [[center] * len(dynamics.scales_rows) for center in dynamics.center]
    history: list[Row] = []
    is_calm = True
    result: list[float | None] = []
    for row in rows:
        rate = (1.0 if is_calm else TROUBLED_SHARE) / dynamics.follow_rows
        z = []
        measured = [x for x, counts in zip(row, dynamics.measured, strict=True) if counts]
        for k, x in enumerate(measured):
            step = ((x - dynamics.level[k]) / dynamics.spread[k] - moved[k]) / widened[k]
            z.append(step)
            moved[k] += rate * widened[k] * math.copysign(1.0, step)
            away = math.copysign(1.0, abs(step) - MEDIAN_DEVIATION)
            widened[k] = min(max(widened[k] * math.exp(rate * away), 1.0), WIDENING_MAX)
        history = [*history, z][-dynamics.history_rows :]
        if len(history) < dynamics.history_rows:
            result.append(None)
            continue
        largest = 0.0
        for k, statistic in enumerate(statistics(history)):
            for s, scale in enumerate(dynamics.scales_rows):
                weight = 1.0 - math.exp(-1.0 / scale)
                averages[k][s] += weight * (statistic - averages[k][s])
                at = k * len(dynamics.scales_rows) + s
                surprise = (averages[k][s] - dynamics.usual[at]) / dynamics.width[at]
                largest = max(largest, surprise)
        is_calm = largest <= 1.0
        result.append(largest)
    return result
