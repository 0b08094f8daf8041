"""Damage to a body is found, and a stranger's bytes are refused, before they cost anything."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.arrays import index_column, time_column
from gateway.core.errors import CorruptRecordError
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.ports import Batch
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.wire.batches import decode_batch, encode_batch
from gateway.wire.body import close_body, open_body
from gateway.wire.columns import put_integers, put_signed, put_unsigned
from gateway.wire.documents import decode_event, encode_event
from gateway.wire.frames import (
    StoredFrame,
    decode_block,
    decode_block_tags,
    decode_frame,
    encode_block,
    encode_frame,
    epoch_of,
)
from tests.gateway.drawn_frames import EPOCH, START_NS, blocks, frames, make_frame


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_foreign_payloads_are_refused_as_corrupt(payload: bytes) -> None:
    """Under a valid check sum, so that the decoder itself is tried, packed or not."""
    for decode in (decode_frame, decode_block):
        for form in (b"", b"\x00\x00", b"\x00\x20\x00"):
            try:
                decode(close_body(form + payload, version=1))
            except CorruptRecordError:
                continue


@given(blocks(), st.integers(0, 2**31), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_changed_byte_under_a_valid_sum_is_refused_or_harmless(
    stored: list[StoredFrame], place: int, change: int
) -> None:
    _, payload = open_body(encode_block(stored, epoch=EPOCH))
    changed = bytearray(payload)
    changed[place % len(changed)] ^= change
    try:
        decode_block(close_body(bytes(changed), version=1))
        decode_block_tags(close_body(bytes(changed), version=1), index_column([0, 3]))
    except CorruptRecordError:
        return


def damaged_bodies() -> Iterator[tuple[Callable[[bytes], object], bytes]]:
    """Yield decoders with a small body of each kind, and a batch, which is one too."""
    frame = make_frame([21.5, float("nan"), 0.1 + 0.2])
    frame = replace(frame, server_ns=time_column([START_NS + 5, 0, START_NS + 9]))
    stored = [
        StoredFrame(boot=Boot(2), seq=Seq(seq), kind=RecordKind.FRAME, frame=frame)
        for seq in (8, 9)
    ]
    block = encode_block(stored, epoch=EPOCH)
    yield decode_frame, encode_frame(frame, epoch=EPOCH)
    yield decode_block, block
    yield lambda body: decode_block_tags(body, index_column([1])), block
    yield epoch_of, block
    event = Event(time_ns=START_NS, source="P-1", condition="device_lost", severity=9, text="Lost")
    yield decode_event, encode_event(event)
    record = Record(boot=Boot(2), seq=Seq(8), kind=RecordKind.EVENT, body=encode_event(event))
    yield decode_batch, encode_batch(Batch(gateway="g", records=(record,), tables=()))


def test_a_body_cut_short_anywhere_is_refused() -> None:
    for decode, body in damaged_bodies():
        for size in range(len(body)):
            with pytest.raises(CorruptRecordError):
                decode(body[:size])


def test_every_flipped_bit_is_found() -> None:
    for decode, body in damaged_bodies():
        for place in range(8 * len(body)):
            changed = bytearray(body)
            changed[place // 8] ^= 1 << place % 8
            with pytest.raises(CorruptRecordError):
                decode(bytes(changed))


@given(frames(), st.integers(0, 2**31), st.integers(1, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_a_burst_of_flipped_bits_is_found(frame: Frame, place: int, burst: int) -> None:
    """CRC-32 finds every burst of up to 32 bits, wherever it begins."""
    body = encode_frame(frame, epoch=EPOCH)
    width = 8 * len(body)
    number = int.from_bytes(body, "little") ^ (burst << place % (width - 31))
    with pytest.raises(CorruptRecordError):
        decode_frame(number.to_bytes(len(body), "little"))


@pytest.mark.parametrize("announced", [10_001, 2**20, 2**32, 2**63, 2**64 - 1])
def test_hostile_lengths_take_no_memory(announced: int) -> None:
    """Wherever a length stands: the number itself is refused, or the bytes are not there."""
    length = put_unsigned(announced)
    many = put_integers(np.array([0, -1], dtype=np.int64)) + length
    payloads = [
        b"\x00" + length,
        b"\x00\x00\x04" + length,
        b"\x00\x00" + length,
        b"\x00\x00\x04" + length + put_signed(0) + many,
        b"\x00" + length + b"\x00" + length,
        b"\x00\x05\x00" + length + length,
    ]
    tracemalloc.start()
    for payload in payloads:
        for decode in (decode_frame, decode_block):
            with pytest.raises(CorruptRecordError):
                decode(close_body(payload, version=1))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_a_body_that_announces_too_much_is_refused_before_memory_is_taken() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(100_000_000))
    with pytest.raises(CorruptRecordError, match="unpacked"):
        decode_frame(close_body(b"\x00\x01" + bomb, version=1))
    with pytest.raises(CorruptRecordError, match="version"):
        decode_frame(close_body(b"", version=9))
