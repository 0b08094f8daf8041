"""Distance of one window to the nearest centre, number by number."""

import math
from collections.abc import Sequence

Window = Sequence[Sequence[float]]


def nearest(
    window: Window, centers: Sequence[Window], *, bound: float
) -> tuple[float, list[float]]:
    """The root mean square difference, and each column's mean square."""
    best: list[float] | None = None
    for center in centers:
        columns = [0.0] * len(window[0])
        for row, usual in zip(window, center, strict=True):
            for index, (value, expected) in enumerate(zip(row, usual, strict=True)):
                columns[index] += (min(max(value, -bound), bound) - expected) ** 2 / len(window)
        if best is None or sum(columns) < sum(best):
            best = columns
    assert best is not None
    return math.sqrt(sum(best) / len(best)), best
