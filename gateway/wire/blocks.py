"""Blocks: the samples of many frames, sorted by tag, with every frame kept apart.

One signal's values resemble each other far more than neighbours in a frame do: about 2 bytes a
sample on slow signals. What undoes the sorting is small: most frames of a connector list the same
tags in the same order (a *layout*), so each layout is kept once, and a layout number for each
frame. Times are kept against the first time of their frame, which most samples of it share.

    body of version 1 around:
        epoch · length · header, packed · chunks, each packed

    header: of each frame boot, seq, kind, flags, time, age at receipt · the layouts, and that of
        each frame · the tags with their numbers of samples · tags and bytes of each chunk
    chunk: times, status codes and values of a few thousand samples of neighbouring tags, so that
        a trend of one tag unpacks little more than that tag; and if the flags of any frame say so
        the server's times, for a frame without them "not given"

Numbers are packed by `gateway.wire.columns`, values by `gateway.wire.values`. Blocks of earlier
releases are read; one that uses a mode of values or a flag that a release does not know is refused
by it. Decoding is safe on bytes from a stranger: limits are checked before memory is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import IndexArray, ScalarT
from gateway.core.errors import CorruptRecordError
from gateway.core.frame import Frame, Origin, join_server_ns
from gateway.core.records import Boot, RecordKind, Seq
from gateway.core.tags import ConfigEpoch
from gateway.wire.body import close_body, open_version
from gateway.wire.chunks import Samples, get_chunk, joined, part_of, put_chunk
from gateway.wire.columns import (
    ByteReader,
    IntArray,
    compress,
    decompress,
    get_integers,
    get_positions,
    put_integers,
    put_unsigned,
)
from gateway.wire.server_lags import lags_of
from gateway.wire.stored_frame import (
    FRAME_COUNT_MAX,
    FRAME_KINDS,
    HAS_SERVER_NS_BIT,
    SAMPLE_COUNT_MAX,
    StoredFrame,
    from_flags,
    to_flags,
)

_VERSION = 1
_LEVEL = 3
_CHUNK_SAMPLES = 4096
_HEADER_SIZE_BYTES_MAX = 80 * SAMPLE_COUNT_MAX
"""Unpacked: ten columns of integers at their widest, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Header:
    epoch: ConfigEpoch
    frames: IntArray
    """Boot, seq, kind, flags, time and age of each frame, shape (6, f)."""
    layout_ends: IntArray
    """Where each layout ends in `layout_tags`, shape (l,)."""
    layout_tags: IndexArray
    layout_of_frame: IntArray
    """Shape (f,)."""
    frame_sizes: IntArray
    """Samples of each frame, shape (f,)."""
    tags: IndexArray
    """Ascending, shape (t,)."""
    tag_sizes: IntArray
    """Samples of each tag, shape (t,)."""
    chunk_tag_ends: IntArray
    """Where each chunk ends in `tags`, shape (c,)."""
    chunk_ends: IntArray
    """Where each chunk ends in bytes, shape (c,)."""

    @property
    def frame_ns(self) -> IntArray:
        """Reference time of each frame, shape (f,)."""
        column: IntArray = self.frames[4]
        return column

    @property
    def has_server_ns(self) -> bool:
        """Whether a frame has the server's times, so that all chunks keep them."""
        return bool((self.frames[3] & HAS_SERVER_NS_BIT).any())


def encode_block(frames: Sequence[StoredFrame], *, epoch: ConfigEpoch) -> bytes:
    """Return the body of a BLOCK record: many frames of one epoch, tag-major.

    Args:
        frames: At least one, at most `FRAME_COUNT_MAX`, with at most `SAMPLE_COUNT_MAX` samples.
        epoch: The tag table that all their positions refer to.
    """
    assert 1 <= len(frames) <= FRAME_COUNT_MAX, len(frames)
    sizes = np.array([len(stored.frame) for stored in frames], dtype=np.int64)
    assert int(sizes.sum()) <= SAMPLE_COUNT_MAX
    tag_index = np.concatenate([stored.frame.tag_index for stored in frames])
    order = np.argsort(tag_index, kind="stable")
    tags, starts, tag_sizes = np.unique(tag_index[order], return_index=True, return_counts=True)
    frame_ns = np.array([_reference_ns(stored.frame) for stored in frames], dtype=np.int64)
    time_ns = np.concatenate([stored.frame.time_ns for stored in frames])
    server_ns = join_server_ns(stored.frame for stored in frames)
    samples = Samples(
        offset_ns=(time_ns - np.repeat(frame_ns, sizes))[order],
        status=np.concatenate([stored.frame.status for stored in frames])[order],
        value=np.concatenate([stored.frame.value for stored in frames])[order],
        lags=None if server_ns is None else lags_of(server_ns[order], time_ns=time_ns[order]),
    )
    chunk_tag_ends = _chunk_tag_ends(starts)
    chunks = _put_chunks(samples, starts.astype(np.int64), chunk_tag_ends)
    header = b"".join(
        (
            put_unsigned(len(frames)),
            *(put_integers(column) for column in _frame_columns(frames, frame_ns)),
            _put_layouts([stored.frame.tag_index for stored in frames]),
            put_unsigned(len(tags)),
            put_integers(tags.astype(np.int64)),
            put_integers(tag_sizes.astype(np.int64)),
            put_unsigned(len(chunks)),
            put_integers(chunk_tag_ends),
            put_integers(np.array([len(chunk) for chunk in chunks], dtype=np.int64)),
        )
    )
    packed = compress(header, level=_LEVEL)
    parts = (put_unsigned(epoch), put_unsigned(len(packed)), packed, *chunks)
    return close_body(b"".join(parts), version=_VERSION)


def decode_block(body: bytes) -> tuple[tuple[StoredFrame, ...], ConfigEpoch]:
    """Return the frames of a block as they were, in their order, and the epoch of their table.

    Raises:
        CorruptRecordError: damaged, or beyond a limit.
    """
    header, chunks = _open(body)
    layouts = np.split(header.layout_tags, header.layout_ends[:-1])
    tag_index = np.concatenate([layouts[number] for number in header.layout_of_frame.tolist()])
    order = np.argsort(tag_index, kind="stable")
    if not np.array_equal(tag_index[order], np.repeat(header.tags, header.tag_sizes)):
        raise CorruptRecordError("the tags of a block are not those of its frames")
    parts = [_chunk(header, chunks, number) for number in range(len(header.chunk_ends))]
    columns = joined(parts, has_server_ns=header.has_server_ns)
    sorted_ns = columns.offset_ns + np.repeat(header.frame_ns, header.frame_sizes)[order]
    time_ns = _unsorted(sorted_ns, order)
    lags = columns.lags
    server_ns = None if lags is None else _unsorted(lags.server_ns(sorted_ns), order)
    value = _unsorted(columns.value, order)
    status = _unsorted(columns.status, order)
    ends = np.cumsum(header.frame_sizes).tolist()
    frames = []
    start = 0
    for end, (boot, seq, kind, flags, reference_ns, age_ns) in zip(
        ends, header.frames.T.tolist(), strict=True
    ):
        origin, is_received, clock, has_server_ns = from_flags(flags)
        frame = Frame(
            tag_index=tag_index[start:end],
            time_ns=time_ns[start:end],
            value=value[start:end],
            status=status[start:end],
            received_ns=_wrapped(reference_ns + age_ns),
            origin=origin,
            is_received=is_received,
            clock=clock,
            server_ns=server_ns[start:end] if has_server_ns and server_ns is not None else None,
        )
        frames.append(
            StoredFrame(boot=Boot(boot), seq=Seq(seq), kind=_frame_kind(kind), frame=frame)
        )
        start = end
    return tuple(frames), header.epoch


def decode_block_tags(body: bytes, wanted: IndexArray) -> Frame:
    """Return only the samples of some tags in a block, sorted by tag, then as they came.

    Args:
        body: Of a BLOCK record.
        wanted: Positions in the block's tag table, ascending, shape (w,).
    Returns:
        A historical frame; its receive time is that of the newest frame in the block, and whose
        clock its times are of is not told.
    Raises:
        CorruptRecordError: damaged, or beyond a limit.
    """
    header, chunks = _open(body)
    places = np.searchsorted(header.tags, wanted)
    places = places[np.append(header.tags, -1)[places] == wanted]
    starts = np.cumsum(header.tag_sizes) - header.tag_sizes
    parts: list[Samples] = []
    for number in np.unique(np.searchsorted(header.chunk_tag_ends, places, side="right")).tolist():
        chunk = _chunk(header, chunks, number)
        first, last = _tags_of_chunk(header, number)
        for place in places[(places >= first) & (places < last)].tolist():
            start = int(starts[place] - starts[first])
            parts.append(part_of(chunk, start, start + int(header.tag_sizes[place])))
    columns = joined(parts, has_server_ns=header.has_server_ns)
    reference_ns = [header.frame_ns[_frames_of_tag(header, place)] for place in places.tolist()]
    times = [np.zeros(0, dtype=np.int64), *reference_ns]
    if sum(map(len, times)) != len(columns.value):
        raise CorruptRecordError("the tags of a block are not those of its frames")
    time_ns = columns.offset_ns + np.concatenate(times)
    return Frame(
        tag_index=np.repeat(header.tags[places], header.tag_sizes[places]),
        time_ns=time_ns,
        value=columns.value,
        status=columns.status,
        received_ns=int(header.frames[4:, -1].sum()),
        origin=Origin.HISTORICAL,
        server_ns=None if columns.lags is None else columns.lags.server_ns(time_ns),
    )


def _frame_columns(frames: Sequence[StoredFrame], frame_ns: IntArray) -> list[IntArray]:
    received_ns = np.array([stored.frame.received_ns for stored in frames], dtype=np.int64)
    return [
        np.array([stored.boot for stored in frames], dtype=np.int64),
        np.array([stored.seq for stored in frames], dtype=np.int64),
        np.array([stored.kind for stored in frames], dtype=np.int64),
        np.array([to_flags(stored.frame) for stored in frames], dtype=np.int64),
        frame_ns,
        received_ns - frame_ns,
    ]


def _put_layouts(tag_indices: Sequence[IndexArray]) -> bytes:
    """Return the different sequences of tags, and which of them each frame has."""
    number_of: dict[bytes, int] = {}
    layouts: list[IndexArray] = []
    layout_of_frame = []
    for tag_index in tag_indices:
        number = number_of.setdefault(tag_index.tobytes(), len(layouts))
        if number == len(layouts):
            layouts.append(tag_index)
        layout_of_frame.append(number)
    return b"".join(
        (
            put_unsigned(len(layouts)),
            put_integers(np.array([len(layout) for layout in layouts], dtype=np.int64)),
            put_integers(np.concatenate(layouts).astype(np.int64)),
            put_integers(np.array(layout_of_frame, dtype=np.int64)),
        )
    )


def _chunk_tag_ends(starts: NDArray[np.intp]) -> IntArray:
    """Return where each chunk ends among the tags that begin at these samples; none is empty."""
    chunk_of_tag = starts // _CHUNK_SAMPLES
    ends = np.flatnonzero(np.diff(chunk_of_tag)) + 1
    return np.append(ends, len(starts)).astype(np.int64) if len(starts) else ends.astype(np.int64)


def _put_chunks(samples: Samples, starts: IntArray, chunk_tag_ends: IntArray) -> list[bytes]:
    chunks = []
    bounds = np.append(starts, len(samples.value))
    first = 0
    for last in chunk_tag_ends.tolist():
        part = part_of(samples, int(bounds[first]), int(bounds[last]))
        chunks.append(put_chunk(part, starts[first:last] - bounds[first]))
        first = last
    return chunks


def _open(body: bytes) -> tuple[_Header, bytes]:
    """Return the checked header of a block, and the bytes of its chunks."""
    outer = ByteReader(open_version(body, _VERSION, what="block"))
    epoch = ConfigEpoch(outer.unsigned())
    packed = outer.take(outer.unsigned())
    reader = ByteReader(decompress(packed, size_bytes_max=_HEADER_SIZE_BYTES_MAX))
    frame_count = reader.at_most(FRAME_COUNT_MAX, what="frames")
    frames = np.empty((6, frame_count), dtype=np.int64)
    for column in frames:
        column[:] = get_integers(reader, frame_count)
    layout_count = reader.at_most(frame_count, what="layouts")
    layout_sizes = _checked_sizes(get_integers(reader, layout_count))
    layout_tags = get_positions(reader, int(layout_sizes.sum()))
    layout_of_frame = get_integers(reader, frame_count)
    if ((layout_of_frame < 0) | (layout_of_frame >= layout_count)).any() or not frame_count:
        raise CorruptRecordError("a frame of a block has a layout that is not there")
    frame_sizes = _checked_sizes(layout_sizes[layout_of_frame])
    tag_count = reader.at_most(SAMPLE_COUNT_MAX, what="tags")
    tags = get_positions(reader, tag_count)
    tag_sizes = _checked_sizes(get_integers(reader, tag_count))
    chunk_count = reader.at_most(tag_count, what="chunks")
    chunk_tag_ends = get_integers(reader, chunk_count)
    chunk_ends = np.cumsum(_checked_sizes(get_integers(reader, chunk_count), limit=outer.left))
    steps = np.diff(chunk_tag_ends, prepend=0)
    if (steps <= 0).any() or int(steps.sum()) != tag_count or (tag_sizes == 0).any():
        raise CorruptRecordError("the chunks of a block do not cover its tags")
    if (np.diff(tags) <= 0).any() or tag_sizes.sum() != frame_sizes.sum() or reader.left:
        raise CorruptRecordError("the tags of a block are not those of its frames")
    if outer.left != (chunk_ends[-1] if chunk_count else 0):
        raise CorruptRecordError("the chunks of a block are cut short")
    header = _Header(
        epoch=epoch,
        frames=frames,
        layout_ends=np.cumsum(layout_sizes),
        layout_tags=layout_tags,
        layout_of_frame=layout_of_frame,
        frame_sizes=frame_sizes,
        tags=tags,
        tag_sizes=tag_sizes,
        chunk_tag_ends=chunk_tag_ends,
        chunk_ends=chunk_ends,
    )
    return header, outer.take(outer.left)


def _chunk(header: _Header, chunks: bytes, number: int) -> Samples:
    start = int(header.chunk_ends[number - 1]) if number else 0
    packed = chunks[start : int(header.chunk_ends[number])]
    first, last = _tags_of_chunk(header, number)
    return get_chunk(packed, header.tag_sizes[first:last], has_server_ns=header.has_server_ns)


def _tags_of_chunk(header: _Header, number: int) -> tuple[int, int]:
    first = int(header.chunk_tag_ends[number - 1]) if number else 0
    return first, int(header.chunk_tag_ends[number])


def _frames_of_tag(header: _Header, place: int) -> NDArray[np.intp]:
    """Return the frame of each sample of a tag, in order."""
    hits = np.flatnonzero(header.layout_tags == header.tags[place])
    layouts = np.searchsorted(header.layout_ends, hits, side="right")
    per_layout = np.bincount(layouts, minlength=len(header.layout_ends))
    return np.repeat(np.arange(len(header.frame_sizes)), per_layout[header.layout_of_frame])


def _unsorted(column: NDArray[ScalarT], order: NDArray[np.intp]) -> NDArray[ScalarT]:
    """Return a column in the order that it had before `column = original[order]`."""
    original = np.empty_like(column)
    original[order] = column
    return original


def _reference_ns(frame: Frame) -> int:
    return int(frame.time_ns[0]) if len(frame) > 0 else frame.received_ns


def _wrapped(number: int) -> int:
    """Return a sum of two int64 as int64 gives it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _frame_kind(number: int) -> RecordKind:
    if number not in FRAME_KINDS:
        raise CorruptRecordError(f"a block holds a record of kind {number}")
    return RecordKind(number)


def _checked_sizes(sizes: IntArray, limit: int = SAMPLE_COUNT_MAX) -> IntArray:
    """Return lengths that together stay within a limit.

    Raises:
        CorruptRecordError: they do not, or one is negative.
    """
    # The sum cannot overflow: at most a million numbers of at most some millions each.
    if ((sizes < 0) | (sizes > limit)).any() or int(sizes.sum()) > limit:
        raise CorruptRecordError(f"the parts of a block are larger than {limit}, or negative")
    return sizes
