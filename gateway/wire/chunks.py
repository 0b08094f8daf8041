"""Chunks: the columns of a block, a few thousand samples of neighbouring tags at a time.

Packed each for itself, so that a trend of one tag unpacks little more than that tag. Times stand
against the time of the sample's frame, which only the block knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import FloatArray, StatusArray, TimeArray
from gateway.wire.columns import (
    ByteReader,
    IntArray,
    compress,
    decompress,
    get_integers,
    put_integers,
)
from gateway.wire.server_lags import ServerLags, get_lags, put_lags
from gateway.wire.stored_frame import SAMPLE_COUNT_MAX
from gateway.wire.values import get_values, put_signals

_LEVEL = 3
_UNPACKED_SIZE_BYTES_MAX = 96 * SAMPLE_COUNT_MAX
"""Eleven columns of integers at their widest, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Columns of equal length n, sorted by tag."""

    offset_ns: TimeArray
    """Time of each sample minus the reference time of its frame, shape (n,)."""
    status: StatusArray
    value: FloatArray
    lags: ServerLags | None
    """None where no frame of the block has the server's times."""


def put_chunk(samples: Samples, starts: IntArray) -> bytes:
    """Return samples as packed bytes.

    Args:
        samples: Of whole tags, at least one.
        starts: Where each tag begins, ascending from 0.
    """
    raw = b"".join(
        (
            put_integers(samples.offset_ns),
            put_integers(samples.status.astype(np.int64)),
            put_signals(samples.value, starts),
            b"" if samples.lags is None else put_lags(samples.lags, offset_ns=samples.offset_ns),
        )
    )
    return compress(raw, level=_LEVEL)


def get_chunk(packed: bytes, tag_sizes: IntArray, *, has_server_ns: bool) -> Samples:
    """Return the samples that `put_chunk` was given.

    Args:
        packed: One chunk.
        tag_sizes: Number of samples of each tag in it.
        has_server_ns: Whether the block has the server's times.
    Raises:
        CorruptRecordError: damaged, or beyond a limit.
    """
    reader = ByteReader(decompress(packed, size_bytes_max=_UNPACKED_SIZE_BYTES_MAX))
    count = int(tag_sizes.sum())
    offset_ns = get_integers(reader, count)
    samples = Samples(
        offset_ns=offset_ns,
        status=get_integers(reader, count).astype(np.uint32),
        value=get_values(reader, count, np.cumsum(tag_sizes) - tag_sizes),
        lags=get_lags(reader, offset_ns=offset_ns) if has_server_ns else None,
    )
    reader.expect_end()
    return samples


def part_of(samples: Samples, start: int, end: int) -> Samples:
    """Return the samples from one position up to another."""
    lags = samples.lags
    return Samples(
        offset_ns=samples.offset_ns[start:end],
        status=samples.status[start:end],
        value=samples.value[start:end],
        lags=None
        if lags is None
        else ServerLags(is_given=lags.is_given[start:end], lag_ns=lags.lag_ns[start:end]),
    )


def joined(parts: Sequence[Samples], *, has_server_ns: bool) -> Samples:
    """Return parts of one block one after the other.

    Args:
        parts: None at all is no samples.
        has_server_ns: Whether the block has the server's times.
    """
    none = Samples(
        offset_ns=np.zeros(0, np.int64),
        status=np.zeros(0, np.uint32),
        value=np.zeros(0),
        lags=ServerLags(is_given=np.zeros(0, np.bool_), lag_ns=np.zeros(0, np.int64)),
    )
    all_parts = [none, *parts]
    lags = [part.lags for part in all_parts if part.lags is not None]
    return Samples(
        offset_ns=np.concatenate([part.offset_ns for part in all_parts]),
        status=np.concatenate([part.status for part in all_parts]),
        value=np.concatenate([part.value for part in all_parts]),
        lags=ServerLags(
            is_given=np.concatenate([part.is_given for part in lags]),
            lag_ns=np.concatenate([part.lag_ns for part in lags]),
        )
        if has_server_ns
        else None,
    )
