"""Reading the log: a read-only connection for each call, and one short transaction in it.

A long transaction of a reader would keep the write-ahead log growing, so nothing here stays open
between two calls. Any process may read while the gateway writes. A record that does not match its
check sum is left out and told to `on_corrupt`; the next one goes on.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import structlog

from gateway.core.arrays import index_column
from gateway.core.cursors import Scope
from gateway.core.errors import CorruptRecordError, StoreError
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.store.bodies import (
    Bodies,
    PlainBodies,
    checkpoint_place,
    epoch_place,
    record_place,
)
from gateway.store.damage import RecordRow, damage, in_order, is_damage
from gateway.store.database import BUSY_TIMEOUT_S, IN_SCOPE
from gateway.store.keys import check_keys
from gateway.store.sums import read_checkpoint_part
from gateway.store.trends import (
    DAY_NS,
    Parts,
    PointValue,
    SampleRow,
    Trend,
    later_of,
    latest_of,
    rows_backwards,
    rows_in_span,
    trend_of,
)
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

_RECORD = "SELECT seq, first_seq, boot, kind, body FROM record"
_IN_SPAN = (
    "seq > ?1 AND first_seq <= ?2"
    " AND seq <= ifnull((SELECT min(seq) FROM record WHERE seq >= ?2), ?2)"
)
"""What is not wholly outside of a span. The last record may be a block that goes on behind it;
without the bound all that is there would be looked at when there is none."""
_PLAIN = PlainBodies()


class LogReader:
    """Reads one log; may be used by any thread, and by another process than the writer."""

    def __init__(
        self,
        path: Path,
        *,
        bodies: Bodies = _PLAIN,
        on_corrupt: Callable[[Seq], None] = lambda _: None,
        on_damage: Callable[[], None] = lambda: None,
    ) -> None:
        """Name the database; nothing is opened.

        Args:
            path: Of an existing log.
            bodies: As the writer's.
            on_corrupt: Told the position of a record that was left out.
            on_damage: Told that the database itself is damaged.
        """
        self._path = path
        self._bodies = bodies
        self._on_corrupt = on_corrupt
        self._on_damage = on_damage
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
            for row in in_order(rows, after):
                for record in self._records_of(row, after, end):
                    size_bytes += len(record.body)
                    if records and size_bytes > size_bytes_max:
                        return records
                    records.append(record)
        return records

    def records(
        self, *, after: Seq = BEGIN, until: Seq | None = None, scope: Scope = Scope.ALL
    ) -> Iterator[Record]:
        """Yield the records after a position; memory stays bounded, and no transaction open."""
        while page := self.read(after=after, size_bytes_max=PAGE_BYTES, until=until, scope=scope):
            yield from page
            after = page[-1].seq

    def read_span(
        self, *, after: Seq, from_ns: int, to_ns: int, samples_max: int
    ) -> tuple[list[Record], Seq | None]:
        """Return records that may hold samples of a span of source time, in order.

        Args:
            after: The first record is behind it.
            from_ns: UTC, inclusive.
            to_ns: UTC, exclusive.
            samples_max: Bound on the samples together; one block always fits.
        Returns:
            The records, and where to go on; None at the end of the log.
        Raises:
            StoreError: the log cannot be read.
        """
        records: list[Record] = []
        samples = 0
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT seq, first_seq, boot, kind, body, sample_count FROM record"
                " WHERE seq > ? AND kind IN (1, 2, 7, 8) AND last_ns >= ? AND first_ns < ?"
                " ORDER BY seq",
                (after, from_ns, to_ns),
            )
            for *row, sample_count in rows:
                samples += sample_count
                if records and samples > samples_max:
                    return records, after
                seq, first_seq, boot, kind, body = row
                records += self._records_of((seq, first_seq, boot, kind, body), after, seq)
                after = Seq(seq)
        return records, None

    def tags(self) -> dict[TagId, Tag]:
        """Return every tag that the log has had, as its newest table has it.

        Raises:
            StoreError: the log cannot be read.
            CorruptRecordError: a table is damaged.
        """
        with self._connection() as connection:
            rows = connection.execute("SELECT epoch, body FROM epoch ORDER BY epoch").fetchall()
        tables = [decode_tags(self._bodies.get(x[1], place=epoch_place(x[0]))) for x in rows]
        return {tag.id: tag for table in tables for tag in table.tags}

    def begin_ns(self) -> int | None:
        """Return when the oldest record was committed, if older ones were dropped; else None.

        Raises:
            StoreError: the log cannot be read.
        """
        with self._connection() as connection:
            row = connection.execute(
                "SELECT first_seq, stored_ns FROM record ORDER BY seq LIMIT 1"
            ).fetchone()
        return row[1] if row and row[0] > 1 else None

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
        for name, seq, body in rows:
            try:
                stored = self._bodies.get(body, place=checkpoint_place(name))
                parts[name] = read_checkpoint_part(stored, name=name, seq=seq)
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
        parts: Parts = [[] for _ in tags]
        with self._connection() as connection:
            for row in rows_in_span(connection, from_ns, to_ns):
                self._collect(parts, tags, row, connection)
        return tuple(
            trend_of(tag, part, from_ns, to_ns) for tag, part in zip(tags, parts, strict=True)
        )

    def at(
        self, tags: Sequence[TagId], *, time_ns: int, within_ns: int = DAY_NS
    ) -> tuple[PointValue | None, ...]:
        """Return the latest sample of each of some tags at or before a time.

        Args:
            tags: Their order is that of the result.
            time_ns: UTC.
            within_ns: Longest age; a tag without a sample so young has None.
        Raises:
            StoreError: the log cannot be read.
        """
        begin_ns = time_ns - within_ns
        found: list[PointValue | None] = [None] * len(tags)
        with self._connection() as connection:
            for row, last_ns in rows_backwards(connection, begin_ns, time_ns):
                # Those behind it end earlier: what is not older than this end is the latest.
                lacking = [
                    place for place, one in enumerate(found) if one is None or one.time_ns < last_ns
                ]
                if not lacking:
                    break
                parts: Parts = [[] for _ in lacking]
                self._collect(parts, [tags[place] for place in lacking], row, connection)
                for place, part in zip(lacking, parts, strict=True):
                    if part:
                        other = latest_of(tags[place], part, begin_ns, time_ns)
                        found[place] = later_of(found[place], other)
        return tuple(found)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Open a connection with one transaction, which sees one state of the log."""
        try:
            with closing(
                sqlite3.connect(
                    f"{self._path.absolute().as_uri()}?mode=ro{_if_at_rest(self._path)}",
                    uri=True,
                    timeout=BUSY_TIMEOUT_S,
                    isolation_level=None,
                )
            ) as connection:
                connection.execute("BEGIN")
                check_keys(connection, self._bodies, path=self._path)
                yield connection
        except sqlite3.Error as error:
            if is_damage(error):
                self._on_damage()
            raise StoreError(f"{self._path} cannot be read: {error}") from error

    def _records_of(self, row: RecordRow, after: Seq, end: Seq) -> list[Record]:
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
        parts: Parts,
        tags: Sequence[TagId],
        row: SampleRow,
        connection: sqlite3.Connection,
    ) -> None:
        """Add the samples of a frame or a block to the parts of the tags they belong to."""
        if not isinstance(row.stored, bytes):
            raise damage(f"record {row.seq} has no body")
        try:
            body = self._bodies.get(row.stored, place=record_place(row.seq))
            table = self._table_inside(connection, epoch_of(body))
            places = {table.index(tag): place for place, tag in enumerate(tags) if tag in table}
            if not places:
                return
            if row.kind == RecordKind.BLOCK:
                frame = decode_block_tags(body, index_column(sorted(places)))
            else:
                frame, _ = decode_frame(body)
        except CorruptRecordError:
            self._on_corrupt(Seq(row.seq))
            return
        order = np.argsort(frame.tag_index, kind="stable")
        ordered = frame.tag_index[order]
        starts = np.searchsorted(ordered, list(places), side="left").tolist()
        ends = np.searchsorted(ordered, list(places), side="right").tolist()
        for place, start, end in zip(places.values(), starts, ends, strict=True):
            if end > start:
                hits = order[start:end]
                parts[place].append((frame.time_ns[hits], frame.value[hits], frame.status[hits]))

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


def _if_at_rest(path: Path) -> str:
    """Return how to open a closed log where nobody may write, such as a copy on a read-only disk.

    Otherwise SQLite makes the companion files that it reads a write-ahead log with.
    """
    is_open = path.with_name(f"{path.name}-wal").exists()
    return "" if is_open or os.access(path.parent, os.W_OK) else "&immutable=1"
