"""Where each class of an uplink stands in the log: what is next for it, and how it gets past it.

An uplink has two cursors. `<uplink>/alarms` is blind to samples, so an alarm never waits behind
them. `<uplink>` is the place of the live samples; the holes that it left behind are the backfill.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.core.cursors import Scope, Span
from gateway.core.ports import RecordReader
from gateway.core.records import Record, Seq
from gateway.core.uplink_status import DeliveryClass
from gateway.store import StoreStats


def cursors_of(uplink: str) -> Mapping[str, Scope]:
    """Return the names of an uplink's cursors in the log, and what each is for."""
    return {uplink: Scope.SAMPLES, notes_cursor(uplink): Scope.NOTES}


def notes_cursor(uplink: str) -> str:
    """Return the name of the cursor for events, commands and ledger entries."""
    return f"{uplink}/alarms"


class DeliveryLog(RecordReader, Protocol):
    """What delivery needs of the log; implemented by `gateway.store.RecordLog`."""

    @property
    def end(self) -> Seq:
        """Position of the last committed record; 0 before the first."""

    @property
    def samples_end(self) -> Seq:
        """Position up to which samples may go out; not beyond `end`."""

    async def read(
        self,
        *,
        after: Seq,
        size_bytes_max: int,
        until: Seq | None = None,
        scope: Scope = Scope.ALL,
    ) -> Sequence[Record]:
        """Return records of a scope in a span, in order, at least one if there is any."""

    def cursor(self, name: str) -> Seq:
        """Return how far a reader got; 0 before its first record."""

    def holes(self, name: str) -> tuple[Span, ...]:
        """Return the spans that a reader left for later, the oldest first."""

    async def advance(self, name: str, seq: Seq) -> None:
        """Move a reader's cursor."""

    async def skip(self, name: str, to: Seq) -> None:
        """Move a reader's cursor ahead, with a hole behind it."""

    async def fill(self, name: str, span: Span) -> None:
        """Close what of a reader's holes lies in a span."""

    async def wait_for_records(self, *, after: Seq) -> None:
        """Return as soon as a record behind this position is committed."""

    async def stats(self) -> StoreStats:
        """Return what the log tells of itself, its readers' lag included."""


class Place(Protocol):
    """Where one class stands."""

    kind: DeliveryClass
    """The class."""
    scope: Scope
    """The records that are for it."""

    def next_span(self) -> Span | None:
        """Return the stretch of the log that is next; None when nothing is left."""

    async def passed(self, span: Span, seq: Seq) -> None:
        """Note that the far end has everything from the begin of a span up to a position in it."""


class NotesPlace:
    """Implements `Place` for events, commands, ledger entries and tag tables."""

    kind = DeliveryClass.ALARMS
    scope = Scope.NOTES

    def __init__(self, reader: DeliveryLog, uplink: str) -> None:
        """Go on from the uplink's cursor for notes."""
        self._reader = reader
        self._cursor = notes_cursor(uplink)

    def next_span(self) -> Span | None:
        """Return what is behind the cursor."""
        return _behind(self._reader.cursor(self._cursor), self._reader.end)

    async def passed(self, span: Span, seq: Seq) -> None:
        """Move the cursor."""
        await self._reader.advance(self._cursor, seq)


class LivePlace:
    """Implements `Place` for the samples of the present."""

    kind = DeliveryClass.LIVE
    scope = Scope.SAMPLES

    def __init__(self, reader: DeliveryLog, uplink: str) -> None:
        """Go on from the uplink's cursor for samples."""
        self._reader = reader
        self._cursor = uplink

    @property
    def seq(self) -> Seq:
        """Where the cursor stands."""
        return self._reader.cursor(self._cursor)

    def next_span(self) -> Span | None:
        """Return what is behind the cursor, as far as samples may go out."""
        return _behind(self.seq, self._reader.samples_end)

    async def passed(self, span: Span, seq: Seq) -> None:
        """Move the cursor."""
        await self._reader.advance(self._cursor, seq)

    async def skip_to_the_present(self) -> None:
        """Leave all that is behind the cursor to the backfill."""
        await self._reader.skip(self._cursor, self._reader.samples_end)


class BackfillPlace:
    """Implements `Place` for what the live samples left behind.

    The oldest goes first: what the far end has then grows without a break, the log may let go what
    it kept for it, and what retention would drop next is saved first.
    """

    kind = DeliveryClass.BACKFILL
    scope = Scope.SAMPLES

    def __init__(self, reader: DeliveryLog, uplink: str) -> None:
        """Go on with the holes of the uplink's cursor for samples."""
        self._reader = reader
        self._cursor = uplink

    @property
    def holes(self) -> tuple[Span, ...]:
        """What is left to do, the oldest first."""
        return self._reader.holes(self._cursor)

    def next_span(self) -> Span | None:
        """Return the oldest hole."""
        return next(iter(self.holes), None)

    async def passed(self, span: Span, seq: Seq) -> None:
        """Close the front of the hole."""
        # It may have grown at its end meanwhile; only what was sent is closed.
        await self._reader.fill(self._cursor, Span(first=span.first, last=seq))


def _behind(seq: Seq, end: Seq) -> Span | None:
    return Span(first=Seq(seq + 1), last=end) if end > seq else None
