"""One request of a scan: how to ask for a block, how to read its answer, and what it is for."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.modbus.exchange import Request
from connectors.modbus.isolation import Isolation
from connectors.modbus.plan import Block
from connectors.modbus.registers import BlockDecoder, Point
from connectors.modbus.set_aside import AsideEntry
from gateway.core.arrays import IndexArray, index_column


@dataclass(slots=True, kw_only=True, eq=False)
class Search:
    """An isolation at work."""

    isolation: Isolation
    block: Block
    exception_code: int
    is_paused: bool = False
    """Whether it waits for the next scan, because the device is busy."""
    scan_count: int = 0
    """Scans that ended before it was at its end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Read:
    """One request, how to read its answer, and what it is for."""

    block: Block
    request: Request
    decoder: BlockDecoder | None
    """None where there is only text."""
    members: IndexArray
    """Position in the group of each value that the decoder gives, shape (n,)."""
    texts: tuple[int, ...]
    """Positions in the group of the texts in it."""
    positions: IndexArray
    """The same of all that is in it."""
    search: Search | None = None
    """What asks for it, when it is part of a refused block."""
    entry: AsideEntry | None = None
    """The set-aside points that are tried."""


def read_of(points: Sequence[Point], block: Block) -> Read:
    """Return how to ask for a block of points of a group, and how to read the answer."""
    numbers = [member for member in block.members if not points[member].is_text]
    decoder = None
    if numbers:
        decoder = BlockDecoder([points[member] for member in numbers], start=block.start)
    return Read(
        block=block,
        request=Request(block.pdu, block.payload_size),
        decoder=decoder,
        members=index_column([numbers[index] for index in decoder.order] if decoder else []),
        texts=tuple(member for member in block.members if points[member].is_text),
        positions=index_column(block.members),
    )
