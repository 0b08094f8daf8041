"""Frames as record bodies, and many frames as one tag-major block.

A frame's body holds its columns in their order. A block holds the samples of many frames sorted
by tag, because one signal's values resemble each other far more than those of neighbours in a
frame: about 2 bytes a sample on slow signals. What is needed to undo the sorting is small: most
frames of a connector list the same tags in the same order (a *layout*), so a block keeps each
layout once and a layout number for each frame. Times are stored against the first time of their
frame, which is the same for all samples of most frames.

Both forms are compressed as a whole after the columns are packed (`gateway.wire.columns`), and
enclosed in a body (`gateway.wire.body`). The arrival on the monotonic clock is not kept: it means
nothing after a restart. Limits are checked before memory is taken: decoding is safe on bytes from
a stranger, but the positions of tags are only known to be within int32, not within a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import IndexArray, ScalarT
from gateway.core.errors import CorruptRecordError
from gateway.core.frame import Frame, Origin
from gateway.core.records import Boot, Draft, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch
from gateway.wire.body import close_body, open_version
from gateway.wire.columns import (
    ByteReader,
    IntArray,
    compress,
    decompress,
    get_integers,
    get_values,
    put_integers,
    put_unsigned,
    put_values,
)

FRAME_KINDS = frozenset((RecordKind.FRAME, RecordKind.STATED, RecordKind.DERIVED))
"""Kinds whose body is one frame."""
SAMPLE_COUNT_MAX = 1_000_000
"""Samples in one body, and frames in one block."""

_FRAME_VERSION = 1
_BLOCK_VERSION = 1
_FRAME_LEVEL = 1
_BLOCK_LEVEL = 3
_UNPACKED_SIZE_BYTES_MAX = 80 * SAMPLE_COUNT_MAX
"""Nine columns of integers at their widest, in bytes."""
_RECEIVED_BIT = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFrame:
    """A frame with its identity in the log; what a FRAME, STATED, DERIVED or BLOCK record holds."""

    boot: Boot
    seq: Seq
    kind: RecordKind
    """One of `FRAME_KINDS`."""
    frame: Frame


def draft_frame(frame: Frame, *, epoch: ConfigEpoch, kind: RecordKind) -> Draft:
    """Return a frame as an entry for the log.

    Args:
        frame: Not empty.
        epoch: The tag table that its positions refer to.
        kind: One of `FRAME_KINDS`.
    """
    assert kind in FRAME_KINDS, kind
    return Draft(
        kind=kind,
        body=encode_frame(frame, epoch=epoch),
        sample_count=len(frame),
        first_ns=int(frame.time_ns.min()),
        last_ns=int(frame.time_ns.max()),
    )


def encode_frame(frame: Frame, *, epoch: ConfigEpoch) -> bytes:
    """Return the body of a record that holds one frame.

    Args:
        frame: At most `SAMPLE_COUNT_MAX` samples.
        epoch: The tag table that its positions refer to.
    """
    count = len(frame)
    assert count <= SAMPLE_COUNT_MAX, count
    raw = b"".join(
        (
            put_unsigned(epoch),
            put_unsigned(_flags(frame)),
            put_unsigned(count),
            put_integers(np.array([frame.received_ns], dtype=np.int64)),
            put_integers(frame.tag_index.astype(np.int64)),
            put_integers(frame.time_ns),
            put_integers(frame.status.astype(np.int64)),
            put_values(frame.value, _one_group(count)),
        )
    )
    return close_body(compress(raw, level=_FRAME_LEVEL), version=_FRAME_VERSION)


def decode_frame(body: bytes) -> tuple[Frame, ConfigEpoch]:
    """Return the frame in a body and the epoch of its tag table; its arrival is 0.

    Raises:
        CorruptRecordError: damaged, or beyond a limit.
    """
    payload = open_version(body, _FRAME_VERSION, what="frame")
    reader = ByteReader(decompress(payload, size_bytes_max=_UNPACKED_SIZE_BYTES_MAX))
    epoch = ConfigEpoch(reader.unsigned())
    origin, is_received = _from_flags(reader.unsigned())
    count = reader.at_most(SAMPLE_COUNT_MAX, what="samples")
    received_ns = int(get_integers(reader, 1)[0])
    tag_index = _checked_index(get_integers(reader, count))
    time_ns = get_integers(reader, count)
    status = get_integers(reader, count).astype(np.uint32)
    value = get_values(reader, count, _one_group(count))
    _expect_end(reader)
    frame = Frame(
        tag_index=tag_index,
        time_ns=time_ns,
        value=value,
        status=status,
        received_ns=received_ns,
        origin=origin,
        is_received=is_received,
    )
    return frame, epoch


def encode_block(frames: Sequence[StoredFrame], *, epoch: ConfigEpoch) -> bytes:
    """Return the body of a BLOCK record: many frames of one epoch, tag-major.

    Args:
        frames: At least one, at most `SAMPLE_COUNT_MAX` of them and of their samples.
        epoch: The tag table that all their positions refer to.
    """
    assert frames
    counts = np.array([len(stored.frame) for stored in frames], dtype=np.int64)
    assert max(len(frames), counts.sum()) <= SAMPLE_COUNT_MAX
    layouts, layout_of_frame = _layouts([stored.frame for stored in frames])
    tag_index = np.concatenate([stored.frame.tag_index for stored in frames])
    order = np.argsort(tag_index, kind="stable")
    time_ns = np.concatenate([stored.frame.time_ns for stored in frames])
    frame_ns = np.array([_reference_ns(stored.frame) for stored in frames], dtype=np.int64)
    received_ns = np.array([stored.frame.received_ns for stored in frames], dtype=np.int64)
    status = np.concatenate([stored.frame.status for stored in frames])
    value = np.concatenate([stored.frame.value for stored in frames])
    raw = b"".join(
        (
            put_unsigned(epoch),
            put_unsigned(len(frames)),
            put_integers(np.array([stored.boot for stored in frames], dtype=np.int64)),
            put_integers(np.array([stored.seq for stored in frames], dtype=np.int64)),
            put_integers(np.array([stored.kind for stored in frames], dtype=np.int64)),
            put_integers(np.array([_flags(stored.frame) for stored in frames], dtype=np.int64)),
            put_integers(frame_ns),
            put_integers(received_ns - frame_ns),
            put_unsigned(len(layouts)),
            put_integers(np.array([len(layout) for layout in layouts], dtype=np.int64)),
            put_integers(np.concatenate(layouts).astype(np.int64)),
            put_integers(layout_of_frame),
            put_integers((time_ns - np.repeat(frame_ns, counts))[order]),
            put_integers(status[order].astype(np.int64)),
            put_values(value[order], _group_starts(tag_index[order])),
        )
    )
    return close_body(compress(raw, level=_BLOCK_LEVEL), version=_BLOCK_VERSION)


def decode_block(body: bytes) -> tuple[tuple[StoredFrame, ...], ConfigEpoch]:
    """Return the frames of a block as they were, in their order, and the epoch of their table.

    Raises:
        CorruptRecordError: damaged, or beyond a limit.
    """
    payload = open_version(body, _BLOCK_VERSION, what="block")
    reader = ByteReader(decompress(payload, size_bytes_max=_UNPACKED_SIZE_BYTES_MAX))
    epoch = ConfigEpoch(reader.unsigned())
    frame_count = reader.at_most(SAMPLE_COUNT_MAX, what="frames")
    boots, seqs, kinds, flags, frame_ns, ages_ns = (
        get_integers(reader, frame_count) for _ in range(6)
    )
    tag_index, ends = _get_layouts(reader, frame_count)
    order = np.argsort(tag_index, kind="stable")
    count = len(tag_index)
    time_ns = _unsorted(get_integers(reader, count), order)
    time_ns += np.repeat(frame_ns, np.diff(ends, prepend=0))
    status = _unsorted(get_integers(reader, count).astype(np.uint32), order)
    value = _unsorted(get_values(reader, count, _group_starts(tag_index[order])), order)
    _expect_end(reader)
    received_ns = frame_ns + ages_ns
    frames = []
    start = 0
    for position, end in enumerate(ends.tolist()):
        origin, is_received = _from_flags(int(flags[position]))
        frame = Frame(
            tag_index=tag_index[start:end],
            time_ns=time_ns[start:end],
            value=value[start:end],
            status=status[start:end],
            received_ns=int(received_ns[position]),
            origin=origin,
            is_received=is_received,
        )
        stored = StoredFrame(
            boot=Boot(int(boots[position])),
            seq=Seq(int(seqs[position])),
            kind=_frame_kind(int(kinds[position])),
            frame=frame,
        )
        frames.append(stored)
        start = end
    return tuple(frames), epoch


def frames_of(record: Record) -> tuple[tuple[StoredFrame, ...], ConfigEpoch]:
    """Return the frames in a record of any kind that holds some, and the epoch of their table.

    Raises:
        CorruptRecordError: damaged, or beyond a limit.
    """
    if record.kind is RecordKind.BLOCK:
        return decode_block(record.body)
    assert record.kind in FRAME_KINDS, record.kind
    frame, epoch = decode_frame(record.body)
    stored = StoredFrame(boot=record.boot, seq=record.seq, kind=record.kind, frame=frame)
    return (stored,), epoch


def _flags(frame: Frame) -> int:
    return frame.origin | (_RECEIVED_BIT if frame.is_received else 0)


def _from_flags(flags: int) -> tuple[Origin, bool]:
    try:
        return Origin(flags & ~_RECEIVED_BIT), bool(flags & _RECEIVED_BIT)
    except ValueError as error:
        raise CorruptRecordError(f"a frame has the unknown flags {flags}") from error


def _frame_kind(number: int) -> RecordKind:
    if number not in FRAME_KINDS:
        raise CorruptRecordError(f"a block holds a record of kind {number}")
    return RecordKind(number)


def _one_group(count: int) -> IntArray:
    """Return the start of the one group that a frame's values are, whatever their tags."""
    return np.zeros(min(count, 1), dtype=np.int64)


def _group_starts(tag_index: IndexArray) -> IntArray:
    """Return where each tag begins in sorted positions."""
    is_start = np.ones(len(tag_index), dtype=np.bool_)
    is_start[1:] = tag_index[1:] != tag_index[:-1]
    return np.flatnonzero(is_start).astype(np.int64)


def _reference_ns(frame: Frame) -> int:
    return int(frame.time_ns[0]) if len(frame) > 0 else frame.received_ns


def _layouts(frames: Sequence[Frame]) -> tuple[list[IndexArray], IntArray]:
    """Return the different sequences of tags, and which of them each frame has."""
    number_of: dict[bytes, int] = {}
    layouts: list[IndexArray] = []
    layout_of_frame = []
    for frame in frames:
        number = number_of.setdefault(frame.tag_index.tobytes(), len(layouts))
        if number == len(layouts):
            layouts.append(frame.tag_index)
        layout_of_frame.append(number)
    return layouts, np.array(layout_of_frame, dtype=np.int64)


def _get_layouts(reader: ByteReader, frame_count: int) -> tuple[IndexArray, IntArray]:
    """Return the tag of each sample in the order of the frames, and where each frame ends."""
    layout_count = reader.at_most(frame_count, what="layouts")
    sizes = get_integers(reader, layout_count)
    if layout_count == 0 or not _are_sizes(sizes):
        raise CorruptRecordError("the layouts of a block have impossible sizes")
    tags = _checked_index(get_integers(reader, int(sizes.sum())))
    layout_of_frame = get_integers(reader, frame_count)
    if ((layout_of_frame < 0) | (layout_of_frame >= layout_count)).any():
        raise CorruptRecordError("a frame of a block has a layout that is not there")
    if not _are_sizes(sizes[layout_of_frame]):
        raise CorruptRecordError(f"a block has more than {SAMPLE_COUNT_MAX} samples")
    layouts = np.split(tags, np.cumsum(sizes)[:-1])
    tag_index = np.concatenate([layouts[number] for number in layout_of_frame.tolist()])
    return tag_index, np.cumsum(sizes[layout_of_frame])


def _are_sizes(sizes: IntArray) -> bool:
    """Return whether these can be lengths of columns that together stay within the limit."""
    is_possible = (sizes >= 0) & (sizes <= SAMPLE_COUNT_MAX)
    # The sum cannot overflow: a million numbers of at most a million each.
    return bool(is_possible.all()) and int(sizes.sum()) <= SAMPLE_COUNT_MAX


def _checked_index(positions: IntArray) -> IndexArray:
    if ((positions < 0) | (positions > np.iinfo(np.int32).max)).any():
        raise CorruptRecordError("the position of a tag is negative or beyond int32")
    return positions.astype(np.int32)


def _unsorted(column: NDArray[ScalarT], order: NDArray[np.intp]) -> NDArray[ScalarT]:
    """Return a column in the order that it had before `column = original[order]`."""
    original = np.empty_like(column)
    original[order] = column
    return original


def _expect_end(reader: ByteReader) -> None:
    if reader.left:
        raise CorruptRecordError(f"{reader.left} bytes too many at the end of a body")
