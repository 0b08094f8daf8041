"""What the log tells of itself."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.cursors import Cursor
from gateway.core.records import Boot, LedgerReason, Seq
from gateway.store.writer import StoreState


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorLag:
    """How far a named reader is behind."""

    name: str
    seq: Seq
    """It has everything up to here."""
    records: int
    """Positions behind it; never below the number of records."""
    samples: int
    """Raw samples behind it; a block counts as a whole."""
    oldest_ns: int | None
    """When the oldest record behind it was committed, UTC; None when there is none."""


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

    @property
    def gap_count(self) -> int:
        """Entries of the ledger about samples that were never held."""
        return sum(each.entries for each in self.ledgered if each.reason.is_gap)

    @property
    def ledgered_samples(self) -> int:
        """Samples that were held and lost."""
        return sum(each.samples for each in self.ledgered if not each.reason.is_gap)


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
        _lag(connection, name, cursor.complete_to, end=end, raw_total=raw_total)
        for name, cursor in sorted(cursors.items())
    )


def _lag(
    connection: sqlite3.Connection, name: str, seq: Seq, *, end: Seq, raw_total: int
) -> CursorLag:
    oldest = connection.execute(
        "SELECT stored_ns FROM record WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)
    ).fetchone()
    # Samples are dropped from the oldest on, so behind the first there is no hole.
    first = connection.execute(
        "SELECT raw_total - raw_count FROM record WHERE seq > ? AND raw_count > 0"
        " ORDER BY seq LIMIT 1",
        (seq,),
    ).fetchone()
    return CursorLag(
        name=name,
        seq=seq,
        records=max(end - seq, 0),
        samples=raw_total - first[0] if first else 0,
        oldest_ns=oldest[0] if oldest else None,
    )
