"""Frames as record bodies.

    body of version 1 around:
        epoch · packed: flags · number of samples · receive time · tags, times, codes, values,
        and if the flags say so the server's times

Columns stand in the frame's order, packed by `gateway.wire.columns`, values by
`gateway.wire.values`. Frames of earlier releases are read; one that uses a mode of values or a flag
that a release does not know is refused by it. Many frames together become a block
(`gateway.wire.blocks`). The arrival on the monotonic clock is not kept: it means nothing after a
restart. Decoding is safe on bytes from a stranger, but the positions of tags are only known to be
within int32, not within a table.
"""

from collections.abc import Iterator

import numpy as np

from gateway.core.arrays import TimeArray
from gateway.core.frame import Frame
from gateway.core.records import Draft, Record, RecordKind
from gateway.core.tags import ConfigEpoch
from gateway.wire.blocks import decode_block, decode_block_tags, encode_block
from gateway.wire.body import close_body, open_body, open_version
from gateway.wire.columns import (
    ByteReader,
    IntArray,
    compress,
    decompress,
    get_integers,
    get_positions,
    put_integers,
    put_signed,
    put_unsigned,
)
from gateway.wire.server_lags import get_lags, lags_of, put_lags
from gateway.wire.stored_frame import (
    FRAME_COUNT_MAX,
    FRAME_KINDS,
    SAMPLE_COUNT_MAX,
    StoredFrame,
    from_flags,
    to_flags,
)
from gateway.wire.values import get_values, put_values

__all__ = [
    "FRAME_COUNT_MAX",
    "FRAME_KINDS",
    "SAMPLE_COUNT_MAX",
    "StoredFrame",
    "decode_block",
    "decode_block_tags",
    "decode_frame",
    "draft_frame",
    "encode_block",
    "encode_frame",
    "epoch_of",
    "frames_of",
]

_VERSION = 1
_LEVEL = 1
_UNPACKED_SIZE_BYTES_MAX = 80 * SAMPLE_COUNT_MAX
"""Nine columns of integers at their widest, and some reserve, in bytes."""


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
            put_unsigned(to_flags(frame)),
            put_unsigned(count),
            put_signed(frame.received_ns),
            put_integers(frame.tag_index.astype(np.int64)),
            put_integers(frame.time_ns),
            put_integers(frame.status.astype(np.int64)),
            put_values(frame.value, _one_group(count)),
            *_server_columns(frame),
        )
    )
    return close_body(put_unsigned(epoch) + compress(raw, level=_LEVEL), version=_VERSION)


def decode_frame(body: bytes) -> tuple[Frame, ConfigEpoch]:
    """Return the frame in a body and the epoch of its tag table; its arrival is 0.

    Raises:
        CorruptRecordError: damaged, or beyond a limit.
    """
    outer = ByteReader(open_version(body, _VERSION, what="frame"))
    epoch = ConfigEpoch(outer.unsigned())
    packed = outer.take(outer.left)
    reader = ByteReader(decompress(packed, size_bytes_max=_UNPACKED_SIZE_BYTES_MAX))
    origin, is_received, clock, has_server_ns = from_flags(reader.unsigned())
    count = reader.at_most(SAMPLE_COUNT_MAX, what="samples")
    received_ns = reader.signed()
    tag_index = get_positions(reader, count)
    time_ns = get_integers(reader, count)
    status = get_integers(reader, count).astype(np.uint32)
    value = get_values(reader, count, _one_group(count))
    server_ns = None
    if has_server_ns:
        server_ns = get_lags(reader, offset_ns=_offset_ns(time_ns)).server_ns(time_ns)
    reader.expect_end()
    frame = Frame(
        tag_index=tag_index,
        time_ns=time_ns,
        value=value,
        status=status,
        received_ns=received_ns,
        origin=origin,
        is_received=is_received,
        clock=clock,
        server_ns=server_ns,
    )
    return frame, epoch


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


def epoch_of(body: bytes) -> ConfigEpoch:
    """Return the epoch of the tag table that the body of a frame or a block was written under.

    Raises:
        CorruptRecordError: damaged.
    """
    _, payload = open_body(body)
    return ConfigEpoch(ByteReader(payload).unsigned())


def _server_columns(frame: Frame) -> Iterator[bytes]:
    if frame.server_ns is not None:
        lags = lags_of(frame.server_ns, time_ns=frame.time_ns)
        yield put_lags(lags, offset_ns=_offset_ns(frame.time_ns))


def _offset_ns(time_ns: TimeArray) -> TimeArray:
    return time_ns - time_ns[:1]


def _one_group(count: int) -> IntArray:
    """Return the start of the one group that a frame's values are, whatever their tags."""
    return np.zeros(min(count, 1), dtype=np.int64)
