"""Rows of the log by stretch: what retention chooses from, measures and takes out."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.core.cursors import Span
from gateway.core.records import RecordKind, Seq
from gateway.store.database import LogDatabase
from gateway.store.removed import note_removed
from gateway.wire.stored_frame import StoredFrame

SAMPLES: Final = "kind IN (1, 2, 7, 8)"
"""In SQL: frames and blocks."""
NOTES: Final = "kind NOT IN (1, 2, 7, 8)"
"""In SQL: events, commands, ledger entries, tag tables."""
ROWS_PER_STEP: Final = 1000
BYTES_PER_STEP: Final = 4 * 1024 * 1024
POSITIONS_PER_STEP: Final = 5_000
SAMPLES_PER_STEP: Final = 300_000
"""Undelivered frames are decoded to tell what is lost; commits must not wait long for that."""
ROW_BYTES: Final = 40
"""What a record takes on disk beside its body, about; also in `_BYTES`."""

# A block belongs to the first stretch that it lies in, also with a part of it.
_LACKED: Final = (
    "seq BETWEEN ?1 AND (SELECT ifnull(min(seq), ?2) FROM record WHERE seq >= ?2)"
    " AND first_seq BETWEEN ?3 + 1 AND ?2"
)
_FREE: Final = "seq BETWEEN ?1 AND ?2 AND first_seq >= ?1"
_ROW: Final = (
    "SELECT seq, seq - first_seq + 1, kind, length(body), sample_count, raw_count, stored_ns"
    " FROM record"
)
_BYTES: Final = "SELECT total(length(body)) + 40 * count(*) FROM record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A record as far as retention needs to know it."""

    seq: Seq
    position_count: int
    """Not below the number of frames in it."""
    kind: RecordKind
    size_bytes: int
    """On disk, about."""
    sample_count: int
    raw_count: int
    stored_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What one step took out; both may be 0."""

    size_bytes: int
    is_more: bool = True
    """Whether the same may take out more."""


def lacked_rows(
    connection: sqlite3.Connection,
    spans: Sequence[Span],
    *,
    where: str,
    limit: int = ROWS_PER_STEP,
) -> list[Row]:
    """Return the oldest rows that lie in stretches, be it with a part of a block.

    Args:
        connection: To the log.
        spans: In order, apart from each other.
        where: Condition on the columns of `record`, in SQL.
        limit: Rows at the most.
    """
    return _rows(connection, spans, where=f"{_LACKED} AND {where}", limit=limit)


def free_rows(connection: sqlite3.Connection, spans: Sequence[Span], *, where: str) -> list[Row]:
    """Return the oldest rows that lie in stretches wholly; see `lacked_rows`."""
    return _rows(connection, spans, where=f"{_FREE} AND {where}", limit=ROWS_PER_STEP)


def first_rows(rows: Sequence[Row], size_bytes: float = BYTES_PER_STEP) -> list[Row]:
    """Return the first rows that together have enough bytes, or as many as one step may take."""
    chosen: list[Row] = []
    taken = positions = samples = 0
    for row in rows:
        positions += row.position_count
        samples += row.sample_count
        if chosen and (positions > POSITIONS_PER_STEP or samples > SAMPLES_PER_STEP):
            break
        if taken >= min(size_bytes, BYTES_PER_STEP):
            break
        chosen.append(row)
        taken += row.size_bytes
    return chosen


def free_bytes(connection: sqlite3.Connection, spans: Sequence[Span], *, where: str) -> int:
    """Return what the rows that lie in stretches wholly take on disk, about."""
    query = f"{_BYTES} WHERE {_FREE} AND {where}"
    return sum(
        int(connection.execute(query, (span.first, span.last)).fetchone()[0]) for span in spans
    )


def all_bytes(connection: sqlite3.Connection) -> int:
    """Return what all rows take on disk, about."""
    return int(connection.execute(_BYTES).fetchone()[0])


def delete_rows(database: LogDatabase, rows: Iterable[Row]) -> None:
    """Take rows out, inside a transaction; the counts behind stay right."""
    chosen = list(rows)
    database.connection.executemany(
        "DELETE FROM record WHERE seq = ?", [(row.seq,) for row in chosen]
    )
    note_removed(database.connection, [(row.seq, row.raw_count) for row in chosen if row.raw_count])
    # The count must not fall back when the last record has gone.
    database.set_state("raw_total", database.raw_total)


def replace_block(
    database: LogDatabase, row: Row, frames: Sequence[StoredFrame], stored: bytes
) -> int:
    """Put a block with fewer samples in a block's place, inside a transaction.

    Args:
        database: The log.
        row: Of the block.
        frames: What is left; not empty.
        stored: Their body as it is to lie on the disk.
    Returns:
        Bytes that it takes less.
    """
    raw_count = sum(len(each.frame) for each in frames if each.kind is RecordKind.FRAME)
    times = [each.frame.time_ns for each in frames if len(each.frame)]
    database.connection.execute(
        "UPDATE record SET raw_count = ?, sample_count = ?, first_ns = ?, last_ns = ?, body = ?"
        " WHERE seq = ?",
        (
            raw_count,
            sum(map(len, times)),
            min(int(each.min()) for each in times),
            max(int(each.max()) for each in times),
            stored,
            row.seq,
        ),
    )
    note_removed(database.connection, [(row.seq, row.raw_count - raw_count)])
    return row.size_bytes - ROW_BYTES - len(stored)


def _rows(
    connection: sqlite3.Connection, spans: Sequence[Span], *, where: str, limit: int
) -> list[Row]:
    query = f"{_ROW} WHERE {where} ORDER BY seq LIMIT ?4"
    rows: list[Row] = []
    before = 0
    for span in spans:
        found = connection.execute(query, (span.first, span.last, before, limit - len(rows)))
        rows += [
            Row(
                seq=Seq(seq),
                position_count=position_count,
                kind=RecordKind(kind),
                size_bytes=body_bytes + ROW_BYTES,
                sample_count=sample_count,
                raw_count=raw_count,
                stored_ns=stored_ns,
            )
            for seq, position_count, kind, body_bytes, sample_count, raw_count, stored_ns in found
        ]
        if len(rows) >= limit:
            break
        before = span.last
    return rows
