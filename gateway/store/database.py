"""The one connection that writes the log; the tables are in `schema.py`.

Every change goes through `LogDatabase.transaction`; what the object remembers (`last_seq`,
`raw_total`) follows a rollback.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from gateway.core.cursors import Cursor, Scope, Span
from gateway.core.errors import CorruptRecordError, StoreError
from gateway.core.records import Boot, Draft, LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.store.bodies import Bodies, checkpoint_place, epoch_place, record_place
from gateway.store.damage import damage
from gateway.store.removed import note_removed
from gateway.store.schema import prepare
from gateway.store.sums import close_checkpoint_part, state_value, sum_of_cursors, with_sum
from gateway.store.tag_tables import read_table
from gateway.wire.body import open_body
from gateway.wire.documents import (
    decode_ledger_entry,
    draft_ledger_entry,
    encode_tags,
)

log = structlog.get_logger()

BUSY_TIMEOUT_S = 5.0
SEQ_MAX = 2**53
"""Positions beyond it are not given out in any life of a gateway."""

IN_SCOPE = {
    Scope.ALL: "",
    Scope.NOTES: " AND kind NOT IN (1, 2, 7, 8)",
    Scope.SAMPLES: " AND kind IN (1, 2, 7, 8)",
}
"""Ends a condition: which records are for a reader."""
INSERT_RECORD = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class LogDatabase:
    """The writing connection; used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, bodies: Bodies) -> None:
        """Take over a connection to an existing log."""
        self.connection = connection
        self.bodies = bodies
        """Every body goes through it on its way in and out."""
        self.last_seq = Seq(0)
        """Position of the newest record; those of dropped ones are not used again."""
        self.raw_total = 0
        """Raw samples ever committed."""
        self._remember()

    @classmethod
    def open(cls, path: Path, bodies: Bodies) -> "LogDatabase":
        """Open the database for writing, or make an empty one.

        Raises:
            sqlite3.Error: it cannot be opened; see `is_damage`.
            StoreError: it is of another version or not a record log.
        """
        return cls._connect(path, "rwc", bodies)

    @classmethod
    def reopen(cls, path: Path, bodies: Bodies) -> "LogDatabase":
        """Open the database again after a failure; a disk that is gone must not begin an empty one.

        Raises:
            sqlite3.Error: it cannot be opened, or is not there; see `is_damage`.
            StoreError: it is of another version or not a record log.
        """
        return cls._connect(path, "rw", bodies)

    @classmethod
    def _connect(cls, path: Path, mode: str, bodies: Bodies) -> "LogDatabase":
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            prepare(connection, path)
            return cls(connection, bodies)
        except (sqlite3.Error, StoreError):
            connection.close()
            raise

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        with suppress(sqlite3.Error):  # the disk is failing, and nothing depends on this
            self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside all together, or nothing of it.

        Raises:
            sqlite3.Error: it was not committed, as far as is known.
        """
        self.connection.execute("BEGIN IMMEDIATE")
        remembered = self.last_seq, self.raw_total
        is_committed = False
        try:
            yield
            self.connection.execute("COMMIT")
            is_committed = True
        finally:
            if not is_committed:
                self.last_seq, self.raw_total = remembered
                with suppress(sqlite3.Error):  # the first error is the one to tell
                    self.connection.execute("ROLLBACK")

    def append(self, drafts: Sequence[Draft], *, boot: Boot, stored_ns: int) -> None:
        """Add records at the end; a damaged body is replaced by its entry in the ledger."""
        rows = []
        for draft in drafts:
            sound = _sound(draft)
            raw_count = sound.sample_count if sound.kind is RecordKind.FRAME else 0
            self.last_seq = Seq(self.last_seq + 1)
            self.raw_total += raw_count
            rows.append(
                (
                    self.last_seq,
                    self.last_seq,
                    boot,
                    int(sound.kind),
                    raw_count,
                    sound.sample_count,
                    self.raw_total,
                    sound.first_ns,
                    sound.last_ns,
                    stored_ns,
                    self.bodies.put(sound.body, place=record_place(self.last_seq)),
                )
            )
            if sound.kind is RecordKind.LEDGER:
                self._count_entry(decode_ledger_entry(sound.body))
        self.connection.executemany(INSERT_RECORD, rows)

    def intern(self, *, tags: tuple[Tag, ...], boot: Boot, stored_ns: int) -> TagTable:
        """Return the table of these tags: the newest, or one of a new epoch, committed."""
        newest = self.newest_table()
        if newest is not None and newest.tags == tags:
            return newest
        # Not below the boot, so that an epoch is not used again after a database was lost.
        epoch = ConfigEpoch(max(newest.epoch + 1 if newest else 1, boot))
        table = TagTable.build(tags, epoch=epoch)
        with self.transaction():
            self.add_tags(table, boot=boot, stored_ns=stored_ns)
        return table

    def add_tags(self, table: TagTable, *, boot: Boot, stored_ns: int) -> None:
        """Add the tag table of a new epoch, as a record and for looking up."""
        body = encode_tags(table)
        draft = Draft(kind=RecordKind.TAGS, body=body, first_ns=stored_ns, last_ns=stored_ns)
        self.append([draft], boot=boot, stored_ns=stored_ns)
        self.connection.execute(
            "INSERT INTO epoch VALUES (?, ?, ?)",
            (table.epoch, self.last_seq, self.bodies.put(body, place=epoch_place(table.epoch))),
        )

    def go_on_after(self, seq: Seq, *, raw_total: int) -> None:
        """Give out no position up to this one, and count samples from there."""
        self.connection.execute("DELETE FROM sqlite_sequence WHERE name = 'record'")
        self.connection.execute("INSERT INTO sqlite_sequence VALUES ('record', ?)", (seq,))
        self.set_state("raw_total", raw_total)
        self.last_seq, self.raw_total = seq, raw_total

    def newest_table(self) -> TagTable | None:
        """Return the tag table of the newest epoch; None before the first."""
        row = self.connection.execute(
            "SELECT epoch, body FROM epoch ORDER BY epoch DESC LIMIT 1"
        ).fetchone()
        return read_table(self.bodies, *row) if row else None

    def cursors(self, scopes: Mapping[str, Scope]) -> dict[str, Cursor]:
        """Return where named readers stand.

        One that is not known stands at 0, save that `name/part` begins where `name` stands: a
        reader that is split in two goes on where it was. With a wrong sum, or one beyond the end,
        all stand at 0: what is sent twice the far end sees.
        """
        positions: dict[str, int] = dict(
            self.connection.execute("SELECT name, seq FROM cursor").fetchall()
        )
        spans = self.connection.execute("SELECT * FROM hole ORDER BY name, first").fetchall()
        found = positions.pop("", None)
        is_wrong = found is not None and found != sum_of_cursors(positions, spans)
        if is_wrong or max(positions.values(), default=0) > self.last_seq:
            log.error("cursors_damaged", cursors=len(positions), stage="processing")
            positions, spans = {}, []
        holes: dict[str, list[Span]] = {name: [] for name in scopes}
        for name, first, last in spans:
            if name in holes:
                holes[name].append(Span(first=Seq(first), last=Seq(last)))
        return {
            name: Cursor(
                seq=Seq(positions.get(name, positions.get(name.partition("/")[0], 0))),
                holes=tuple(holes[name]),
                scope=scope,
            )
            for name, scope in scopes.items()
        }

    def save_cursors(self, cursors: Mapping[str, Cursor]) -> None:
        """Replace all cursors."""
        self.connection.execute("DELETE FROM cursor")
        self.connection.execute("DELETE FROM hole")
        positions = {name: int(cursor.seq) for name, cursor in cursors.items()}
        spans = sorted((name, x.first, x.last) for name, c in cursors.items() for x in c.holes)
        positions[""] = sum_of_cursors(positions, spans)
        self.connection.executemany("INSERT INTO cursor VALUES (?, ?)", positions.items())
        self.connection.executemany("INSERT INTO hole VALUES (?, ?, ?)", spans)

    def save_checkpoint(self, parts: Mapping[str, bytes]) -> None:
        """Replace the checkpoint; it is as of the last record appended."""
        self.connection.execute("DELETE FROM checkpoint")
        self.connection.executemany(
            "INSERT INTO checkpoint VALUES (?, ?, ?)",
            [
                (
                    name,
                    self.last_seq,
                    self.bodies.put(
                        close_checkpoint_part(part, name=name, seq=self.last_seq),
                        place=checkpoint_place(name),
                    ),
                )
                for name, part in parts.items()
            ],
        )

    def checkpoint_seq(self) -> Seq | None:
        """Return the position of the checkpoint; None when there is none."""
        row = self.connection.execute("SELECT min(seq) FROM checkpoint").fetchone()
        return None if row[0] is None else Seq(row[0])

    def state(self, name: str, default: int) -> int:
        """Return a number of the log's own state."""
        return read_state(self.connection, name, default)

    def set_state(self, name: str, value: int | str) -> None:
        """Keep a value of the log's own state."""
        self.connection.execute(
            "INSERT OR REPLACE INTO state VALUES (?, ?)", (name, with_sum(name, value))
        )

    def used_bytes(self) -> int:
        """Return the bytes of the file that hold something; deleting makes this smaller at once."""
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        (free,) = self.connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = self.connection.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)

    def stored_span(self) -> tuple[int | None, int | None]:
        """Return when the oldest and the newest record that are there were committed, UTC."""
        oldest, newest = self.connection.execute(
            "SELECT (SELECT stored_ns FROM record ORDER BY seq LIMIT 1),"
            " (SELECT stored_ns FROM record ORDER BY seq DESC LIMIT 1)"
        ).fetchone()
        return oldest, newest

    def discard_damaged(self, seq: Seq, *, boot: Boot, stored_ns: int) -> bool:
        """Drop a record that cannot be read, and enter it into the ledger.

        Returns:
            Whether it was there and is damaged indeed; otherwise nothing was done.
        """
        row = self.connection.execute(
            "SELECT raw_count, first_ns, last_ns, body FROM record WHERE seq = ?", (seq,)
        ).fetchone()
        if row is None or self._is_readable(row[3], place=record_place(seq)):
            return False
        raw_count, first_ns, last_ns, _ = row
        self.connection.execute("DELETE FROM record WHERE seq = ?", (seq,))
        note_removed(self.connection, [(seq, raw_count)])
        entry = missing_entry(
            LedgerReason.CORRUPT, first_ns=first_ns, last_ns=last_ns, count=raw_count
        )
        self.append([draft_ledger_entry(entry)], boot=boot, stored_ns=stored_ns)
        return True

    def _is_readable(self, stored: bytes, *, place: str) -> bool:
        try:
            body = self.bodies.get(stored, place=place)
        except CorruptRecordError:
            return False
        return not _is_damaged(body)

    def _count_entry(self, entry: LedgerEntry) -> None:
        self.connection.execute(
            "INSERT INTO ledgered VALUES (?, 1, ?) ON CONFLICT (reason) DO UPDATE SET"
            " entry_count = entry_count + 1, sample_count = sample_count + excluded.sample_count",
            (entry.reason, entry.count or 0),
        )

    def _remember(self) -> None:
        row = self.connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'record'"
        ).fetchone()
        last = self.connection.execute(
            "SELECT seq, raw_total FROM record ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        self.last_seq = Seq(max(row[0] if row else 0, last[0] if last else 0))
        if self.last_seq > SEQ_MAX:
            raise damage(f"position {self.last_seq} cannot be")
        self.raw_total = max(last[1] if last else 0, self.state("raw_total", 0))


def read_state(connection: sqlite3.Connection, name: str, default: int) -> int:
    """Return a number of the log's own state.

    Raises:
        sqlite3.DatabaseError: it is damaged.
    """
    row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    return default if row is None else int(state_value(name, row[0]))


def missing_entry(
    reason: LedgerReason,
    *,
    first_ns: int,
    last_ns: int,
    count: int | None,
    tags: tuple[TagId, ...] = (),
    error_percent: float | None = None,
) -> LedgerEntry:
    """Return the ledger entry for samples of any source, by their first and last time."""
    return LedgerEntry(
        reason=reason,
        source="*",
        from_ns=first_ns,
        to_ns=max(first_ns, last_ns + 1),
        count=count,
        tags=tags,
        error_percent=error_percent,
    )


def _sound(draft: Draft) -> Draft:
    """Return the draft, or what the ledger says of it when memory has spoilt it on its way."""
    if not _is_damaged(draft.body):
        return draft
    count = draft.sample_count if draft.kind is RecordKind.FRAME else 0
    entry = missing_entry(
        LedgerReason.STORE_FAILED, first_ns=draft.first_ns, last_ns=draft.last_ns, count=count
    )
    return draft_ledger_entry(entry)


def _is_damaged(body: bytes) -> bool:
    try:
        open_body(body)
    except CorruptRecordError:
        return True
    return False
