"""What the log tells of itself."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.core.cursors import Cursor, Scope, Span
from gateway.core.records import Boot, LedgerReason, Seq
from gateway.store.database import IN_SCOPE
from gateway.store.needs import END
from gateway.store.removed import removed_count


class StoreState(StrEnum):
    """How the log is doing."""

    OK = "ok"
    DEGRADED = "degraded"
    """The disk refuses; records wait in memory."""
    CLOSED = "closed"
    """Nothing is taken any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorLag:
    """How far a named reader is behind."""

    name: str
    seq: Seq
    """It has everything up to here, save what lies in its holes."""
    records: int
    """Positions that it lacks; never below the number of records."""
    samples: int
    """Raw samples that it lacks; a block counts as a whole."""
    oldest_ns: int | None
    """When the oldest record that it lacks was committed, UTC; None when there is none."""
    front_oldest_ns: int | None = None
    """The same of those behind `seq`, the holes left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledgered:
    """What the ledger says under one reason, since the log was made."""

    reason: LedgerReason
    entries: int
    samples: int
    """Of the entries with a known count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """The log as it stands."""

    state: StoreState
    reason: str
    """Why it is degraded; empty otherwise."""
    boot: Boot
    end: Seq
    """Position of the last committed record."""
    stored_samples: int
    """Raw samples committed since the log was made, dropped ones included."""
    ledgered: tuple[Ledgered, ...]
    """By reason; those without an entry are left out."""
    cursors: tuple[CursorLag, ...]
    """By name."""
    used_bytes: int
    """Bytes of the database in use."""
    pending_bytes: int
    """Memory of what waits for the disk."""
    oldest_ns: int | None
    """When the oldest record still there was committed, UTC."""
    newest_ns: int | None
    """When the newest record was committed, UTC."""
    commit_count: int
    """Transactions with records since the start."""
    written_bytes: int | None = None
    """Written to the disk since the start, as `flash.py` counts; None when the system does not
    tell."""

    def since(self, state: StoreState, reason: str, pending_bytes: int) -> "StoreStats":
        """Return the same with what the log knows while nobody can look into it."""
        return replace(self, state=state, reason=reason, pending_bytes=pending_bytes)

    @property
    def gap_count(self) -> int:
        """Entries of the ledger about samples that were never held."""
        return sum(each.entries for each in self.ledgered if each.reason.is_gap)

    @property
    def ledgered_samples(self) -> int:
        """Samples that were held and went undelivered, the thinned ones included."""
        return sum(each.samples for each in self.ledgered if not each.reason.is_gap)

    @property
    def thinned_samples(self) -> int:
        """Samples among them that others stand for, within a stated error."""
        return sum(x.samples for x in self.ledgered if x.reason is LedgerReason.THINNED)


def nothing_told(boot: Boot, *, end: Seq) -> StoreStats:
    """Return what is known of a log that nobody has asked yet."""
    return StoreStats(
        state=StoreState.OK,
        reason="",
        boot=boot,
        end=end,
        stored_samples=0,
        ledgered=(),
        cursors=(),
        used_bytes=0,
        pending_bytes=0,
        oldest_ns=None,
        newest_ns=None,
        commit_count=0,
    )


def ledgered(connection: sqlite3.Connection) -> tuple[Ledgered, ...]:
    """Return the totals of the ledger."""
    rows = connection.execute("SELECT * FROM ledgered ORDER BY reason").fetchall()
    return tuple(
        Ledgered(reason=LedgerReason(reason), entries=entries, samples=samples)
        for reason, entries, samples in rows
    )


def lags(
    connection: sqlite3.Connection, cursors: Mapping[str, Cursor], *, end: Seq, raw_total: int
) -> tuple[CursorLag, ...]:
    """Return how far each reader is behind, by name."""
    return tuple(
        _lag(connection, name, cursor, end=end, raw_total=raw_total)
        for name, cursor in sorted(cursors.items())
    )


def _lag(
    connection: sqlite3.Connection, name: str, cursor: Cursor, *, end: Seq, raw_total: int
) -> CursorLag:
    if cursor.scope is Scope.NOTES:
        records, samples = _notes_behind(connection, cursor.seq), 0
    else:
        records = max(end - cursor.seq, 0) + cursor.missing_count
        samples = _samples_behind(connection, cursor.seq, raw_total)
        samples += sum(_samples_in(connection, hole, raw_total) for hole in cursor.holes)
    return CursorLag(
        name=name,
        seq=cursor.seq,
        records=records,
        samples=samples,
        oldest_ns=_oldest_ns(connection, cursor.complete_to, cursor.scope),
        front_oldest_ns=_oldest_ns(connection, cursor.seq, cursor.scope),
    )


def _notes_behind(connection: sqlite3.Connection, seq: Seq) -> int:
    query = "SELECT count(*) FROM record WHERE seq > ?"
    (count,) = connection.execute(f"{query}{IN_SCOPE[Scope.NOTES]}", (seq,)).fetchone()
    return int(count)


def _samples_behind(connection: sqlite3.Connection, seq: Seq, raw_total: int) -> int:
    first = connection.execute(
        "SELECT seq, raw_total - raw_count FROM record WHERE seq > ? AND raw_count > 0"
        " ORDER BY seq LIMIT 1",
        (seq,),
    ).fetchone()
    return raw_total - first[1] - removed_count(connection, first[0] + 1, END) if first else 0


def _samples_in(connection: sqlite3.Connection, hole: Span, raw_total: int) -> int:
    """Return the difference between the totals at both ends; the records between are not read."""
    before = connection.execute(
        "SELECT seq, raw_total - raw_count FROM record WHERE seq >= ? ORDER BY seq LIMIT 1",
        (hole.first,),
    ).fetchone()
    if before is None:
        return 0
    after = connection.execute(
        "SELECT seq, raw_total - (first_seq > ?1) * raw_count"
        " FROM record WHERE seq >= ?1 ORDER BY seq LIMIT 1",
        (hole.last,),
    ).fetchone()
    last, total = after or (END, raw_total)
    # The count of a record lacks what was taken out of it; so it is right at the first one.
    return int(total - before[1]) - removed_count(connection, before[0] + 1, last)


def _oldest_ns(connection: sqlite3.Connection, seq: Seq, scope: Scope) -> int | None:
    query = "SELECT stored_ns FROM record WHERE seq > ?"
    row = connection.execute(f"{query}{IN_SCOPE[scope]} ORDER BY seq LIMIT 1", (seq,)).fetchone()
    return row[0] if row else None
