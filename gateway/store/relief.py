"""Relief: how undelivered records take less room, by what matters least; `retention.py` says when.

Raw samples that go undelivered, thinned or dropped, are entered into the ledger in the same
transaction. Samples in a block that every reader has are not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from gateway.core.cursors import Cursor, Span
from gateway.core.errors import CorruptRecordError
from gateway.core.records import Boot, LedgerEntry, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch
from gateway.store.bodies import record_place
from gateway.store.database import LogDatabase
from gateway.store.loss import Loss, Tables, is_lacked
from gateway.store.merging import merged_entries
from gateway.store.needs import Needs
from gateway.store.rows import (
    NOTES,
    SAMPLES,
    Removal,
    Row,
    delete_rows,
    first_rows,
    lacked_rows,
    replace_block,
)
from gateway.store.settings import LogSettings
from gateway.store.thinning import error_stages, thin_frames
from gateway.wire.documents import decode_ledger_entry, draft_ledger_entry
from gateway.wire.frames import StoredFrame, decode_block_tags, encode_block, frames_of

log = structlog.get_logger()

NOTES_SOURCE: Final = "events"
"""Source of the ledger entries about events and commands that were dropped."""
IN_FLIGHT_NOTES_MAX: Final = 10_000
"""So many notes behind a reader may be on their way: ledger entries among them are not merged, or
the far end would count twice."""

_MEASURED: Final = "(kind IN (1, 8) OR (kind = 7 AND raw_count > 0))"
_THINNABLE: Final = (
    "kind = 7 AND raw_count > 0"
    " AND ifnull((SELECT tried_percent FROM thinned WHERE thinned.seq = record.seq), 0)"
)
_COMPUTED: Final = frozenset({RecordKind.DERIVED})
_NONE: Final[frozenset[RecordKind]] = frozenset()
_ENTRIES_PER_STEP: Final = 1000
_THIN_GAIN_MIN: Final = 0.05
"""Part of a block that thinning must save; samples are not given for less."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """The log and its readers at one step."""

    database: LogDatabase
    readers: Sequence[Cursor]
    needs: Needs
    now_ns: int
    """Wall time, UTC."""


class Relief:
    """Does one short transaction at a time, since commits wait meanwhile."""

    def __init__(self, settings: LogSettings, *, boot: Boot) -> None:
        """Keep the errors of thinning, and the running boot for ledger entries."""
        self._stages = error_stages(settings)
        self._boot = boot
        self._tables = Tables()
        self._tried_to: dict[float, Seq] = {}
        """For each stage, up to where blocks were thinned since the start."""

    def relieve(self, look: Look, size_bytes: float) -> Removal:
        """Save some bytes in the order that `retention.py` states."""
        found = self._next_to_thin(look)
        if found is not None:
            return self._thin(look, *found)
        if rows := lacked_rows(look.database.connection, look.needs.samples, where=_MEASURED):
            return self._drop_samples(look, first_rows(rows, size_bytes), kept=_COMPUTED)
        if rows := lacked_rows(look.database.connection, look.needs.samples, where=SAMPLES):
            return self._drop_samples(look, first_rows(rows, size_bytes), kept=_NONE)
        merged = self._merge_entries(look)
        return merged if merged.is_more else self._drop_notes(look, size_bytes)

    def drop_aged(self, look: Look, *, before_ns: int) -> bool:
        """Drop undelivered samples that were committed before a time; returns whether any were."""
        rows = lacked_rows(
            look.database.connection,
            look.needs.samples,
            where=f"{SAMPLES} AND stored_ns < {before_ns}",
        )
        if rows:
            self._drop_samples(look, first_rows(rows), kept=_NONE)
        return bool(rows)

    def _next_to_thin(self, look: Look) -> tuple[list[Row], float] | None:
        """Return the oldest blocks that were not thinned to the lowest stage yet, and the stage."""
        for percent in self._stages:
            tried_to = self._tried_to.get(percent, 0)
            spans = [
                Span(first=Seq(max(span.first, tried_to + 1)), last=span.last)
                for span in look.needs.samples
                if span.last > tried_to
            ]
            rows = lacked_rows(
                look.database.connection,
                spans,
                where=f"{_THINNABLE} < {percent} AND seq <= {look.needs.replayed_after}",
            )
            if rows:
                return first_rows(rows), percent
        return None

    def _thin(self, look: Look, rows: Sequence[Row], percent: float) -> Removal:
        """Thin blocks to an error, save those where that saves next to nothing."""
        loss = Loss()
        size_bytes = 0
        with look.database.transaction():
            for row in rows:
                size_bytes += self._thin_block(look, row, percent, loss)
            self._enter(look, loss, LedgerReason.THINNED, error_percent=percent)
        # What is behind is not looked at again: a log may have very many small blocks.
        self._tried_to[percent] = rows[-1].seq
        return Removal(size_bytes=size_bytes)

    def _thin_block(self, look: Look, row: Row, percent: float, loss: Loss) -> int:
        """Thin one block, inside a transaction; returns the bytes saved, and adds to the loss."""
        database = look.database
        frames, epoch = _frames(database, row)
        table = self._tables.find(database, epoch) if frames else None
        missed = _missed_percent(database, row.seq)
        saved = 0
        if table is not None:
            thinned = thin_frames(
                frames, table, readers=look.readers, error_percent=percent - missed
            )
            stored = _stored_block(database, row.seq, thinned.frames, epoch)
            if len(stored) < row.size_bytes * (1 - _THIN_GAIN_MIN):
                saved = replace_block(database, row, thinned.frames, stored)
                missed = percent
                loss.add(thinned.tag_index, thinned.time_ns, table)
        _note_thinned(database, row.seq, tried_percent=percent, missed_percent=missed)
        return saved

    def _drop_notes(self, look: Look, size_bytes: float) -> Removal:
        """Drop the oldest undelivered events, commands and tag tables; the ledger stays.

        They are no samples, so their entry counts none: it says in which time some are missing.
        """
        connection = look.database.connection
        rows = lacked_rows(connection, look.needs.notes, where=f"{NOTES} AND kind != 6")
        chosen = first_rows(rows, size_bytes)
        if not chosen:
            return Removal(size_bytes=0, is_more=False)
        first, last = chosen[0].seq, chosen[-1].seq
        first_ns, last_ns = connection.execute(
            "SELECT min(first_ns), max(last_ns) FROM record WHERE seq BETWEEN ? AND ?"
            " AND kind NOT IN (1, 2, 6, 7, 8)",
            (first, last),
        ).fetchone()
        entry = LedgerEntry(
            reason=LedgerReason.RETENTION,
            source=NOTES_SOURCE,
            from_ns=first_ns,
            to_ns=last_ns + 1,
            count=0,
        )
        with look.database.transaction():
            delete_rows(look.database, chosen)
            look.database.append(
                [draft_ledger_entry(entry)], boot=self._boot, stored_ns=look.now_ns
            )
        log.error("notes_dropped", records=len(chosen), stage="processing")
        return Removal(size_bytes=sum(row.size_bytes for row in chosen), is_more=True)

    def _drop_samples(
        self, look: Look, rows: Sequence[Row], *, kept: frozenset[RecordKind]
    ) -> Removal:
        """Drop undelivered frames and blocks, save frames of some kinds in blocks."""
        database = look.database
        loss = Loss()
        gone: list[Row] = []
        size_bytes = 0
        with database.transaction():
            for row in rows:
                frames, epoch = _frames(database, row)
                if not frames and row.raw_count:
                    _add_unread(database, row, loss)
                lacked = [each.frame for each in frames if is_lacked(each, look.readers)]
                if lacked:
                    loss.add_frames(lacked, self._tables.find(database, epoch))
                left = [each for each in frames if each.kind in kept]
                if left:
                    stored = _stored_block(database, row.seq, left, epoch)
                    size_bytes += replace_block(database, row, left, stored)
                else:
                    gone.append(row)
                    size_bytes += row.size_bytes
            delete_rows(database, gone)
            self._enter(look, loss, LedgerReason.RETENTION, error_percent=None)
        return Removal(size_bytes=size_bytes)

    def _enter(
        self, look: Look, loss: Loss, reason: LedgerReason, *, error_percent: float | None
    ) -> None:
        """Enter a loss into the ledger, if it is one; inside a transaction."""
        if loss.sample_count:
            entry = loss.entry(reason, error_percent=error_percent)
            look.database.append(
                [draft_ledger_entry(entry)], boot=self._boot, stored_ns=look.now_ns
            )

    def _merge_entries(self, look: Look) -> Removal:
        """Put few ledger entries in the place of many that no reader can have seen."""
        database = look.database
        rows = database.connection.execute(
            "SELECT seq, body FROM record WHERE kind = 6 AND seq > ? ORDER BY seq LIMIT ?",
            (_seen_to(look), _ENTRIES_PER_STEP),
        ).fetchall()
        try:
            entries = [
                decode_ledger_entry(database.bodies.get(stored, place=record_place(seq)))
                for seq, stored in rows
            ]
        except CorruptRecordError:
            # Whoever reads it has it entered into the ledger; until then they stay as they are.
            return Removal(size_bytes=0, is_more=False)
        merged = merged_entries(entries)
        if len(merged) == len(entries):
            return Removal(size_bytes=0, is_more=False)
        with database.transaction():
            _forget_entries(database, [seq for seq, _ in rows], entries)
            drafts = [draft_ledger_entry(entry) for entry in merged]
            database.append(drafts, boot=self._boot, stored_ns=look.now_ns)
        return Removal(size_bytes=sum(len(stored) for _, stored in rows))


def _forget_entries(
    database: LogDatabase, seqs: Sequence[int], entries: Sequence[LedgerEntry]
) -> None:
    """Take ledger entries out, also of the totals."""
    database.connection.executemany("DELETE FROM record WHERE seq = ?", [(seq,) for seq in seqs])
    database.connection.executemany(
        "UPDATE ledgered SET entry_count = entry_count - 1, sample_count = sample_count - ?"
        " WHERE reason = ?",
        [(entry.count or 0, entry.reason) for entry in entries],
    )


def _frames(database: LogDatabase, row: Row) -> tuple[tuple[StoredFrame, ...], ConfigEpoch]:
    """Return the frames of a row; none of one that cannot be read, or goes without being a loss."""
    if row.kind is not RecordKind.BLOCK and row.raw_count == 0:
        return (), ConfigEpoch(0)
    boot, stored = database.connection.execute(
        "SELECT boot, body FROM record WHERE seq = ?", (row.seq,)
    ).fetchone()
    try:
        body = database.bodies.get(stored, place=record_place(row.seq))
        return frames_of(Record(boot=Boot(boot), seq=row.seq, kind=row.kind, body=body))
    except CorruptRecordError:
        # It is lost either way; the row still knows how much it was.
        return (), ConfigEpoch(0)


def _stored_block(
    database: LogDatabase, seq: Seq, frames: Sequence[StoredFrame], epoch: ConfigEpoch
) -> bytes:
    """Return the body of a block as it lies on the disk."""
    body = encode_block(frames, epoch=epoch)
    # The samples that were there are about to go, so all columns are read back as others will;
    # to make ten thousand frames of them again would take longer than a commit may wait.
    tags = np.unique(np.concatenate([each.frame.tag_index for each in frames]))
    assert len(decode_block_tags(body, tags)) == sum(len(each.frame) for each in frames)
    return database.bodies.put(body, place=record_place(seq))


def _add_unread(database: LogDatabase, row: Row, loss: Loss) -> None:
    first_ns, last_ns = database.connection.execute(
        "SELECT first_ns, last_ns FROM record WHERE seq = ?", (row.seq,)
    ).fetchone()
    loss.add_unread(row.raw_count, first_ns=first_ns, last_ns=last_ns)


def _missed_percent(database: LogDatabase, seq: Seq) -> float:
    """Return by how much the samples taken out of a block may be missed already."""
    row = database.connection.execute(
        "SELECT missed_percent FROM thinned WHERE seq = ?", (seq,)
    ).fetchone()
    return float(row[0]) if row else 0.0


def _note_thinned(
    database: LogDatabase, seq: Seq, *, tried_percent: float, missed_percent: float
) -> None:
    database.connection.execute(
        "INSERT OR REPLACE INTO thinned VALUES (?, ?, ?)", (seq, tried_percent, missed_percent)
    )


def _seen_to(look: Look) -> int:
    """Return the position up to which a reader may have, or be getting, the notes."""
    query = "SELECT seq FROM record WHERE seq > ?"
    readers = [each.seq for each in look.readers if each.scope.covers(RecordKind.LEDGER)]
    row = look.database.connection.execute(
        f"{query} AND {NOTES} ORDER BY seq LIMIT 1 OFFSET ?",
        (max(readers, default=0), IN_FLIGHT_NOTES_MAX - 1),
    ).fetchone()
    return row[0] if row else look.database.last_seq
