"""An isolation forest asked one row at a time, by following its cuts."""

import math
from collections.abc import Sequence


def expected_cuts(count: int) -> float:
    """c(n), Liu, Ting and Zhou (2008), equation 1."""
    if count <= 1:
        return 0.0
    if count == 2:
        return 1.0
    harmonic = math.log(count - 1) + 0.5772156649015329
    return 2.0 * harmonic - 2.0 * (count - 1) / count


def saved_cuts(
    row: Sequence[float],
    *,
    column: Sequence[int],
    limit: Sequence[float],
    low: Sequence[int],
    high: Sequence[int],
    row_count: Sequence[int],
) -> list[float]:
    """What each column's cuts in one tree save: the fall of c at each, less the cut itself."""
    saved = [0.0] * len(row)
    node = 0
    while low[node] >= 0:
        asked = column[node]
        below = low[node] if row[asked] <= limit[node] else high[node]
        saved[asked] += expected_cuts(row_count[node]) - expected_cuts(row_count[below]) - 1.0
        node = below
    return saved
