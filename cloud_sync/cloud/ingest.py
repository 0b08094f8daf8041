"""Takes batches from gateways: whole, once, and on disk before they are acknowledged.

A batch is unpacked and checked in a worker thread, then one transaction notes the identity of
every record in it, puts its events, ledger entries and commands into their tables, the batch
itself into the inbox, and counts. A record whose identity `(gateway, boot, seq)` is known already
is a duplicate: counted, acknowledged and not kept again, so a gateway that got no answer simply
sends again, also while the first request is still running. A batch with one damaged record is
refused whole: an acknowledged record is one that can be read.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated

import structlog
from pydantic import Field

from cloud_sync.cloud.database import Database
from cloud_sync.cloud.ranges import fresh_positions, merged_ranges
from cloud_sync.cloud.unpack import Identity, Note, Unpacked, raw_sample_count, unpack
from gateway.core.commands import Command
from gateway.core.errors import CorruptRecordError, GatewayError, StoreError
from gateway.core.events import Event
from gateway.core.ports import Clock
from gateway.core.records import LedgerEntry
from gateway.core.settings import Settings
from gateway.wire.batches import BATCH_SIZE_BYTES_MAX

log = structlog.get_logger()


class IngestSettings(Settings):
    """Bounds on what gateways send."""

    batch_size_bytes_max: Annotated[int, Field(ge=65_536, le=BATCH_SIZE_BYTES_MAX)] = (
        32 * 1024 * 1024
    )
    """Largest request; the default always fits one full record, so none can get stuck."""
    batch_samples_max: Annotated[int, Field(ge=1_000_000, le=16_000_000)] = 2_000_000
    """Samples in one request after unpacking; one record may have 1,000,000."""
    parallel_batches_max: Annotated[int, Field(ge=1, le=64)] = 2
    """Batches that are unpacked at the same time; each may need 100 MB for a moment."""
    waiting_batches_max: Annotated[int, Field(ge=1, le=1024)] = 32
    """Batches that wait for their turn; a further one is told to come back."""
    receive_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """Longest time that one request may take to arrive."""
    inbox_size_bytes_max: Annotated[int, Field(ge=1024 * 1024)] = 4 * 1024**3
    """Acknowledged batches waiting for the lake; beyond it gateways are told to come back."""


class WrongGatewayError(GatewayError):
    """A batch was sent in the name of another gateway."""


class BusyError(GatewayError):
    """There is no room at the moment; the same batch will pass later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was safely taken."""

    record_count: int
    """Records in the batch, all of them on disk now."""
    sample_count: int
    """Raw samples in them, whether new or known already."""
    duplicate_count: int
    """Records among them that had come before."""
    fresh_sample_count: int
    """Raw samples that had not."""
    is_historical: bool = False
    """Whether they are of the past: for books and trends, never to act upon."""


class Ingest:
    """Takes batches; safe to be called concurrently."""

    def __init__(self, database: Database, *, settings: IngestSettings, clock: Clock) -> None:
        """Begin with what the database holds."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._places = asyncio.Semaphore(settings.parallel_batches_max)
        self._waiting = 0
        self._failing_since_ns: int | None = None

    async def take(self, body: bytes, *, gateway: str) -> Receipt:
        """Take one encoded batch; it is on disk when this returns.

        Args:
            body: Bytes from anywhere.
            gateway: Who sends it, by its token.
        Raises:
            CorruptRecordError: a record is damaged; nothing of the batch was taken.
            TooManySamplesError: a smaller batch may pass; nothing was taken.
            WrongGatewayError: it names another gateway; nothing was taken.
            BusyError: nothing was taken, for lack of room.
            StoreError: the disk refuses; nothing was taken.
        """
        if self._waiting >= self._settings.waiting_batches_max:
            raise BusyError(f"{self._waiting} batches are waiting already")
        self._waiting += 1
        try:
            async with self._places:
                unpacked = await asyncio.to_thread(
                    unpack, body, sample_count_max=self._settings.batch_samples_max
                )
                if unpacked.gateway != gateway:
                    raise WrongGatewayError(
                        f"the batch is of {unpacked.gateway!r}, the token of {gateway!r}"
                    )
                work = partial(
                    _store,
                    unpacked=unpacked,
                    body=body,
                    received_ns=self._clock.now_ns(),
                    inbox_size_bytes_max=self._settings.inbox_size_bytes_max,
                )
                receipt = await self._database.transact(work)
        except CorruptRecordError:
            raise
        except StoreError as error:
            self._failed(error)
            raise
        finally:
            self._waiting -= 1
        self._succeeded()
        return receipt

    def _failed(self, error: StoreError) -> None:
        """Tell once that nothing can be committed."""
        if self._failing_since_ns is None:
            self._failing_since_ns = self._clock.monotonic_ns()
            log.error("ingest_failed", stage="receiving", reason=str(error))

    def _succeeded(self) -> None:
        """Tell once that commits work again."""
        if self._failing_since_ns is not None:
            duration_s = (self._clock.monotonic_ns() - self._failing_since_ns) / 1e9
            self._failing_since_ns = None
            log.info("ingest_resumed", duration_s=round(duration_s, 1))


def _store(
    connection: sqlite3.Connection,
    *,
    unpacked: Unpacked,
    body: bytes,
    received_ns: int,
    inbox_size_bytes_max: int,
) -> Receipt:
    """Store one batch inside a transaction."""
    level = connection.execute("SELECT size_bytes FROM inbox_level").fetchone()
    if level["size_bytes"] + len(body) > inbox_size_bytes_max:
        raise BusyError(f"{level['size_bytes']} bytes wait for the lake; it does not take them")
    gateway = unpacked.gateway
    fresh = _mark_seen(connection, gateway, unpacked.records)
    kept = [piece for piece in unpacked.pieces if piece.identity in fresh]
    known = sorted({piece.identity for piece in unpacked.pieces} - fresh)
    row_count = sum(len(piece.stored.frame) for piece in kept)
    if row_count:
        connection.execute(
            "INSERT INTO inbox (received_ns, row_count, size_bytes, known, body) "
            "VALUES (?, ?, ?, ?, ?)",
            (received_ns, row_count, len(body), json.dumps(known), body),
        )
    notes = [note for note in unpacked.notes if note.identity in fresh]
    for note in notes:
        _store_note(connection, gateway, note)
    receipt = Receipt(
        record_count=len(unpacked.records),
        sample_count=unpacked.raw_sample_count,
        duplicate_count=sum(fresh.isdisjoint(record) for record in unpacked.records),
        fresh_sample_count=raw_sample_count(kept),
        is_historical=unpacked.is_historical,
    )
    _count(connection, gateway, receipt, notes, received_ns)
    return receipt


def _mark_seen(
    connection: sqlite3.Connection, gateway: str, records: Iterable[tuple[Identity, ...]]
) -> set[Identity]:
    """Note the identities of these records as known, and return those that were not."""
    seqs_by_boot: dict[int, list[int]] = {}
    for record in records:
        for boot, seq in record:
            seqs_by_boot.setdefault(boot, []).append(seq)
    fresh: set[Identity] = set()
    for boot, seqs in seqs_by_boot.items():
        # One beyond either end, so that neighbouring ranges are found and joined.
        near = (gateway, boot, max(seqs) + 1, min(seqs) - 1)
        rows = connection.execute(
            "SELECT first, last FROM seen "
            "WHERE gateway = ? AND boot = ? AND first <= ? AND last >= ? ORDER BY first",
            near,
        ).fetchall()
        ranges = [(row["first"], row["last"]) for row in rows]
        fresh_seqs = fresh_positions(ranges, seqs)
        if not fresh_seqs:
            continue
        fresh.update((boot, seq) for seq in fresh_seqs)
        connection.executemany(
            "DELETE FROM seen WHERE gateway = ? AND boot = ? AND first = ?",
            [(gateway, boot, first) for first, _ in ranges],
        )
        connection.executemany(
            "INSERT INTO seen (gateway, boot, first, last) VALUES (?, ?, ?, ?)",
            [(gateway, boot, *run) for run in merged_ranges(ranges, fresh_seqs)],
        )
    return fresh


def _store_note(connection: sqlite3.Connection, gateway: str, note: Note) -> None:
    content = note.content
    row: Mapping[str, object] = {
        **asdict(content),
        "gateway": gateway,
        "boot": note.identity[0],
        "seq": note.identity[1],
    }
    if isinstance(content, Event):
        # An event keeps its id when the gateway makes it again after a crash.
        connection.execute(
            "INSERT OR IGNORE INTO events VALUES (:gateway, :id, :boot, :seq, :time_ns, :source, "
            ":condition, :severity, :transition, :onset_ns, :operator, :text)",
            {**row, "id": content.id},
        )
    elif isinstance(content, LedgerEntry):
        connection.execute(
            "INSERT INTO ledger VALUES (:gateway, :boot, :seq, :reason, :source, :from_ns, :to_ns, "
            ":count, :tags, :error_percent)",
            {**row, "tags": json.dumps(content.tags)},
        )
    else:
        assert isinstance(content, Command)
        connection.execute(
            "INSERT INTO commands VALUES (:gateway, :boot, :seq, :id, :tag, :value, :origin, "
            ":operator, :state, :reason)",
            row,
        )


def _count(
    connection: sqlite3.Connection,
    gateway: str,
    receipt: Receipt,
    notes: Iterable[Note],
    received_ns: int,
) -> None:
    contents = [note.content for note in notes]
    entries = [content for content in contents if isinstance(content, LedgerEntry)]
    gap_count = sum(entry.reason.is_gap for entry in entries)
    connection.execute(
        "INSERT INTO gateways VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET "
        "record_count = record_count + ?2, sample_count = sample_count + ?3, "
        "duplicate_count = duplicate_count + ?4, loss_count = loss_count + ?5, "
        "gap_count = gap_count + ?6, event_count = event_count + ?7, last_received_ns = ?8",
        (
            gateway,
            receipt.record_count - receipt.duplicate_count,
            receipt.fresh_sample_count,
            receipt.duplicate_count,
            len(entries) - gap_count,
            gap_count,
            sum(isinstance(content, Event) for content in contents),
            received_ns,
        ),
    )
