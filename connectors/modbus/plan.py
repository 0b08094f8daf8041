"""Which addresses to read together. Pure.

A request costs a turnaround, and every address that it reads costs a little more; so neighbours
are read in one request, also over a gap, when that is cheaper than a request of its own. The plan
is the cheapest of all: with the points of an area in the order of their addresses, the cheapest
way to read the first k of them is the cheapest way to read the first j and then one request for
the rest, over all j that the rules allow. What a request costs is linear in its two ends, so the
best j of a sliding window is always at hand (Aho, Hopcroft and Ullman 1974, section 2.8, for the
recursion; the window of minima is a queue whose entries grow): the time is that of the sorting.

The rules are the device's: the longest request, where a request may begin, what is never read.
What the device refused before stands among them as walls.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from connectors.modbus.registers import Area, Point, payload_size, read_pdu

REGISTERS_MAX = 125
"""Modbus 6.3 and 6.4: at most 125 registers in a request."""
BITS_MAX = 2000
"""Modbus 6.1 and 6.2: at most 2000 bits in a request."""
BITS_PER_REGISTER = 16
UNREADABLE_MS = 1e9
"""Cost of a request that breaks a wall: only what cannot be read otherwise is read so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Addresses of one area that follow one another."""

    area: Area
    first: int
    end: int
    """The first behind it."""

    def __str__(self) -> str:
        """Name it as people write it: `holding 100 to 120`."""
        last = self.end - 1
        return f"{self.area.word} {self.first}" + ("" if last == self.first else f" to {last}")


def span_of(point: Point) -> Span:
    """Return the addresses of a point."""
    return Span(area=point.area, first=point.address, end=point.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTiming:
    """What reading costs on a line, in milliseconds."""

    request_ms: float
    """A request and its answer, without the values."""
    register_ms: float
    """Each register, or 16 bits, that it reads."""

    def cost_ms(self, block: "Block") -> float:
        """Return what one request costs."""
        return self.request_ms + self.register_ms * block.registers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules:
    """What a device takes."""

    gap_max: int | None = None
    """Unlisted registers in a row that a request may read along (times 16 for bits); None is
    as many as pay."""
    registers_max: int = REGISTERS_MAX
    bits_max: int = BITS_MAX
    alignment: int = 1
    """A request begins at a multiple of this."""
    walls: tuple[Span, ...] = ()
    """Never read, nor read across."""

    def __post_init__(self) -> None:
        """Check the bounds of the standard."""
        assert 1 <= self.registers_max <= REGISTERS_MAX, self.registers_max
        assert 1 <= self.bits_max <= BITS_MAX, self.bits_max
        assert self.alignment >= 1, self.alignment

    def count_max(self, area: Area) -> int:
        """Return the most addresses that one request may read."""
        return self.bits_max if area.is_bits else self.registers_max

    def start_for(self, address: int) -> int:
        """Return where a request for an address begins."""
        return address - address % self.alignment


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Addresses that one request reads."""

    area: Area
    start: int
    """Zero-based address of the first."""
    count: int
    """Addresses, gaps included."""
    members: tuple[int, ...]
    """Positions of the points in it, in the list that was planned; by address."""

    @property
    def pdu(self) -> bytes:
        """The request."""
        return read_pdu(self.area, start=self.start, count=self.count)

    @property
    def payload_size(self) -> int:
        """Bytes of values in the response."""
        return payload_size(self.area, count=self.count)

    @property
    def registers(self) -> float:
        """Addresses in it, 16 bits counted as one."""
        return self.count / BITS_PER_REGISTER if self.area.is_bits else float(self.count)

    def __str__(self) -> str:
        """Name it as a person does."""
        name = self.area.name.lower().replace("_", " ")
        return f"{name}s {self.start} to {self.start + self.count - 1}"


@dataclass(slots=True)
class _Cell:
    """Points at the same addresses."""

    first: int
    end: int
    members: list[int] = field(default_factory=list)


def plan_blocks(points: Sequence[Point], rules: ReadRules, timing: ReadTiming) -> tuple[Block, ...]:
    """Return the cheapest requests that read all points, by area and address.

    Args:
        points: In any order. Two of them are at the same addresses, or share none; none is
            longer than a request, with what the alignment puts before it.
        rules: What the device takes. A point that cannot be read without breaking a wall is
            read all the same, in a request of its own.
        timing: What a request costs.
    """
    cells: dict[Area, dict[int, _Cell]] = {}
    for position, point in enumerate(points):
        row = cells.setdefault(point.area, {})
        cell = row.setdefault(point.address, _Cell(point.address, point.end))
        assert cell.end == point.end, f"{point} is there in two sizes"
        cell.members.append(position)
    return tuple(
        block
        for area in sorted(cells, key=lambda area: area.value)
        for block in _plan_area(
            area, sorted(cells[area].values(), key=lambda cell: cell.first), rules, timing
        )
    )


def plan_cost_ms(blocks: Iterable[Block], timing: ReadTiming) -> float:
    """Return what one scan of all blocks costs."""
    return sum(timing.cost_ms(block) for block in blocks)


def block_of(
    points: Sequence[Point], members: Sequence[int], rules: ReadRules, *, start: int | None = None
) -> Block:
    """Return the one request that reads some points.

    Args:
        points: The list that was planned.
        members: Positions of points of one area; not empty.
        rules: For the alignment.
        start: Where it begins; None is at the first point.
    """
    ordered = sorted(members, key=lambda member: (points[member].address, member))
    first = points[ordered[0]]
    begin = rules.start_for(first.address if start is None else start)
    end = max(points[member].end for member in ordered)
    return Block(area=first.area, start=begin, count=end - begin, members=tuple(ordered))


def _plan_area(
    area: Area, cells: Sequence[_Cell], rules: ReadRules, timing: ReadTiming
) -> list[Block]:
    unit = BITS_PER_REGISTER if area.is_bits else 1
    address_ms = timing.register_ms / unit
    gap_max = None if rules.gap_max is None else rules.gap_max * unit
    count_max = rules.count_max(area)
    walls = _Walls([wall for wall in rules.walls if wall.area is area])
    # cost[k] is that of reading the first k cells; opener[k] the first cell of the last request.
    cost, opener = [0.0], [0]
    starts: list[int] = []
    keys: list[float] = []
    window: deque[int] = deque()
    end = 0
    for index, cell in enumerate(cells):
        assert cell.first >= end, "points overlap"
        if window and (
            (gap_max is not None and cell.first - end > gap_max) or walls.meet(end, cell.first)
        ):
            window.clear()
        start = rules.start_for(cell.first)
        penalty = UNREADABLE_MS if walls.meet(start, cell.first) else 0.0
        starts.append(start)
        keys.append(cost[index] + timing.request_ms + penalty - address_ms * start)
        while window and keys[window[-1]] > keys[index]:
            window.pop()
        window.append(index)
        while len(window) > 1 and cell.end - starts[window[0]] > count_max:
            window.popleft()
        cost.append(keys[window[0]] + address_ms * cell.end)
        opener.append(window[0])
        end = cell.end
    blocks = []
    behind = len(cells)
    while behind:
        first = opener[behind]
        blocks.append(_block(area, starts[first], cells[first:behind]))
        behind = first
    return blocks[::-1]


def _block(area: Area, start: int, cells: Sequence[_Cell]) -> Block:
    members = tuple(member for cell in cells for member in cell.members)
    return Block(area=area, start=start, count=cells[-1].end - start, members=members)


class _Walls:
    """Spans of one area, to be asked whether a stretch of addresses meets one."""

    def __init__(self, spans: Iterable[Span]) -> None:
        """Join those that overlap."""
        self._firsts: list[int] = []
        self._ends: list[int] = []
        for span in sorted(spans, key=lambda span: span.first):
            if self._ends and span.first <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], span.end)
            else:
                self._firsts.append(span.first)
                self._ends.append(span.end)

    def meet(self, first: int, end: int) -> bool:
        """Return whether a span has an address from `first` up to `end`."""
        position = bisect_right(self._ends, first)
        return first < end and position < len(self._ends) and self._firsts[position] < end
