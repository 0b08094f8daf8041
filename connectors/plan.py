"""Which addresses to read together. Pure.

A request costs a round trip, an address two bytes; so neighbours are read in one request, also
over a small gap. A gap may hold addresses that the device refuses, and a refusal makes the whole
block Bad: that is why the gap is bounded by a setting and zero is allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.registers import Area, Point, payload_size, read_pdu

REGISTERS_MAX = 125
"""Modbus 6.3 and 6.4: at most 125 registers in a request."""
BITS_PER_REGISTER = 16
"""Modbus 6.1 and 6.2 allow 2000 bits in a request: as many as 125 registers hold."""


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

    def __str__(self) -> str:
        """Name it as a person does."""
        name = self.area.name.lower().replace("_", " ")
        return f"{name}s {self.start} to {self.start + self.count - 1}"


def plan_blocks(
    points: Sequence[Point], *, gap_max: int, registers_max: int = REGISTERS_MAX
) -> tuple[Block, ...]:
    """Return the fewest requests that read all points and nothing wider than allowed.

    From the lowest address on, a block grows as long as it may. That is optimal: starting any
    block later, or ending it earlier, never saves a request.

    Args:
        points: In any order; a point is never split between two requests.
        gap_max: Unwanted registers in a row that a request may read along (times 16 for bits).
        registers_max: Longest request that the device takes (times 16 for bits).
    """
    assert gap_max >= 0
    assert 4 <= registers_max <= REGISTERS_MAX
    order = sorted(range(len(points)), key=lambda index: _place(points[index]))
    blocks: list[Block] = []
    members: list[int] = []
    end = 0
    for index in order:
        point = points[index]
        if members:
            first = points[members[0]]
            unit = BITS_PER_REGISTER if point.area.is_bits else 1
            fits = (
                point.area is first.area
                and point.address - end <= gap_max * unit
                and max(end, point.end) - first.address <= registers_max * unit
            )
            if not fits:
                blocks.append(_block(points, members, end))
                members = []
        members.append(index)
        end = max(end, point.end) if len(members) > 1 else point.end
    if members:
        blocks.append(_block(points, members, end))
    return tuple(blocks)


def _place(point: Point) -> tuple[int, int, int]:
    return (point.area.value, point.address, point.size)


def _block(points: Sequence[Point], members: Sequence[int], end: int) -> Block:
    first = points[members[0]]
    return Block(
        area=first.area, start=first.address, count=end - first.address, members=tuple(members)
    )
