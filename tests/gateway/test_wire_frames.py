"""Frames and blocks come back bit by bit, and damaged ones are refused."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.core.arrays import TimeArray, float_column, index_column, status_column, time_column
from gateway.core.errors import CorruptRecordError
from gateway.core.frame import ClockSource, Frame, Origin, join_frames
from gateway.core.quality import Status
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch
from gateway.wire.body import close_body, open_body
from gateway.wire.frames import (
    FRAME_KINDS,
    StoredFrame,
    decode_block,
    decode_block_tags,
    decode_frame,
    draft_frame,
    encode_block,
    encode_frame,
    epoch_of,
    frames_of,
)

EPOCH = ConfigEpoch(3)
START_NS = 1_760_000_000_000_000_000


def double(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


AWKWARD = [
    0.0,
    -0.0,
    float("nan"),
    double(0x7FF8_0000_0000_0001),
    double(0xFFF8_DEAD_BEEF_0001),
    double(0x7FF0_0000_0000_0001),
    float("inf"),
    float("-inf"),
    5e-324,
    -2.2250738585072014e-308,
    1.7976931348623157e308,
    2.0**53,
    2.0**53 + 2,
    -(2.0**63),
    2.0**64,
    0.1,
    0.1 + 0.2,
    21.5,
    float(np.float32(12.3)),
]

any_bits = st.integers(0, 2**64 - 1).map(double)
decimals = st.integers(-(10**7), 10**7).map(lambda n: n / 100)
singles = st.floats(width=32)
values = st.one_of(st.sampled_from(AWKWARD), any_bits, decimals, singles)
int64s = st.integers(-(2**63), 2**63 - 1)
samples = st.tuples(
    st.one_of(st.integers(0, 8), st.integers(0, 2**31 - 1)),
    st.one_of(int64s, st.integers(0, 10**6).map(lambda ms: START_NS + ms * 10**6)),
    values,
    st.one_of(st.just(0), st.integers(0, 2**32 - 1)),
)
lags = st.one_of(st.just(0), st.integers(-(10**9), 10**9))


@st.composite
def server_columns(draw: st.DrawFn, times: list[int]) -> TimeArray | None:
    """Draw no column, one without a gap, or one with any times and gaps in it."""
    if not draw(st.booleans()):
        return None
    near = [st.just(min(max(time_ns + draw(lags), -(2**63)), 2**63 - 1)) for time_ns in times]
    if draw(st.booleans()):
        near = [st.one_of(st.just(0), int64s, time_ns) for time_ns in near]
    return time_column(draw(st.tuples(*near)))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    rows = draw(st.lists(samples, max_size=40))
    return Frame(
        server_ns=draw(server_columns([row[1] for row in rows])),
        tag_index=index_column([row[0] for row in rows]),
        time_ns=time_column([row[1] for row in rows]),
        value=float_column([row[2] for row in rows]),
        status=status_column([row[3] for row in rows]),
        received_ns=draw(int64s),
        origin=draw(st.sampled_from(Origin)),
        is_received=draw(st.booleans()),
        clock=draw(st.sampled_from(ClockSource)),
    )


@st.composite
def blocks(draw: st.DrawFn) -> list[StoredFrame]:
    layouts = draw(st.lists(frames(), min_size=1, max_size=4))
    chosen = draw(st.lists(st.sampled_from(layouts), min_size=1, max_size=12))
    return [
        StoredFrame(
            boot=Boot(draw(st.integers(1, 2**40))),
            seq=Seq(seq),
            kind=draw(st.sampled_from(sorted(FRAME_KINDS))),
            frame=frame,
        )
        for seq, frame in enumerate(chosen, 2**33)
    ]


def assert_same(found: Frame, expected: Frame) -> None:
    assert found.tag_index.tobytes() == expected.tag_index.tobytes()
    assert found.time_ns.tobytes() == expected.time_ns.tobytes()
    assert found.value.tobytes() == expected.value.tobytes()
    assert found.status.tobytes() == expected.status.tobytes()
    if found.server_ns is None or expected.server_ns is None:
        assert found.server_ns is expected.server_ns
    else:
        assert found.server_ns.tobytes() == expected.server_ns.tobytes()
    assert found.clock is expected.clock
    assert found.tag_index.dtype == np.int32
    assert found.status.dtype == np.uint32
    assert (found.received_ns, found.origin, found.is_received, found.arrival_ns) == (
        expected.received_ns,
        expected.origin,
        expected.is_received,
        0,
    )


@given(frames())
@settings(max_examples=300, deadline=None)
def test_a_frame_comes_back_bit_by_bit(frame: Frame) -> None:
    found, epoch = decode_frame(encode_frame(frame, epoch=EPOCH))
    assert epoch == EPOCH
    assert_same(found, frame)


@given(blocks())
@settings(max_examples=300, deadline=None)
def test_a_block_gives_back_every_frame_in_its_order(stored: list[StoredFrame]) -> None:
    found, epoch = decode_block(encode_block(stored, epoch=EPOCH))
    assert epoch == EPOCH
    assert len(found) == len(stored)
    for one, other in zip(found, stored, strict=True):
        assert (one.boot, one.seq, one.kind) == (other.boot, other.seq, other.kind)
        assert_same(one.frame, other.frame)


@given(blocks(), st.sets(st.integers(0, 8), max_size=3))
@settings(max_examples=200, deadline=None)
def test_the_tags_of_a_block_are_read_as_if_all_were(
    stored: list[StoredFrame], chosen: set[int]
) -> None:
    wanted = index_column(sorted(chosen))
    body = encode_block(stored, epoch=EPOCH)
    found = decode_block_tags(body, wanted)
    everything = join_frames(
        [
            replace(one.frame, origin=Origin.LIVE, is_received=True, clock=ClockSource.SOURCE)
            for one in stored
        ]
    )
    order = np.argsort(everything.tag_index, kind="stable")
    expected = [place for place in order if everything.tag_index[place] in chosen]
    assert found.tag_index.tobytes() == everything.tag_index[expected].tobytes()
    assert found.time_ns.tobytes() == everything.time_ns[expected].tobytes()
    assert found.value.tobytes() == everything.value[expected].tobytes()
    assert found.status.tobytes() == everything.status[expected].tobytes()
    if everything.server_ns is None:
        assert found.server_ns is None
    else:
        assert found.server_ns is not None
        assert found.server_ns.tobytes() == everything.server_ns[expected].tobytes()
    assert epoch_of(body) == EPOCH


def test_bodies_without_the_server_s_times_are_the_bytes_they_were() -> None:
    """Written by the release before there were any; read and written alike for ever."""
    frame = Frame(
        tag_index=index_column([4, 1]),
        time_ns=time_column([START_NS, START_NS + 7]),
        value=float_column([21.5, -0.0]),
        status=status_column([0, 0x80310000]),
        received_ns=START_NS + 1_000_000,
    )
    body = bytes.fromhex(
        "01030004028089facb9aabe3ec30080005808080cb9aabe3ec30000e0000808088831040008080e09a08018080"
        "b08d0c0100015dbe4e06"
    )
    assert encode_frame(frame, epoch=EPOCH) == body
    assert_same(decode_frame(body)[0], frame)
    stored = [
        StoredFrame(boot=Boot(2), seq=Seq(seq), kind=kind, frame=frame)
        for seq, kind in ((8, RecordKind.FRAME), (9, RecordKind.DERIVED))
    ]
    block = bytes.fromhex(
        "0103300002040000100002020002080000808080cb9aabe3ec30000080897a0000010408000500000002020006"
        "040000010450000e010101000d008080888310018080c481080100010040003d00ffffffff0f00ae8380801000"
        "0056557b2d"
    )
    assert encode_block(stored, epoch=EPOCH) == block
    for one in decode_block(block)[0]:
        assert_same(one.frame, frame)


def test_server_s_times_cost_what_they_say() -> None:
    """1,000 OPC UA items, 60 notifications: equal times nothing, a jitter of 10 ms its bits.

    A jitter in steps of 100 ns, as OPC UA counts, is 17 bits a sample; its differences 18.
    """
    rng = np.random.default_rng(11)
    start_ns = START_NS + np.arange(60)[:, None] * 10**9
    times = start_ns + rng.integers(0, 10**7, (60, 1000)) * 100
    jitter = rng.integers(0, 10**5, (60, 1000)) * 100
    column = np.round(200 + np.cumsum(rng.normal(0, 0.3, (60, 1000)), axis=0), 1)
    without = [
        replace(make_frame(list(row)), time_ns=time_column(time_ns))
        for row, time_ns in zip(column, times, strict=True)
    ]
    sizes = body_sizes(without)
    equal = body_sizes([replace(frame, server_ns=frame.time_ns) for frame in without])
    jittering = body_sizes(
        [
            replace(frame, server_ns=time_column(time_ns))
            for frame, time_ns in zip(without, times + jitter, strict=True)
        ]
    )
    assert (equal - sizes < 0.02).all()
    assert (jittering - sizes < 2.6).all()


def body_sizes(frames: list[Frame]) -> NDArray[np.float64]:
    """Return the bytes a sample of frames one by one, and as a block."""
    stored = [
        StoredFrame(boot=Boot(1), seq=Seq(seq), kind=RecordKind.FRAME, frame=frame)
        for seq, frame in enumerate(frames)
    ]
    alone = sum(len(encode_frame(frame, epoch=EPOCH)) for frame in frames)
    block = len(encode_block(stored, epoch=EPOCH))
    return np.array([alone, block]) / sum(map(len, frames))


def test_a_block_of_many_chunks_comes_back() -> None:
    """30 tags with 1,000 samples each take several chunks of whole tags."""
    rng = np.random.default_rng(3)
    stored = [
        StoredFrame(
            boot=Boot(2),
            seq=Seq(seq),
            kind=RecordKind.FRAME,
            frame=make_frame(list(rng.normal(size=30)), time_ns=START_NS + seq * 10**9),
        )
        for seq in range(1, 1001)
    ]
    body = encode_block(stored, epoch=EPOCH)
    found, _ = decode_block(body)
    for one, other in zip(found, stored, strict=True):
        assert_same(one.frame, other.frame)
    for tag in (0, 7, 29):
        trend = decode_block_tags(body, index_column([tag]))
        assert trend.value.tolist() == [one.frame.value[tag] for one in stored]
        assert trend.time_ns.tolist() == [int(one.frame.time_ns[tag]) for one in stored]


def test_every_awkward_value_comes_back_among_decimals() -> None:
    """Exceptions stand first, last, alone and in a row within a column of another mode."""
    for surrounding in (21.5, float(np.float32(12.3)), float(np.pi)):
        column = [surrounding] * 50
        column[:1] = AWKWARD
        column[25:25] = AWKWARD
        column += AWKWARD
        frame = make_frame(column)
        assert_same(decode_frame(encode_frame(frame, epoch=EPOCH))[0], frame)


def make_frame(column: list[float], *, time_ns: int = START_NS) -> Frame:
    return Frame(
        tag_index=index_column(range(len(column))),
        time_ns=time_column([time_ns] * len(column)),
        value=float_column(column),
        status=status_column([Status.GOOD] * len(column)),
        received_ns=time_ns + 1_234_567,
    )


def test_a_draft_knows_count_and_times() -> None:
    frame = make_frame([1.0, 2.0])
    draft = draft_frame(frame, epoch=EPOCH, kind=RecordKind.FRAME)
    assert (draft.sample_count, draft.first_ns, draft.last_ns) == (2, START_NS, START_NS)
    record = Record(boot=Boot(1), seq=Seq(5), kind=draft.kind, body=draft.body)
    found, _ = frames_of(record)
    assert [one.seq for one in found] == [5]


def test_slow_signals_take_about_two_bytes_a_sample() -> None:
    """100 tags, 10 minutes at 1 Hz: half random walks of 0.1, then noise, counters, constants."""
    rng = np.random.default_rng(7)
    scans, tags = 600, 100
    kinds = np.arange(tags) % 10
    column = np.where(
        kinds < 5,
        np.round(200 + np.cumsum(rng.normal(0, 0.3, (scans, tags)), axis=0), 1),
        np.round(50 + rng.normal(0, 1, (scans, tags)), 2),
    )
    column[:, kinds == 7] = 1000 + np.cumsum(
        rng.integers(0, 5, (scans, (kinds == 7).sum())), axis=0
    )
    column[:, kinds == 8] = 75.5
    stored = [
        StoredFrame(
            boot=Boot(1),
            seq=Seq(seq),
            kind=RecordKind.FRAME,
            frame=make_frame(list(row), time_ns=START_NS + seq * 10**9 + int(rng.integers(10**6))),
        )
        for seq, row in enumerate(column)
    ]
    body = encode_block(stored, epoch=EPOCH)
    assert len(body) / (scans * tags) < 1.5


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


@given(frames(), st.integers(0, 2**31), st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_one_flipped_bit_is_found(frame: Frame, place: int, bit: int) -> None:
    body = bytearray(encode_frame(frame, epoch=EPOCH))
    body[place % len(body)] ^= 1 << bit
    with pytest.raises(CorruptRecordError):
        decode_frame(bytes(body))


def test_a_body_that_announces_too_much_is_refused_before_memory_is_taken() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(100_000_000))
    with pytest.raises(CorruptRecordError, match="unpacked"):
        decode_frame(close_body(b"\x00\x01" + bomb, version=1))
    with pytest.raises(CorruptRecordError, match="version"):
        decode_frame(close_body(b"", version=9))
