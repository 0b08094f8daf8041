"""Size of what the state leaves over of one window, number by number."""

import math
from collections.abc import Sequence

Table = Sequence[Sequence[float]]


def rest(window: Table, center: Table, matrix: Table, *, bound: float) -> tuple[float, list[float]]:
    """The statistic of the newest rows, and each column's part of its square, not below 0."""
    newest = window[len(window) - len(center) :]
    line = [
        min(max(value, -bound), bound) - usual
        for row, means in zip(newest, center, strict=True)
        for value, usual in zip(row, means, strict=True)
    ]
    left = [
        sum(value * matrix[source][target] for source, value in enumerate(line))
        for target in range(len(line))
    ]
    columns = [0.0] * len(center[0])
    for target, value in enumerate(line):
        slope = sum(each * matrix[source][target] for source, each in enumerate(left))
        columns[target % len(columns)] += value * slope
    return math.sqrt(sum(each**2 for each in left)), [max(each, 0.0) for each in columns]
