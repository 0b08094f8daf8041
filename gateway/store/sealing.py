"""Sealing: single frames become tag-major blocks, a tenth of the size and fast to read by tag.

A block takes the place of neighbouring frames of one boot and one epoch; any other record between
them ends it, so that the order of the log stays. It stands at the last seq of its range, and every
frame in it keeps its own identity: cursors stay valid. Up to `sealed_seq` no frame stands alone,
save one that cannot be decoded. The block is decoded again and compared before the frames go.

Opening a block takes about the same time whether it covers a minute or an hour, so a trend of a day
is as fast as the day's blocks are few. A new block is joined with its neighbour before it once that
is not much larger, and so on: each sample is written again two or three times, however long the
log is. Joined are only blocks of this start that nobody has changed since.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import TimeArray
from gateway.core.errors import CorruptRecordError
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch
from gateway.store.bodies import record_place
from gateway.store.damage import damage, is_sound
from gateway.store.database import INSERT_RECORD, LogDatabase
from gateway.wire.frames import (
    FRAME_COUNT_MAX,
    FRAME_KINDS,
    StoredFrame,
    decode_block,
    encode_block,
    frames_of,
)

JOIN_RATIO_MAX = 2
"""A block is joined with one of at most so many times its samples."""

_JOINABLE_MAX = 64
"""Blocks remembered; those that still wait for their like are few."""
_COLUMNS = (
    "SELECT seq, first_seq, boot, kind, raw_count, sample_count, raw_total, first_ns, last_ns,"
    " stored_ns, body FROM record"
)
_SELECT = f"{_COLUMNS} WHERE seq > ? AND seq <= ? ORDER BY seq"
_SELECT_NEWEST = f"{_COLUMNS} WHERE seq <= ? ORDER BY seq DESC LIMIT ?"


class Ages:
    """When positions of the log were committed, on the clock that never jumps."""

    def __init__(self, *, boundary: Seq) -> None:
        """Begin with a boundary up to which everything is of an earlier start, and so old."""
        self._old = boundary
        self._commits: deque[tuple[int, Seq]] = deque()

    def committed(self, seq: Seq, *, now_ns: int) -> None:
        """Note that everything up to here is committed now."""
        self._commits.append((now_ns, seq))

    def older_than(self, age_s: float, *, now_ns: int) -> Seq:
        """Return the last position that was committed at least so long ago."""
        latest_ns = now_ns - int(age_s * 1e9)
        seq = self._old
        for committed_ns, end in self._commits:
            if committed_ns > latest_ns:
                break
            seq = end
        return seq

    def forget(self, sealed: Seq) -> None:
        """Forget what is sealed."""
        while self._commits and self._commits[0][1] <= sealed:
            self._old = self._commits.popleft()[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    seq: Seq
    first_seq: Seq
    boot: Boot
    kind: RecordKind
    raw_count: int
    sample_count: int
    raw_total: int
    first_ns: int
    last_ns: int
    stored_ns: int
    stored: bytes
    """The body as it lies on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Neighbouring frames, or blocks, that become one block."""

    rows: Sequence[_Row]
    frames: Sequence[StoredFrame]
    epoch: ConfigEpoch


def sealed_seq(database: LogDatabase) -> Seq:
    """Return the position up to which no frame stands alone."""
    return Seq(database.state("sealed_seq", 0))


def unsealed_samples(database: LogDatabase, *, up_to: Seq) -> int:
    """Return the number of samples in the frames that could be sealed."""
    row = database.connection.execute(
        "SELECT total(sample_count) FROM record WHERE seq > ? AND seq <= ?",
        (sealed_seq(database), up_to),
    ).fetchone()
    return int(row[0])


def seal_next(database: LogDatabase, *, up_to: Seq, samples_max: int) -> bool:
    """Seal the next run of frames into one block, in one transaction.

    Args:
        database: The log.
        up_to: Newest position that may be sealed.
        samples_max: Bound on the samples of the block.
    Returns:
        Whether there may be more to seal.
    """
    begin = sealed_seq(database)
    if begin >= up_to:
        return False
    end, run = _next_run(database, begin, up_to, samples_max)
    with database.transaction():
        if run is not None:
            _replace(database, run)
        database.set_state("sealed_seq", end)
    return end < up_to


class Joining:
    """Knows the blocks of this start, and joins the newest two when they are alike in size."""

    def __init__(self) -> None:
        """Begin without any."""
        self._sample_counts: dict[Seq, int] = {}
        self._is_due = False

    def sealed(self, database: LogDatabase) -> None:
        """Note that something was sealed just now."""
        for row in _newest_rows(database, count=1):
            if row.kind is RecordKind.BLOCK:
                self._note(row.seq, row.sample_count)

    def step(self, database: LogDatabase, *, samples_max: int) -> bool:
        """Join two blocks if it is time, in one transaction; returns whether it did.

        Args:
            database: The log.
            samples_max: Bound on the samples of a block.
        """
        if not self._is_due:
            return False
        self._is_due = False
        run = self._next(database, samples_max)
        if run is None:
            return False
        with database.transaction():
            _replace(database, run)
        older, newer = run.rows
        del self._sample_counts[older.seq]
        self._note(newer.seq, older.sample_count + newer.sample_count)
        return True

    def _note(self, seq: Seq, sample_count: int) -> None:
        self._sample_counts[seq] = sample_count
        self._is_due = True
        if len(self._sample_counts) > _JOINABLE_MAX:
            del self._sample_counts[min(self._sample_counts)]

    def _next(self, database: LogDatabase, samples_max: int) -> _Run | None:
        """Return the newest two blocks, if they are to become one."""
        rows = _newest_rows(database, count=2)
        if len(rows) < 2 or not all(map(self._is_as_made, rows)):
            return None
        older, newer = rows
        if (
            older.boot != newer.boot
            or older.sample_count > JOIN_RATIO_MAX * newer.sample_count
            or older.sample_count + newer.sample_count > samples_max
            or newer.seq - older.first_seq >= FRAME_COUNT_MAX
        ):
            return None
        try:
            decoded = [
                decode_block(database.bodies.get(row.stored, place=record_place(row.seq)))
                for row in rows
            ]
        except CorruptRecordError:
            return None  # whoever reads it has it entered into the ledger
        (first, epoch), (second, other_epoch) = decoded
        if epoch != other_epoch:
            return None
        return _Run(rows=rows, frames=[*first, *second], epoch=epoch)

    def _is_as_made(self, row: _Row) -> bool:
        """Return whether a row is a block of this start with all the samples it was made with."""
        return self._sample_counts.get(row.seq) == row.sample_count


def _newest_rows(database: LogDatabase, *, count: int) -> list[_Row]:
    """Return the newest rows up to where all is sealed, in their order."""
    rows = database.connection.execute(_SELECT_NEWEST, (sealed_seq(database), count)).fetchall()
    return [_to_row(values) for values in reversed(rows)]


def _next_run(
    database: LogDatabase, begin: Seq, up_to: Seq, samples_max: int
) -> tuple[Seq, _Run | None]:
    """Return the next run of frames behind a position, and where the search ended."""
    rows: list[_Row] = []
    frames: list[StoredFrame] = []
    epoch = ConfigEpoch(0)
    samples = 0
    end = begin
    position = begin
    is_checked = False
    selected = database.connection.execute(_SELECT, (begin, up_to))
    for values in selected:
        row = _to_row(values)
        if row.first_seq > position + 1 and not is_checked:
            # Dropped, or on a page that is damaged without a word: soon it could not be told.
            if not is_sound(database.connection):
                raise damage(f"records behind {position} are missing")
            is_checked = True
        position = row.seq
        found = _decoded(database, row)
        if found is None:
            if rows:
                break
            end = row.seq
            continue
        stored, found_epoch = found
        if rows and (
            found_epoch != epoch
            or row.boot != rows[0].boot
            or samples + row.sample_count > samples_max
            or len(rows) >= FRAME_COUNT_MAX
        ):
            break
        rows.append(row)
        frames.append(stored)
        epoch = found_epoch
        samples += row.sample_count
        end = row.seq
    else:
        # Nothing further stands in the way: positions up to here need not be looked at again.
        end = up_to
    selected.close()
    return end, _Run(rows=rows, frames=frames, epoch=epoch) if rows else None


def _to_row(values: tuple[int, int, int, int, int, int, int, int, int, int, bytes]) -> _Row:
    seq, first_seq, boot, kind, raw_count, sample_count, raw_total, *times, stored = values
    if not all(isinstance(number, int) for number in values[:-1]) or kind not in set(RecordKind):
        raise damage(f"what stands at {seq} is no record")
    first_ns, last_ns, stored_ns = times
    return _Row(
        seq=Seq(seq),
        first_seq=Seq(first_seq),
        boot=Boot(boot),
        kind=RecordKind(kind),
        raw_count=raw_count,
        sample_count=sample_count,
        raw_total=raw_total,
        first_ns=first_ns,
        last_ns=last_ns,
        stored_ns=stored_ns,
        stored=stored,
    )


def _decoded(database: LogDatabase, row: _Row) -> tuple[StoredFrame, ConfigEpoch] | None:
    """Return the frame in a row; None when it holds none that can be read."""
    if row.kind not in FRAME_KINDS:
        return None
    try:
        body = database.bodies.get(row.stored, place=record_place(row.seq))
        record = Record(boot=row.boot, seq=row.seq, kind=row.kind, body=body)
        (stored,), epoch = frames_of(record)
    except CorruptRecordError:
        # It stays where it is: whoever reads it has it entered into the ledger.
        return None
    return stored, epoch


def _replace(database: LogDatabase, run: _Run) -> None:
    body = encode_block(run.frames, epoch=run.epoch)
    # The frames are about to go, so the block is read back as others will read it.
    assert _are_same(decode_block(body)[0], run.frames)
    first, last = run.rows[0], run.rows[-1]
    database.connection.execute(
        "DELETE FROM record WHERE seq BETWEEN ? AND ?", (first.seq, last.seq)
    )
    database.connection.execute(
        INSERT_RECORD,
        (
            last.seq,
            first.first_seq,
            last.boot,
            int(RecordKind.BLOCK),
            sum(row.raw_count for row in run.rows),
            sum(row.sample_count for row in run.rows),
            last.raw_total,
            min(row.first_ns for row in run.rows),
            max(row.last_ns for row in run.rows),
            last.stored_ns,
            database.bodies.put(body, place=record_place(last.seq)),
        ),
    )


def _are_same(found: Sequence[StoredFrame], expected: Sequence[StoredFrame]) -> bool:
    return len(found) == len(expected) and all(
        (one.boot, one.seq, one.kind) == (other.boot, other.seq, other.kind)
        and one.frame.clock is other.frame.clock
        and np.array_equal(one.frame.tag_index, other.frame.tag_index)
        and np.array_equal(one.frame.time_ns, other.frame.time_ns)
        and np.array_equal(one.frame.status, other.frame.status)
        and np.array_equal(one.frame.value.view(np.int64), other.frame.value.view(np.int64))
        and _are_same_times(one.frame.server_ns, other.frame.server_ns)
        for one, other in zip(found, expected, strict=True)
    )


def _are_same_times(found: TimeArray | None, expected: TimeArray | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return np.array_equal(found, expected)
