"""Retention: what goes when the disk that the log may use is used up.

The order: delivered history by age, then delivered history by size, then the oldest samples that
nobody has delivered, and only when there is nothing else the oldest events, commands and ledger
entries. Undelivered raw samples go together with a ledger entry that says which, in the same
transaction. A block goes as a whole; its frames behind the cursors are delivered and not counted.

History that a restart would replay (behind the checkpoint) stays as if it were undelivered.
Deleting makes room inside the file, which does not shrink; so the bounds are on pages in use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.core.errors import CorruptRecordError
from gateway.core.records import Boot, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import TagId
from gateway.store.database import LogDatabase, missing_entry
from gateway.store.settings import LogSettings
from gateway.wire.documents import decode_tags, draft_ledger_entry
from gateway.wire.frames import StoredFrame, frames_of

ROWS_PER_STEP = 128
"""Records dropped in one transaction, so that commits are not kept waiting."""
UNDELIVERED_PER_STEP = 16
"""The same for undelivered ones, which are decoded to tell what is lost."""
TAGS_LISTED_MAX = 100
"""A ledger entry that concerns more tags lists none, which means all."""

_ROW_BYTES = 40
"""What a record takes on disk beside its body, about."""
_HEADROOM = 0.05
"""Part of a bound that is made free at once, so that not every look finds it crossed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    """Bytes of the file in use."""

    history: float
    backlog: float


def retain(
    database: LogDatabase,
    settings: LogSettings,
    *,
    boot: Boot,
    delivered: Seq,
    now_ns: int,
    is_disk_full: bool,
) -> bool:
    """Drop what must go, one step of it, in one transaction.

    Args:
        database: The log.
        settings: The bounds.
        boot: The running boot, for ledger entries.
        delivered: Every named reader has everything up to here.
        now_ns: Wall time, UTC.
        is_disk_full: Whether all delivered history is to go, to make room.
    Returns:
        Whether there may be more to drop.
    """
    checkpoint = database.checkpoint_seq()
    free_to_go = delivered if checkpoint is None else Seq(min(delivered, checkpoint))
    if _drop_aged(database, free_to_go, before_ns=now_ns - int(settings.history_age_s * 1e9)):
        return True
    used = database.used_bytes()
    if not is_disk_full and used <= min(settings.history_bytes_max, settings.backlog_bytes_max):
        return False
    sizes = _sizes(database, free_to_go, used)
    history_bytes_max = 0 if is_disk_full else settings.history_bytes_max
    if sizes.history > history_bytes_max:
        excess = sizes.history - history_bytes_max * (1 - _HEADROOM)
        return _drop_history(database, free_to_go, excess)
    if sizes.backlog > settings.backlog_bytes_max:
        excess = sizes.backlog - settings.backlog_bytes_max * (1 - _HEADROOM)
        return _drop_backlog(database, delivered, excess, boot=boot, now_ns=now_ns)
    return False


def _drop_aged(database: LogDatabase, free_to_go: Seq, *, before_ns: int) -> bool:
    rows = database.connection.execute(
        "SELECT seq, stored_ns FROM record WHERE seq <= ? ORDER BY seq LIMIT ?",
        (free_to_go, ROWS_PER_STEP),
    ).fetchall()
    aged = [seq for seq, stored_ns in rows if stored_ns < before_ns]
    _delete(database, aged)
    return len(aged) == ROWS_PER_STEP


def _drop_history(database: LogDatabase, free_to_go: Seq, excess_bytes: float) -> bool:
    rows = database.connection.execute(
        "SELECT seq, length(body) FROM record WHERE seq <= ? ORDER BY seq LIMIT ?",
        (free_to_go, ROWS_PER_STEP),
    ).fetchall()
    chosen = _oldest(rows, excess_bytes)
    _delete(database, chosen)
    return len(chosen) == ROWS_PER_STEP


def _drop_backlog(
    database: LogDatabase, delivered: Seq, excess_bytes: float, *, boot: Boot, now_ns: int
) -> bool:
    rows = database.connection.execute(
        "SELECT seq, length(body) FROM record"
        " WHERE seq > ? AND kind IN (1, 2, 7, 8) ORDER BY seq LIMIT ?",  # frames and blocks
        (delivered, UNDELIVERED_PER_STEP),
    ).fetchall()
    if not rows:
        rows = database.connection.execute(
            "SELECT seq, length(body) FROM record WHERE seq > ? ORDER BY seq LIMIT ?",
            (delivered, UNDELIVERED_PER_STEP),
        ).fetchall()
    chosen = _oldest(rows, excess_bytes)
    if not chosen:
        return False
    loss = _loss(database, chosen, delivered)
    with database.transaction():
        _delete_rows(database, chosen)
        if loss.sample_count:
            entry = missing_entry(
                LedgerReason.RETENTION,
                first_ns=loss.first_ns,
                last_ns=loss.last_ns,
                count=loss.sample_count,
                tags=loss.tags,
            )
            database.append([draft_ledger_entry(entry)], boot=boot, stored_ns=now_ns)
    return len(chosen) == UNDELIVERED_PER_STEP


def _sizes(database: LogDatabase, free_to_go: Seq, used: int) -> _Sizes:
    """Return how the pages in use are shared by delivered and undelivered records."""
    shares = dict(
        database.connection.execute(
            "SELECT seq <= ?, sum(length(body) + ?) FROM record GROUP BY 1",
            (free_to_go, _ROW_BYTES),
        )
    )
    history, backlog = shares.get(1, 0), shares.get(0, 0)
    scale = used / max(history + backlog, 1)
    return _Sizes(history=history * scale, backlog=backlog * scale)


def _oldest(rows: Sequence[tuple[int, int]], excess_bytes: float) -> list[int]:
    """Return the first positions that together have at least so many bytes."""
    chosen = []
    for seq, size_bytes in rows:
        if excess_bytes <= 0:
            break
        chosen.append(seq)
        excess_bytes -= size_bytes + _ROW_BYTES
    return chosen


def _delete(database: LogDatabase, seqs: Sequence[int]) -> None:
    if seqs:
        with database.transaction():
            _delete_rows(database, seqs)


def _delete_rows(database: LogDatabase, seqs: Sequence[int]) -> None:
    database.connection.executemany("DELETE FROM record WHERE seq = ?", [(seq,) for seq in seqs])
    # The count must not fall back when the last record has gone.
    database.set_state("raw_total", database.raw_total)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loss:
    sample_count: int
    first_ns: int
    last_ns: int
    tags: tuple[TagId, ...]


def _loss(database: LogDatabase, seqs: Sequence[int], delivered: Seq) -> _Loss:
    """Return which raw samples go undelivered with these records."""
    names: set[TagId] = set()
    sample_count = 0
    first_ns: list[int] = []
    last_ns: list[int] = []
    for seq in seqs:
        row = database.connection.execute(
            "SELECT boot, kind, raw_count, first_ns, last_ns, body FROM record WHERE seq = ?",
            (seq,),
        ).fetchone()
        boot, kind, raw_count, row_first_ns, row_last_ns, body = row
        if raw_count == 0:
            continue
        record = Record(boot=Boot(boot), seq=Seq(seq), kind=RecordKind(kind), body=body)
        try:
            stored, epoch = frames_of(record)
        except CorruptRecordError:
            # It is lost either way; the row still knows how much it was.
            sample_count += raw_count
            first_ns.append(row_first_ns)
            last_ns.append(row_last_ns)
            continue
        lost = [each for each in stored if _is_lost(each, delivered)]
        sample_count += sum(len(each.frame) for each in lost)
        first_ns += [int(each.frame.time_ns.min()) for each in lost]
        last_ns += [int(each.frame.time_ns.max()) for each in lost]
        if lost and len(names) <= TAGS_LISTED_MAX:
            names |= _names(database, epoch, lost)
    return _Loss(
        sample_count=sample_count,
        first_ns=min(first_ns, default=0),
        last_ns=max(last_ns, default=0),
        tags=tuple(sorted(names)) if len(names) <= TAGS_LISTED_MAX else (),
    )


def _is_lost(stored: StoredFrame, delivered: Seq) -> bool:
    is_undelivered = stored.seq > delivered
    return is_undelivered and stored.kind is RecordKind.FRAME and len(stored.frame) > 0


def _names(database: LogDatabase, epoch: int, stored: Sequence[StoredFrame]) -> set[TagId]:
    row = database.connection.execute("SELECT body FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
    if row is None:
        return set()
    table = decode_tags(row[0])
    positions = np.unique(np.concatenate([each.frame.tag_index for each in stored]))
    return {table.tags[place].id for place in positions.tolist() if place < len(table)}
