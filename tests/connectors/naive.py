"""The plainest way to compute what the connectors compute cleverly."""

from collections.abc import Iterator, Sequence

from connectors.modbus.plan import ReadRules, ReadTiming
from connectors.modbus.registers import Point


def cheapest_blocks_ms(points: Sequence[Point], rules: ReadRules, timing: ReadTiming) -> float:
    """Try every way to put the points into requests; return the cost of the cheapest legal one.

    Infinite when there is none.
    """
    best = float("inf")
    for groups in _partitions(list(points)):
        costs = [_request_ms(group, rules, timing) for group in groups]
        best = min(best, sum(costs))
    return best


def _partitions(points: list[Point]) -> Iterator[list[list[Point]]]:
    """Yield every way to split a list into groups."""
    if not points:
        yield []
        return
    head, *rest = points
    for groups in _partitions(rest):
        yield [[head], *groups]
        for index, group in enumerate(groups):
            yield [*groups[:index], [head, *group], *groups[index + 1 :]]


def _request_ms(group: Sequence[Point], rules: ReadRules, timing: ReadTiming) -> float:
    """Return what one request for a group costs; infinite when it is not allowed."""
    areas = {point.area for point in group}
    if len(areas) > 1:
        return float("inf")
    [area] = areas
    unit = 16 if area.is_bits else 1
    wanted = {address for point in group for address in range(point.address, point.end)}
    first, last = min(wanted), max(wanted)
    start = first
    while start % rules.alignment:
        start -= 1
    read = range(start, last + 1)
    forbidden = {
        address
        for wall in rules.walls
        if wall.area is area
        for address in range(wall.first, wall.end)
    }
    longest = here = 0
    for address in range(first, last + 1):
        here = 0 if address in wanted else here + 1
        longest = max(longest, here)
    is_legal = (
        len(read) <= (rules.bits_max if area.is_bits else rules.registers_max)
        and (rules.gap_max is None or longest <= rules.gap_max * unit)
        and not (set(read) - wanted) & forbidden
    )
    if not is_legal:
        return float("inf")
    return timing.request_ms + timing.register_ms * len(read) / unit
