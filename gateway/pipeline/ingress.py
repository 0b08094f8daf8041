"""The one queue into the pipeline: it fixes the order and pushes back when it is full."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.records import LedgerEntry

Entry: TypeAlias = Frame | Event | LedgerEntry
"""What can enter: samples, something that happened, samples that are missing."""

SMALL_ENTRY_BYTES = 512
"""What an event or a ledger entry is reckoned to take."""


class Ingress:
    """A queue bounded in bytes; `put` waits for room, `take` empties it in one go.

    Events and ledger entries never wait: they are few, and whoever notes one may not be able to.
    """

    def __init__(self, *, size_bytes_max: int) -> None:
        """Make an empty queue.

        Args:
            size_bytes_max: Bound on the frames waiting; one frame always fits into an empty queue.
        """
        assert size_bytes_max > 0
        self._size_bytes_max = size_bytes_max
        self._entries: deque[Entry] = deque()
        self._size_bytes = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.received_samples = 0
        """Samples that servers gave us since the start: the book's `received` of this boot."""

    @property
    def size_bytes(self) -> int:
        """Bytes waiting."""
        return self._size_bytes

    async def put(self, frame: Frame) -> None:
        """Add a frame; waits while the queue is full, and keeps the order of the callers."""
        while self._size_bytes and self._size_bytes + frame.size_bytes > self._size_bytes_max:
            self._room.clear()
            await self._room.wait()
        if frame.is_received:
            self.received_samples += len(frame)
        self._add(frame)

    def note(self, entry: Frame | Event | LedgerEntry) -> None:
        """Add a small entry at once, whatever the fill."""
        self._add(entry)

    async def take(self) -> list[Entry]:
        """Return all that is waiting, in order; waits until there is something."""
        await self._filled.wait()
        entries = list(self._entries)
        self._entries.clear()
        self._size_bytes = 0
        self._filled.clear()
        self._room.set()
        return entries

    def give_back(self, entries: Sequence[Entry]) -> None:
        """Put entries that were taken and not processed back to the front, in their order."""
        if entries:
            self._entries.extendleft(reversed(entries))
            self._size_bytes += sum(_size_bytes(entry) for entry in entries)
            self._filled.set()

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._size_bytes += _size_bytes(entry)
        self._filled.set()


def _size_bytes(entry: Entry) -> int:
    return entry.size_bytes if isinstance(entry, Frame) else SMALL_ENTRY_BYTES
