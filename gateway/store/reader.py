"""Reading the log: a read-only connection for each call, and one short transaction in it.

A long transaction of a reader would keep the write-ahead log growing, so nothing here stays open
between two calls. Any process may read while the gateway writes. A record that does not match its
check sum is left out and told to `on_corrupt`; the next one goes on.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from gateway.core.arrays import FloatArray, StatusArray, TimeArray, frozen, index_column
from gateway.core.cursors import Scope
from gateway.core.errors import CorruptRecordError, StoreError
from gateway.core.frame import Frame
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagId, TagTable
from gateway.store.bodies import (
    Bodies,
    PlainBodies,
    checkpoint_place,
    epoch_place,
    record_place,
)
from gateway.store.database import BUSY_TIMEOUT_S, IN_SCOPE, read_checkpoint_part, read_state
from gateway.wire.body import open_body
from gateway.wire.documents import decode_tags
from gateway.wire.frames import (
    FRAME_KINDS,
    decode_block,
    decode_block_tags,
    decode_frame,
    encode_frame,
    epoch_of,
)

log = structlog.get_logger()

BEGIN = Seq(0)
"""Before the first record."""
PAGE_BYTES = 1024 * 1024
"""Bodies that `records` reads in one transaction, about."""

_Row = tuple[int, int, int, int, bytes]
_RECORD = "SELECT seq, first_seq, boot, kind, body FROM record"
_IN_SPAN = (
    "seq > ?1 AND first_seq <= ?2"
    " AND seq <= ifnull((SELECT min(seq) FROM record WHERE seq >= ?2), ?2)"
)
"""What is not wholly outside of a span. The last record may be a block that goes on behind it;
without the bound all that is there would be looked at when there is none."""
_PLAIN = PlainBodies()


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


class LogReader:
    """Reads one log; may be used by any thread, and by another process than the writer."""

    def __init__(
        self,
        path: Path,
        *,
        bodies: Bodies = _PLAIN,
        on_corrupt: Callable[[Seq], None] = lambda _: None,
    ) -> None:
        """Name the database; nothing is opened.

        Args:
            path: Of an existing log.
            bodies: As the writer's.
            on_corrupt: Told the position of a record that was left out.
        """
        self._path = path
        self._bodies = bodies
        self._on_corrupt = on_corrupt
        self._tables: dict[ConfigEpoch, TagTable] = {}

    def read(
        self,
        *,
        after: Seq,
        size_bytes_max: int,
        until: Seq | None = None,
        scope: Scope = Scope.ALL,
    ) -> list[Record]:
        """Return records after a position, in order.

        A block that lies wholly in the span comes as it is, as one BLOCK record at its last seq;
        of one that lies partly in it, the frames in the span come as records of their own.

        Args:
            after: The first record is behind it.
            size_bytes_max: Bound on the bodies together; one record always fits.
            until: The last record is not behind it; None is the end of the log.
            scope: Which records.
        Returns:
            At least one record, if there is a sound one.
        Raises:
            StoreError: the log cannot be read.
        """
        end = Seq(np.iinfo(np.int64).max) if until is None else until
        records: list[Record] = []
        size_bytes = 0
        with self._connection() as connection:
            rows = connection.execute(
                f"{_RECORD} WHERE {_IN_SPAN}{IN_SCOPE[scope]} ORDER BY seq", (after, end)
            )
            for row in rows:
                for record in self._records_of(row, after, end):
                    size_bytes += len(record.body)
                    if records and size_bytes > size_bytes_max:
                        return records
                    records.append(record)
        return records

    def records(self, *, after: Seq = BEGIN, until: Seq | None = None) -> Iterator[Record]:
        """Yield the records after a position; memory stays bounded, and no transaction open."""
        while page := self.read(after=after, size_bytes_max=PAGE_BYTES, until=until):
            yield from page
            after = page[-1].seq

    def table(self, epoch: ConfigEpoch) -> TagTable:
        """Return the tag table of an epoch.

        Raises:
            StoreError: there is none.
        """
        known = self._tables.get(epoch)
        if known is not None:
            return known
        return self._fetch_table("SELECT epoch, body FROM epoch WHERE epoch = ?", epoch)

    def table_of(self, record: Record) -> TagTable:
        """Return the tag table that a record was written under.

        Raises:
            StoreError: there is none.
            CorruptRecordError: the record is damaged.
        """
        if record.kind in FRAME_KINDS or record.kind is RecordKind.BLOCK:
            return self.table(epoch_of(record.body))
        return self._fetch_table(
            "SELECT epoch, body FROM epoch WHERE seq <= ? OR epoch = (SELECT min(epoch) FROM epoch)"
            " ORDER BY epoch DESC LIMIT 1",
            record.seq,
        )

    def checkpoints(self) -> tuple[Seq, dict[str, bytes]]:
        """Return the position of the last checkpoint and its parts; 0 and none without one.

        A part that is damaged is left out.
        """
        with self._connection() as connection:
            rows = connection.execute("SELECT name, seq, body FROM checkpoint").fetchall()
        parts = {}
        for name, _, body in rows:
            try:
                stored = self._bodies.get(body, place=checkpoint_place(name))
                parts[name] = read_checkpoint_part(stored)
            except CorruptRecordError as error:
                log.error("checkpoint_damaged", part=name, reason=str(error), stage="processing")
        return Seq(rows[0][1] if rows else 0), parts

    def frames(self, tags: Sequence[TagId], *, from_ns: int, to_ns: int) -> tuple[Trend, ...]:
        """Return the samples of some tags with a source time in a span, a trend for each.

        Args:
            tags: Their order is that of the result; one that is not known has no samples.
            from_ns: UTC, inclusive.
            to_ns: UTC, exclusive.
        Raises:
            StoreError: the log cannot be read.
        """
        parts: list[list[Frame]] = [[] for _ in tags]
        with self._connection() as connection:
            for seq, kind, stored in _rows_in_span(connection, from_ns, to_ns):
                try:
                    body = self._bodies.get(stored, place=record_place(seq))
                    self._collect(parts, tags, kind, body, connection)
                except CorruptRecordError:
                    self._on_corrupt(Seq(seq))
        return tuple(
            _trend(tag, frames, from_ns, to_ns) for tag, frames in zip(tags, parts, strict=True)
        )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Open a connection with one transaction, which sees one state of the log."""
        try:
            with closing(
                sqlite3.connect(
                    f"{self._path.absolute().as_uri()}?mode=ro",
                    uri=True,
                    timeout=BUSY_TIMEOUT_S,
                    isolation_level=None,
                )
            ) as connection:
                connection.execute("BEGIN")
                yield connection
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} cannot be read: {error}") from error

    def _records_of(self, row: _Row, after: Seq, end: Seq) -> list[Record]:
        """Return the records of a row that lie in a span; none when it is damaged."""
        seq, first_seq, boot, kind, stored_body = row
        try:
            body = self._bodies.get(stored_body, place=record_place(seq))
            if first_seq > after and seq <= end:
                open_body(body)
                return [Record(boot=Boot(boot), seq=Seq(seq), kind=RecordKind(kind), body=body)]
            frames, epoch = decode_block(body)
        except CorruptRecordError:
            self._on_corrupt(Seq(seq))
            return []
        return [
            Record(
                boot=stored.boot,
                seq=stored.seq,
                kind=stored.kind,
                body=encode_frame(stored.frame, epoch=epoch),
            )
            for stored in frames
            if after < stored.seq <= end
        ]

    def _fetch_table(self, query: str, number: int) -> TagTable:
        with self._connection() as connection:
            row = connection.execute(query, (number,)).fetchone()
        if row is None:
            raise StoreError(f"{self._path} has no tag table for {number}")
        table = decode_tags(self._bodies.get(row[1], place=epoch_place(row[0])))
        return self._tables.setdefault(table.epoch, table)

    def _collect(
        self,
        parts: list[list[Frame]],
        tags: Sequence[TagId],
        kind: int,
        body: bytes,
        connection: sqlite3.Connection,
    ) -> None:
        """Add the samples of a frame or a block to the parts of the tags they belong to."""
        table = self._table_inside(connection, epoch_of(body))
        places = {table.index(tag): place for place, tag in enumerate(tags) if tag in table}
        if not places:
            return
        wanted = index_column(sorted(places))
        if kind == RecordKind.BLOCK:
            found = decode_block_tags(body, wanted)
        else:
            frame, _ = decode_frame(body)
            found = frame.where(np.isin(frame.tag_index, wanted))
        for index, place in places.items():
            part = found if len(places) == 1 else found.where(found.tag_index == index)
            if len(part) > 0:
                parts[place].append(part)

    def _table_inside(self, connection: sqlite3.Connection, epoch: ConfigEpoch) -> TagTable:
        """Return a tag table without a second connection."""
        known = self._tables.get(epoch)
        if known is None:
            row = connection.execute("SELECT body FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
            if row is None:
                raise CorruptRecordError(f"there is no tag table for epoch {epoch}")
            body = self._bodies.get(row[0], place=epoch_place(epoch))
            known = self._tables.setdefault(epoch, decode_tags(body))
        return known


def _rows_in_span(
    connection: sqlite3.Connection, from_ns: int, to_ns: int
) -> Iterator[tuple[int, int, bytes]]:
    """Yield position, kind and body of what may hold samples of a span: blocks, then frames."""
    sealed = read_state(connection, "sealed_seq", 0)
    yield from connection.execute(
        "SELECT seq, kind, body FROM record"
        " WHERE kind = 7 AND last_ns >= ? AND first_ns < ? ORDER BY last_ns",
        (from_ns, to_ns),
    )
    yield from connection.execute(
        "SELECT seq, kind, body FROM record"
        " WHERE seq > ? AND kind IN (1, 2, 8) AND last_ns >= ? AND first_ns < ? ORDER BY seq",
        (sealed, from_ns, to_ns),
    )


def _trend(tag: TagId, frames: Sequence[Frame], from_ns: int, to_ns: int) -> Trend:
    """Return the samples of one tag in a span, by time; those of one time keep their order."""
    time_ns = np.concatenate([np.zeros(0, dtype=np.int64), *(frame.time_ns for frame in frames)])
    value = np.concatenate([np.zeros(0), *(frame.value for frame in frames)])
    status = np.concatenate([np.zeros(0, dtype=np.uint32), *(frame.status for frame in frames)])
    inside = np.flatnonzero((time_ns >= from_ns) & (time_ns < to_ns))
    order = inside[np.argsort(time_ns[inside], kind="stable")]
    return Trend(
        tag=tag,
        time_ns=frozen(time_ns[order]),
        value=frozen(value[order]),
        status=frozen(status[order]),
    )
