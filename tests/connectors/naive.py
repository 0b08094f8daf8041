"""The plainest way to compute what the connectors compute cleverly."""

from collections.abc import Sequence
from itertools import product

from connectors.registers import Point


def fewest_blocks(points: Sequence[Point], *, gap_max: int, registers_max: int) -> int:
    """Try every way to cut the points, ordered by address, into blocks; return the fewest."""
    if not points:
        return 0
    ordered = sorted(points, key=lambda point: (point.area.value, point.address, point.size))
    best = len(ordered)
    for cuts in product((False, True), repeat=len(ordered) - 1):
        blocks = [[ordered[0]]]
        for is_cut, point in zip(cuts, ordered[1:], strict=True):
            if is_cut:
                blocks.append([point])
            else:
                blocks[-1].append(point)
        if all(_is_legal(block, gap_max, registers_max) for block in blocks):
            best = min(best, len(blocks))
    return best


def _is_legal(block: Sequence[Point], gap_max: int, registers_max: int) -> bool:
    unit = 16 if block[0].area.is_bits else 1
    end = block[0].address
    for point in block:
        if point.area is not block[0].area or point.address - end > gap_max * unit:
            return False
        end = max(end, point.end)
    return end - block[0].address <= registers_max * unit
