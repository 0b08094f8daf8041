"""Frames and blocks come back bit by bit."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.frame import ClockSource, Frame, Origin, join_frames
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.wire.frames import (
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
from tests.gateway.drawn_frames import (
    AWKWARD,
    EPOCH,
    START_NS,
    assert_same,
    blocks,
    frames,
    make_frame,
)

OLD_FRAME = (
    "0103000c038089facb9aabe3ec30080101010510808080cb9aabe3ec300101020eda000300018080c48108010201"
    "400104e8cc99b3e6cc99d37f9ab3a6940801b3e6ecf30301000200020101010102d80401010257200203307d5ebc"
)
OLD_BLOCK = (
    "0103370002040000100002020000180000808080cb9aabe3ec30000080897a000001060801010105100000000302"
    "010101060a0400000106ac010128b52ffd2057650200e244101ba0291df0ef2a7effb76a0c638d6687c9fdbbaa6f"
    "d0db1f4dff2d53ff7d74f27d93fcd9cfab2da6b425502431b5fd3048223fa762a09645e3b403ffd2c2470e010200"
    "2c92aec0410183636b36"
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


def test_bodies_of_the_release_before_this_one_are_read() -> None:
    """With the server's times, a float32, a NaN and a value that is no short decimal number."""
    frame = Frame(
        tag_index=index_column([4, 1, 9]),
        time_ns=time_column([START_NS, START_NS + 7, START_NS + 500]),
        value=float_column([float(np.float32(12.3)), float("nan"), 0.1 + 0.2]),
        status=status_column([0, 0x80310000, 0]),
        received_ns=START_NS + 1_000_000,
        server_ns=time_column([START_NS + 300, 0, START_NS + 900]),
    )
    assert_same(decode_frame(bytes.fromhex(OLD_FRAME))[0], frame)
    for one in decode_block(bytes.fromhex(OLD_BLOCK))[0]:
        assert_same(one.frame, frame)


def test_server_s_times_cost_what_they_say() -> None:
    """1,000 OPC UA items, 60 notifications: equal times nothing, a jitter of 10 ms its bits.

    One time for a whole notification costs nothing either, however its values' own times differ.
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
    shared = body_sizes(
        [
            replace(frame, server_ns=time_column([frame.received_ns + delay] * len(frame)))
            for frame, delay in zip(without, jitter[:, 0].tolist(), strict=True)
        ]
    )
    assert (equal - sizes < 0.02).all()
    assert (jittering - sizes < 2.6).all()
    assert (shared - sizes < 0.1).all()


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
