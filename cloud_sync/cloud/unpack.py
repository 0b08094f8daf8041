"""An encoded batch into what the cloud keeps of it; every body is opened and checked.

Pure, and used twice: before a batch is acknowledged, to refuse one that could not be read later,
and when its samples go to the lake. The bytes may come from an enemy: everything that the
database or the lake could choke on is refused here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.core.commands import Command
from gateway.core.errors import CorruptRecordError, GatewayError
from gateway.core.events import Event
from gateway.core.ports import Batch
from gateway.core.records import LedgerEntry, Record, RecordKind
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.wire.batches import decode_batch
from gateway.wire.documents import decode_command, decode_event, decode_ledger_entry, decode_tags
from gateway.wire.frames import StoredFrame, frames_of

Identity = tuple[int, int]
"""Boot and seq: what a record is, on one gateway."""

_POSITION_MAX: Final = 1 << 62
"""Of boot and seq; leaves room for arithmetic in SQLite's 64 bits."""
_INT64: Final = range(-(1 << 63), 1 << 63)


class TooManySamplesError(GatewayError):
    """A batch holds more samples than one request may bring; a smaller one passes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """One frame, with the table that names its tags."""

    stored: StoredFrame
    table: TagTable

    @property
    def identity(self) -> Identity:
        """Boot and seq of the frame."""
        return self.stored.boot, self.stored.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A document among the records."""

    identity: Identity
    content: Event | LedgerEntry | Command


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unpacked:
    """What a batch holds."""

    gateway: str
    """Who says to have sent it; not proven yet."""
    records: tuple[tuple[Identity, ...], ...]
    """For each record what it stands for: itself, or the frames that a block was sealed from."""
    pieces: tuple[Piece, ...]
    """All frames, those of blocks among them, in the order of the batch."""
    notes: tuple[Note, ...]
    """All events, ledger entries and commands."""
    is_historical: bool = False
    """Whether the sender fills a hole with it behind what it delivered already."""

    @property
    def raw_sample_count(self) -> int:
        """Samples that a server offered; what the gateway states or computes does not count."""
        return raw_sample_count(self.pieces)


def raw_sample_count(pieces: Iterable[Piece]) -> int:
    """Return the number of samples in those frames that were received."""
    return sum(len(piece.stored.frame) for piece in pieces if piece.stored.kind is RecordKind.FRAME)


def unpack(data: bytes, *, sample_count_max: int) -> Unpacked:
    """Return what an encoded batch holds.

    Args:
        data: Bytes from anywhere.
        sample_count_max: Samples of all kinds in all its records together.
    Raises:
        CorruptRecordError: the batch or one of its records is damaged; says which.
        TooManySamplesError: it holds more samples than allowed.
    """
    batch = decode_batch(data)
    tables = _checked_tables(batch)
    records: list[tuple[Identity, ...]] = []
    pieces: list[Piece] = []
    notes: list[Note] = []
    left = sample_count_max
    for number, record in enumerate(batch.records, 1):
        try:
            if record.kind in _NOTE_KINDS:
                identities = _note_identity(record, notes)
            elif record.kind is RecordKind.TAGS:
                decode_tags(record.body)
                identities = ((record.boot, record.seq),)
            else:
                found = _pieces_of(record, tables)
                left -= sum(len(piece.stored.frame) for piece in found)
                pieces.extend(found)
                identities = tuple(piece.identity for piece in found)
            _check_identities(identities)
        except CorruptRecordError as error:
            raise CorruptRecordError(
                f"record {number} of {len(batch.records)} (boot {record.boot}, seq {record.seq}, "
                f"{record.kind.name}): {error}"
            ) from error
        if left < 0:
            raise TooManySamplesError(f"the batch holds more than {sample_count_max} samples")
        records.append(identities)
    return Unpacked(
        gateway=batch.gateway,
        records=tuple(records),
        pieces=tuple(pieces),
        notes=tuple(notes),
        is_historical=batch.is_historical,
    )


_NOTE_KINDS: Final = frozenset((RecordKind.EVENT, RecordKind.LEDGER, RecordKind.COMMAND))


def _checked_tables(batch: Batch) -> dict[ConfigEpoch, TagTable]:
    try:
        for table in batch.tables:
            "".join(tag.id for tag in table.tags).encode()
    except UnicodeEncodeError as error:
        raise CorruptRecordError(f"a tag's name is no text: {error}") from error
    return {table.epoch: table for table in batch.tables}


def _pieces_of(record: Record, tables: dict[ConfigEpoch, TagTable]) -> tuple[Piece, ...]:
    frames, epoch = frames_of(record)
    if epoch not in tables:
        raise CorruptRecordError(f"the batch lacks the tag table of epoch {epoch}")
    table = tables[epoch]
    for stored in frames:
        index = stored.frame.tag_index
        if len(index) and index.max() >= len(table):
            raise CorruptRecordError(f"sample of tag {index.max()}; the table has {len(table)}")
    return tuple(Piece(stored=stored, table=table) for stored in frames)


def _note_identity(record: Record, notes: list[Note]) -> tuple[Identity, ...]:
    content = _note_content(record)
    numbers: tuple[int | None, ...] = ()
    if isinstance(content, Event):
        numbers = (content.time_ns, content.onset_ns)
    elif isinstance(content, LedgerEntry):
        numbers = (content.from_ns, content.to_ns, content.count)
    if any(number is not None and number not in _INT64 for number in numbers):
        raise CorruptRecordError(f"a number is beyond 64 bits: {numbers}")
    identity = (record.boot, record.seq)
    notes.append(Note(identity=identity, content=content))
    return (identity,)


def _note_content(record: Record) -> Event | LedgerEntry | Command:
    if record.kind is RecordKind.EVENT:
        return decode_event(record.body)
    if record.kind is RecordKind.LEDGER:
        return decode_ledger_entry(record.body)
    return decode_command(record.body)


def _check_identities(identities: Iterable[Identity]) -> None:
    for boot, seq in identities:
        if not (0 <= boot <= _POSITION_MAX and 0 <= seq <= _POSITION_MAX):
            raise CorruptRecordError(f"boot {boot}, seq {seq} cannot be")
