"""Sets of positions kept as ranges: what a gateway delivered is mostly one long run."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

Range = tuple[int, int]
"""First and last position, both inclusive."""


def fresh_positions(ranges: Sequence[Range], positions: Iterable[int]) -> list[int]:
    """Return the positions that no range holds, each once, in growing order.

    Args:
        ranges: In growing order, not overlapping.
        positions: In any order.
    """
    firsts = [first for first, _ in ranges]
    fresh = []
    for position in sorted(set(positions)):
        index = bisect_right(firsts, position) - 1
        if index < 0 or position > ranges[index][1]:
            fresh.append(position)
    return fresh


def merged_ranges(ranges: Iterable[Range], positions: Iterable[int]) -> list[Range]:
    """Return the ranges with the positions added, in growing order, neighbours joined."""
    merged: list[Range] = []
    for first, last in sorted([*ranges, *((position, position) for position in positions)]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
