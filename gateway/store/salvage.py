"""Salvage: what can still be read of a damaged database goes on in a new one.

A damaged page hides the records on it, or below it, and no others: the rows around are read in
order, and where that fails the next readable position is looked for. Between two rows the running
total of samples says exactly how many are lost; the ledger gets an entry for each such stretch.
Bodies are copied as they lie: whether one is sound, whoever reads it will see.

The new database is made beside the damaged one and takes its name only when it is complete, so
that a stop at any instant leaves one of the two to begin with.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog

from gateway.core.cursors import Cursor
from gateway.core.errors import CorruptRecordError
from gateway.core.records import Boot, LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.core.tags import TagTable
from gateway.store.bodies import Bodies, record_place
from gateway.store.database import INSERT_RECORD, LogDatabase, missing_entry
from gateway.store.files import LogFiles
from gateway.store.keys import take_keys
from gateway.store.removed import removed_count
from gateway.store.sums import state_value
from gateway.store.tag_tables import has_table, mend_tables
from gateway.wire.documents import decode_ledger_entry, draft_ledger_entry

log = structlog.get_logger()

_BYTES_PER_STEP = 4 * 1024 * 1024
_SEQ_MAX = 2**63 - 1
_UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""The second is Python's, when SQLite's message quotes what it has found."""
_SELECT = "SELECT * FROM record WHERE seq > ? AND seq <= ? ORDER BY seq"
_TABLES = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('record', 'state')"
    " AND name NOT LIKE 'sqlite%'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the writer knows of a log whose database was damaged while it ran."""

    boot: Boot
    end: Seq
    """The last record that was committed; what lies behind is about to be written again."""
    raw_total: int
    """Raw samples up to there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """What became of a damaged database."""

    aside: Path
    """Where it is now."""
    record_count: int
    """Records that go on in the new one."""
    losses: tuple[LedgerEntry, ...]
    """What could not be read, as it stands in the ledger."""


def renew(
    files: LogFiles, bodies: Bodies, *, now_ns: int, known: Known | None = None
) -> tuple[LogDatabase, Rescue]:
    """Set the damaged database aside, and open a new one with all that could be read of it.

    Args:
        files: Of the log; locked.
        bodies: As the log's.
        now_ns: UTC.
        known: What the running writer knows; None when the log is just being opened.
    Raises:
        sqlite3.Error: the disk refuses.
        OSError: the disk refuses.
    """
    files.begin_rescue()
    try:
        record_count, losses = _rescue(files, bodies, now_ns=now_ns, known=known)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            raise
        # No room for both: an empty one goes on, and the data is in the file set aside.
        files.begin_rescue()
        record_count, losses = _rescue(files, bodies, now_ns=now_ns, known=known, is_empty=True)
    files.complete_rescue()
    aside = files.finish_rescue(now_ns=now_ns)
    assert aside is not None
    log.error(
        "log_set_aside",
        path=str(files.database),
        kept_as=str(aside),
        rescued_records=record_count,
        losses=len(losses),
        lost_samples=sum(loss.count or 0 for loss in losses),
        stage="processing",
    )
    database = LogDatabase.open(files.database, bodies)
    return database, Rescue(aside=aside, record_count=record_count, losses=losses)


def go_on(
    files: LogFiles,
    bodies: Bodies,
    known: Known,
    *,
    cursors: Mapping[str, Cursor],
    table: TagTable | None,
    now_ns: int,
) -> LogDatabase:
    """Renew the database of a running log, and let it go on where it was.

    Args:
        files: Of the log; locked.
        bodies: As the log's.
        known: What the running writer knows.
        cursors: As they were last committed.
        table: The tags of the running epoch; None before there were any.
        now_ns: UTC.
    Raises:
        sqlite3.Error: the disk refuses.
        OSError: the disk refuses.
    """
    database, _ = renew(files, bodies, now_ns=now_ns, known=known)
    take_keys(database)
    with database.transaction():
        database.set_state("is_clean", 0)
        database.save_cursors(cursors)
        if table is not None and not has_table(database.connection, table.epoch):
            database.add_tags(table, boot=known.boot, stored_ns=now_ns)
    return database


def _rescue(
    files: LogFiles,
    bodies: Bodies,
    *,
    now_ns: int,
    known: Known | None,
    is_empty: bool = False,
) -> tuple[int, tuple[LedgerEntry, ...]]:
    """Make the new database beside the damaged one; returns its records and what is lost."""
    with (
        closing(LogDatabase.open(files.rescue, bodies)) as target,
        closing(sqlite3.connect(files.database, isolation_level=None)) as source,
    ):
        # SQLite's own word for "read what is there", such as a file that was cut short.
        source.execute("PRAGMA writable_schema = ON")
        salvage = _Salvage(source, target, now_ns=now_ns, known=known)
        if not is_empty:
            salvage.copy_tables()
            salvage.copy_records()
            salvage.mend()
        boot = known.boot if known else Boot(max(target.state("boot", 0), files.read_boot()) + 1)
        # Nobody may have met this number: the entries below are new records.
        files.write_boot(boot)
        salvage.close_books(boot)
        return salvage.record_count, tuple(salvage.losses)


class _Row(NamedTuple):
    """One row of the table of records, as it lies."""

    seq: int
    first_seq: int
    boot: int
    kind: int
    raw_count: int
    sample_count: int
    raw_total: int
    first_ns: int
    last_ns: int
    stored_ns: int
    body: bytes

    def is_sound(self, *, after: "_Row | None") -> bool:
        """Return whether it can be the next row of a log."""
        return (
            all(isinstance(number, int) for number in self[:-1])
            and isinstance(self.body, bytes)
            and self.kind in set(RecordKind)
            and (after.seq if after else 0) < self.first_seq <= self.seq
            and 0 <= self.raw_count <= self.raw_total - (after.raw_total if after else 0)
        )


class _Salvage:
    """Copies from the one to the other."""

    def __init__(
        self,
        source: sqlite3.Connection,
        target: LogDatabase,
        *,
        now_ns: int,
        known: Known | None,
    ) -> None:
        self.record_count = 0
        self.losses: list[LedgerEntry] = []
        self._source = source
        self._target = target
        self._now_ns = now_ns
        self._known = known
        self._last: _Row | None = None
        self._is_torn = False
        """Whether something could not be read since the last row."""
        self._silent: list[LedgerEntry] = []
        """Stretches that are missing between two rows, though nothing failed."""

    def copy_records(self) -> None:
        """Copy every row that can be read, in short transactions."""
        rows: list[_Row] = []
        size_bytes = 0
        for row in self._rows():
            rows.append(row)
            size_bytes += len(row.body)
            if size_bytes > _BYTES_PER_STEP:
                self._write(rows)
                rows, size_bytes = [], 0
        self._write(rows)

    def copy_tables(self) -> None:
        """Copy what stands beside the records; a table that cannot be read begins empty."""
        for (table,) in self._target.connection.execute(_TABLES).fetchall():
            with suppress(*_UNREADABLE):  # as if it had held nothing
                rows = self._source.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                places = ", ".join("?" * len(rows[0])) if rows else ""
                with self._target.transaction():
                    self._target.connection.executemany(
                        f"INSERT INTO {table} VALUES ({places})",  # noqa: S608
                        rows,
                    )
        with self._target.transaction():
            self._copy_state()

    def mend(self) -> None:
        """Make up for tag tables that could not be read; call it when the records are there."""
        with self._target.transaction():
            mend_tables(self._target.connection, self._target.bodies)

    def _copy_state(self) -> None:
        with suppress(*_UNREADABLE):
            for name, stored in self._source.execute("SELECT name, value FROM state").fetchall():
                with suppress(*_UNREADABLE, ValueError):
                    self._target.set_state(name, state_value(name, stored))

    def close_books(self, boot: Boot) -> None:
        """Go on behind every position that was used, and enter the losses."""
        target, last = self._target, self._last
        end = max(last.seq if last else 0, self._sequence())
        raw_total = max(last.raw_total if last else 0, target.state("raw_total", 0))
        if self._known is not None:
            end, raw_total = self._known.end, self._known.raw_total
        if last is None or self._is_torn or last.seq < end:
            # How much there was behind the last row, only the writer or a clean stop can tell.
            is_known = last is not None and (self._known or target.state("is_clean", 0))
            missing = raw_total - last.raw_total if last and is_known else None
            loss = self._loss(last.last_ns if last else 0, self._now_ns, count=missing)
            (self.losses if last is None or self._is_torn else self._silent).append(loss)
        self.losses += self._unexplained()
        with target.transaction():
            target.go_on_after(Seq(end), raw_total=raw_total)
            target.set_state("boot", boot)
            target.set_state("is_clean", target.state("is_clean", 0))
            target.append(
                [draft_ledger_entry(loss) for loss in self.losses],
                boot=boot,
                stored_ns=self._now_ns,
            )

    def _rows(self) -> Iterator[_Row]:
        """Yield the rows that can be read, in order; what is lost between them is noted."""
        end = self._known.end if self._known else _SEQ_MAX
        position: int | None = 0
        while position is not None:
            try:
                for values in self._source.execute(_SELECT, (position, end)):
                    row = _Row._make(values)
                    self._accept(row)
                    position = row.seq
                    yield row
            except (*_UNREADABLE, CorruptRecordError):
                self._is_torn = True
                position = self._next_readable(position, end)
            else:
                return

    def _next_readable(self, position: int, end: int) -> int | None:
        """Return the first position behind a damaged stretch; None when there is none."""
        step = 1
        while not self._can_read(position + step, end):
            step *= 2
            if position + step >= end:
                return None
        # Readable there, and not at half of it: the edge lies between.
        low, high = step // 2, step
        while high - low > 1:
            middle = (low + high) // 2
            if self._can_read(position + middle, end):
                high = middle
            else:
                low = middle
        return position + high

    def _can_read(self, position: int, end: int) -> bool:
        """Return whether the next row behind a position can be read, or there is none."""
        try:
            self._source.execute(f"{_SELECT} LIMIT 1", (position, end)).fetchone()
        except _UNREADABLE:
            return False
        return True

    def _accept(self, row: _Row) -> None:
        """Take the next row, and note what is lost before it.

        Raises:
            CorruptRecordError: it cannot be a row of a log.
        """
        last = self._last
        if not row.is_sound(after=last):
            raise CorruptRecordError(f"what stands at {row.seq} is no record")
        lost = self._lost_between(last, row) if last is not None else 0
        is_gap = last is not None and row.first_seq > last.seq + 1
        if last is not None and (self._is_torn or lost or is_gap):
            loss = self._loss(last.last_ns, row.first_ns, count=lost)
            (self.losses if self._is_torn else self._silent).append(loss)
        elif self._is_torn:
            # What was there before the first row may have been dropped long ago.
            self.losses.append(self._loss(0, row.first_ns, count=None))
        self._is_torn = False
        self._last = row

    def _lost_between(self, last: _Row, row: _Row) -> int:
        """Return the raw samples that are missing between two rows, and were not taken out."""
        total = row.raw_total - row.raw_count - last.raw_total
        return max(0, total - removed_count(self._target.connection, last.seq + 1, row.seq))

    def _write(self, rows: list[_Row]) -> None:
        with self._target.transaction():
            self._target.connection.executemany(INSERT_RECORD, rows)
        self.record_count += len(rows)

    def _unexplained(self) -> list[LedgerEntry]:
        """Return what is missing without a word: a page that was passed over, not dropped."""
        notes = self._target.connection.execute(
            "SELECT seq, body FROM record WHERE kind = ?", (int(RecordKind.LEDGER),)
        ).fetchall()
        told: list[LedgerEntry] = []
        for seq, stored in notes if self._silent else ():
            with suppress(CorruptRecordError):  # whoever reads the record will tell
                body = self._target.bodies.get(stored, place=record_place(seq))
                told.append(decode_ledger_entry(body))
        return [
            loss
            for loss in self._silent
            if not any(
                entry.from_ns < loss.to_ns and loss.from_ns < entry.to_ns
                for entry in told
                if not entry.reason.is_gap
            )
        ]

    def _sequence(self) -> int:
        """Return the last position that the damaged database gave out; 0 when it cannot tell."""
        with suppress(*_UNREADABLE):
            row = self._source.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'record'"
            ).fetchone()
            return row[0] if row and isinstance(row[0], int) else 0
        return 0

    def _loss(self, from_ns: int, to_ns: int, *, count: int | None) -> LedgerEntry:
        return missing_entry(
            LedgerReason.CORRUPT, first_ns=from_ns, last_ns=max(from_ns, to_ns), count=count
        )
