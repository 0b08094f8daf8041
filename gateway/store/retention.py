"""Retention: what goes when the disk that the log may use is used up.

The order: delivered history by age, then delivered history by size, then the oldest samples that
somebody lacks, and only when there is nothing else the oldest events, commands and ledger
entries. Undelivered raw samples go together with a ledger entry that says which, in the same
transaction. A block goes as a whole; frames in it that every reader has are not counted.

History that a restart would replay (behind the checkpoint) stays as if it were undelivered.
Deleting makes room inside the file, which does not shrink; so the bounds are on pages in use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.core.cursors import Cursor
from gateway.core.errors import CorruptRecordError
from gateway.core.records import Boot, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagId
from gateway.store.bodies import epoch_place, record_place
from gateway.store.database import LogDatabase, missing_entry
from gateway.store.settings import LogSettings
from gateway.wire.documents import decode_tags, draft_ledger_entry
from gateway.wire.frames import StoredFrame, frames_of

TAGS_LISTED_MAX = 100
"""A ledger entry that concerns more tags lists none, which means all."""

_ROWS_PER_STEP = 1000
_BYTES_PER_STEP = 4 * 1024 * 1024
_SAMPLES_PER_STEP = 1_000_000
"""Undelivered frames are decoded to tell what is lost; commits must not wait long for that."""
_ROW_BYTES = 40
"""What a record takes on disk beside its body, about."""
_HEADROOM = 0.05
"""Part of a bound that is made free at once, so that not every look finds it crossed."""


@dataclass(slots=True, kw_only=True)
class _Excess:
    """Bytes of bodies that are to go."""

    history: float
    backlog: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    seq: int
    size_bytes: int
    sample_count: int


class Retention:
    """Looks at the bounds once, then drops step by step until they hold."""

    def __init__(self, settings: LogSettings, *, boot: Boot) -> None:
        """Keep the bounds, and the running boot for ledger entries."""
        self._settings = settings
        self._boot = boot
        self._excess: _Excess | None = None

    def step(
        self,
        database: LogDatabase,
        *,
        readers: Sequence[Cursor],
        now_ns: int,
        is_time_known: bool,
        is_disk_full: bool,
    ) -> bool:
        """Drop some of what must go, in one transaction.

        Args:
            database: The log.
            readers: For whom records are kept; without any, nothing is undelivered.
            now_ns: Wall time, UTC.
            is_time_known: Whether ages can be told; while times are in doubt nothing is aged.
            is_disk_full: Whether all delivered history is to go, to make room.
        Returns:
            Whether there may be more to drop.
        """
        delivered = min((x.complete_to for x in readers), default=database.last_seq)
        checkpoint = database.checkpoint_seq()
        free_to_go = delivered if checkpoint is None else Seq(min(delivered, checkpoint))
        if self._excess is None:
            before_ns = now_ns - int(self._settings.history_age_s * 1e9)
            if is_time_known and _drop_aged(database, free_to_go, before_ns=before_ns):
                return True
            self._excess = self._look(database, free_to_go, is_disk_full=is_disk_full)
        excess = self._excess
        if excess.history > 0:
            dropped = _drop_history(database, free_to_go, excess.history)
            excess.history = excess.history - dropped if dropped else 0
            return True
        if excess.backlog > 0:
            dropped = self._drop_backlog(
                database, readers, delivered, excess.backlog, now_ns=now_ns
            )
            excess.backlog = excess.backlog - dropped if dropped else 0
            return True
        self._excess = None
        return False

    def _look(self, database: LogDatabase, free_to_go: Seq, *, is_disk_full: bool) -> _Excess:
        """Return what is beyond the bounds."""
        used = database.used_bytes()
        backlog_max = self._settings.backlog_bytes_max
        history_max = 0 if is_disk_full else self._settings.history_bytes_max
        if used <= min(backlog_max, history_max):
            return _Excess(history=0, backlog=0)
        bodies = dict(
            database.connection.execute(
                "SELECT seq <= ?, sum(length(body) + ?) FROM record GROUP BY 1",
                (free_to_go, _ROW_BYTES),
            )
        )
        history, backlog = bodies.get(1, 0), bodies.get(0, 0)
        # Pages are never quite full: each side has its part of what is unused in them.
        scale = max(used / max(history + backlog, 1), 1.0)
        return _Excess(
            history=_beyond(history, history_max / scale),
            backlog=_beyond(backlog, backlog_max / scale),
        )

    def _drop_backlog(
        self,
        database: LogDatabase,
        readers: Sequence[Cursor],
        delivered: Seq,
        excess: float,
        *,
        now_ns: int,
    ) -> int:
        """Drop undelivered records with their entry in the ledger; returns their bytes."""
        rows = database.connection.execute(
            "SELECT seq, length(body), sample_count FROM record"
            " WHERE seq > ? AND kind IN (1, 2, 7, 8) ORDER BY seq LIMIT ?",  # frames and blocks
            (delivered, _ROWS_PER_STEP),
        ).fetchall()
        if not rows:
            rows = database.connection.execute(
                "SELECT seq, length(body), sample_count FROM record"
                " WHERE seq > ? ORDER BY seq LIMIT ?",
                (delivered, _ROWS_PER_STEP),
            ).fetchall()
        chosen = _oldest(rows, excess)
        loss = _loss(database, [each.seq for each in chosen], readers)
        with database.transaction():
            _delete(database, chosen)
            if loss.sample_count:
                entry = missing_entry(
                    LedgerReason.RETENTION,
                    first_ns=loss.first_ns,
                    last_ns=loss.last_ns,
                    count=loss.sample_count,
                    tags=loss.tags,
                )
                database.append([draft_ledger_entry(entry)], boot=self._boot, stored_ns=now_ns)
        return sum(each.size_bytes for each in chosen)


def _drop_aged(database: LogDatabase, free_to_go: Seq, *, before_ns: int) -> bool:
    """Drop delivered records by age; returns whether there may be more."""
    rows = database.connection.execute(
        "SELECT seq, length(body), sample_count, stored_ns FROM record"
        " WHERE seq <= ? ORDER BY seq LIMIT ?",
        (free_to_go, _ROWS_PER_STEP),
    ).fetchall()
    aged = _oldest([row[:3] for row in rows if row[3] < before_ns], _BYTES_PER_STEP)
    if aged:
        with database.transaction():
            _delete(database, aged)
    return bool(aged)


def _drop_history(database: LogDatabase, free_to_go: Seq, excess: float) -> int:
    """Drop the oldest delivered records; returns their bytes."""
    rows = database.connection.execute(
        "SELECT seq, length(body), sample_count FROM record WHERE seq <= ? ORDER BY seq LIMIT ?",
        (free_to_go, _ROWS_PER_STEP),
    ).fetchall()
    chosen = _oldest(rows, excess)
    with database.transaction():
        _delete(database, chosen)
    return sum(each.size_bytes for each in chosen)


def _beyond(size_bytes: float, bound_bytes: float) -> float:
    """Return how much must go so that a bound holds for a while; 0 when it holds."""
    return size_bytes - bound_bytes * (1 - _HEADROOM) if size_bytes > bound_bytes else 0.0


def _oldest(rows: Sequence[tuple[int, int, int]], excess: float) -> list[_Candidate]:
    """Return the first rows that together have enough bytes, or as many as one step may take."""
    chosen: list[_Candidate] = []
    size_bytes = samples = 0
    for seq, body_bytes, sample_count in rows:
        if size_bytes >= min(excess, _BYTES_PER_STEP) or samples >= _SAMPLES_PER_STEP:
            break
        candidate = _Candidate(
            seq=seq, size_bytes=body_bytes + _ROW_BYTES, sample_count=sample_count
        )
        chosen.append(candidate)
        size_bytes += candidate.size_bytes
        samples += sample_count
    return chosen


def _delete(database: LogDatabase, chosen: Sequence[_Candidate]) -> None:
    database.connection.executemany(
        "DELETE FROM record WHERE seq = ?", [(each.seq,) for each in chosen]
    )
    # The count must not fall back when the last record has gone.
    database.set_state("raw_total", database.raw_total)


@dataclass(slots=True, kw_only=True)
class _Loss:
    """Raw samples that go undelivered."""

    sample_count: int = 0
    first_ns: int = np.iinfo(np.int64).max
    last_ns: int = np.iinfo(np.int64).min
    tags: tuple[TagId, ...] = ()

    def add(self, count: int, *, first_ns: int, last_ns: int) -> None:
        """Add some samples."""
        self.sample_count += count
        self.first_ns = min(self.first_ns, first_ns)
        self.last_ns = max(self.last_ns, last_ns)


def _loss(database: LogDatabase, seqs: Sequence[int], readers: Sequence[Cursor]) -> _Loss:
    """Return which raw samples go undelivered with these records."""
    loss = _Loss()
    places: dict[ConfigEpoch, set[int]] = {}
    is_readable = True
    for seq in seqs:
        row = database.connection.execute(
            "SELECT boot, kind, raw_count, first_ns, last_ns, body FROM record WHERE seq = ?",
            (seq,),
        ).fetchone()
        boot, kind, raw_count, first_ns, last_ns, stored = row
        if raw_count == 0:
            continue
        try:
            body = database.bodies.get(stored, place=record_place(seq))
            record = Record(boot=Boot(boot), seq=Seq(seq), kind=RecordKind(kind), body=body)
            frames, epoch = frames_of(record)
        except CorruptRecordError:
            # It is lost either way; the row still knows how much it was.
            loss.add(raw_count, first_ns=first_ns, last_ns=last_ns)
            is_readable = False
            continue
        for frame in (each.frame for each in frames if _is_lost(each, readers)):
            loss.add(
                len(frame), first_ns=int(frame.time_ns.min()), last_ns=int(frame.time_ns.max())
            )
            if len(places.setdefault(epoch, set())) <= TAGS_LISTED_MAX:
                places[epoch].update(frame.tag_index.tolist())
    if is_readable:
        loss.tags = _names(database, places)
    return loss


def _is_lost(stored: StoredFrame, readers: Sequence[Cursor]) -> bool:
    is_undelivered = not all(
        reader.has(stored.seq) for reader in readers if reader.scope.covers(stored.kind)
    )
    return is_undelivered and stored.kind is RecordKind.FRAME and len(stored.frame) > 0


def _names(database: LogDatabase, places: Mapping[ConfigEpoch, set[int]]) -> tuple[TagId, ...]:
    """Return the names of tags by their epochs; none where they are many or one is unknown."""
    names: set[TagId] = set()
    for epoch, positions in places.items():
        row = database.connection.execute(
            "SELECT body FROM epoch WHERE epoch = ?", (epoch,)
        ).fetchone()
        if row is None or len(positions) > TAGS_LISTED_MAX:
            return ()
        tags = decode_tags(database.bodies.get(row[0], place=epoch_place(epoch))).tags
        names |= {tags[place].id for place in positions}
    return tuple(sorted(names)) if len(names) <= TAGS_LISTED_MAX else ()
