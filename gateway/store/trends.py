"""Trends and single values out of the log: which rows may hold them, and what becomes of them.

Blocks are found by the index of their times. What is not sealed yet is little, and looked through.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from gateway.core.arrays import FloatArray, StatusArray, TimeArray, frozen
from gateway.core.tags import TagId
from gateway.store.database import read_state

DAY_NS: Final = 86_400 * 1_000_000_000

Part: TypeAlias = tuple[TimeArray, FloatArray, StatusArray]
"""Some samples of one tag: times, values, status codes, each of shape (n,)."""
Parts: TypeAlias = list[list[Part]]
"""For each tag its parts, in the order of the log."""


class SampleRow(NamedTuple):
    """A row of the log that holds samples."""

    seq: int
    kind: int
    stored: bytes
    """The body as it lies on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trend:
    """The samples of one tag in a span of time, by source time; the arrays are read-only."""

    tag: TagId
    time_ns: TimeArray
    """Ascending, shape (n,)."""
    value: FloatArray
    """Shape (n,); NaN where Bad."""
    status: StatusArray
    """Shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointValue:
    """The latest sample of a tag at a time."""

    tag: TagId
    time_ns: int
    """Source time, UTC."""
    value: float
    """NaN where Bad."""
    status: int
    age_ns: int
    """How long before the time that was asked for."""


def rows_in_span(connection: sqlite3.Connection, from_ns: int, to_ns: int) -> Iterator[SampleRow]:
    """Yield what may hold samples of a span: blocks, then frames that stand alone."""
    blocks = connection.execute(
        "SELECT seq, kind, body FROM record"
        " WHERE kind = 7 AND last_ns >= ? AND first_ns < ? ORDER BY last_ns",
        (from_ns, to_ns),
    )
    yield from map(SampleRow._make, blocks)
    frames = connection.execute(
        "SELECT seq, kind, body FROM record"
        " WHERE seq > ? AND kind IN (1, 2, 8) AND last_ns >= ? AND first_ns < ? ORDER BY seq",
        (read_state(connection, "sealed_seq", 0), from_ns, to_ns),
    )
    yield from map(SampleRow._make, frames)


def rows_backwards(
    connection: sqlite3.Connection, from_ns: int, time_ns: int
) -> Iterator[tuple[SampleRow, int]]:
    """Yield what may hold samples up to a time, with its newest time; the newest first.

    Of those with the same newest time, the last in the log is first.
    """
    blocks = connection.execute(
        "SELECT last_ns, seq FROM record WHERE kind = 7 AND last_ns >= ? AND first_ns <= ?",
        (from_ns, time_ns),
    ).fetchall()
    frames = connection.execute(
        "SELECT last_ns, seq FROM record"
        " WHERE seq > ? AND kind IN (1, 2, 8) AND last_ns >= ? AND first_ns <= ?",
        (read_state(connection, "sealed_seq", 0), from_ns, time_ns),
    ).fetchall()
    for last_ns, seq in sorted(blocks + frames, reverse=True):
        row = connection.execute("SELECT seq, kind, body FROM record WHERE seq = ?", (seq,))
        yield SampleRow._make(row.fetchone()), last_ns


def trend_of(tag: TagId, parts: Sequence[Part], from_ns: int, to_ns: int) -> Trend:
    """Return the samples of one tag in a span, by time; those of one time keep their order."""
    time_ns, value, status = _joined(parts)
    inside = np.flatnonzero((time_ns >= from_ns) & (time_ns < to_ns))
    order = inside[np.argsort(time_ns[inside], kind="stable")]
    return Trend(
        tag=tag,
        time_ns=frozen(time_ns[order]),
        value=frozen(value[order]),
        status=frozen(status[order]),
    )


def latest_of(tag: TagId, parts: Sequence[Part], from_ns: int, time_ns: int) -> PointValue | None:
    """Return the latest sample not after a time; of several at one time, the last that came."""
    times, value, status = _joined(parts)
    inside = np.flatnonzero((times >= from_ns) & (times <= time_ns))
    if len(inside) == 0:
        return None
    place = inside[np.flatnonzero(times[inside] == times[inside].max())[-1]]
    return PointValue(
        tag=tag,
        time_ns=int(times[place]),
        value=float(value[place]),
        status=int(status[place]),
        age_ns=time_ns - int(times[place]),
    )


def later_of(one: PointValue | None, other: PointValue | None) -> PointValue | None:
    """Return the later of two; at one time, the first."""
    if one is None or other is None:
        return one or other
    return other if other.time_ns > one.time_ns else one


def _joined(parts: Sequence[Part]) -> Part:
    empty = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.uint32)
    time_ns, value, status = zip(empty, *parts, strict=True)
    return np.concatenate(time_ns), np.concatenate(value), np.concatenate(status)
