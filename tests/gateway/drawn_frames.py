"""Frames and blocks with anything in them, drawn by hypothesis, and how they are compared."""

import math
import struct

import numpy as np
from hypothesis import strategies as st

from gateway.core.arrays import TimeArray, float_column, index_column, status_column, time_column
from gateway.core.frame import ClockSource, Frame, Origin
from gateway.core.quality import Status
from gateway.core.records import Boot, Seq
from gateway.core.tags import ConfigEpoch
from gateway.wire.frames import FRAME_KINDS, StoredFrame

EPOCH = ConfigEpoch(3)
START_NS = 1_760_000_000_000_000_000


def double(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


AWKWARD = [
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    5e-324,
    -2.2250738585072014e-308,
    2.2250738585072009e-308,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    2.0**53 - 1,
    2.0**53,
    2.0**53 + 2,
    -(2.0**63),
    2.0**63,
    2.0**64,
    3.4028234663852886e38,
    3.4028235677973366e38,
    1.401298464324817e-45,
    0.1,
    0.1 + 0.2,
    21.5,
    float(np.float32(12.3)),
    *(
        double(bits)
        for bits in (
            0x7FF8_0000_0000_0000,
            0x7FF8_0000_0000_0001,
            0xFFF8_DEAD_BEEF_0001,
            0x7FF0_0000_0000_0001,
            0xFFF4_0000_2000_0000,
        )
    ),
]
"""Signed zeros, subnormals, the ends of every range; quiet and signalling NaN with payloads."""

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
    """Draw no column, one time for all, one without a gap, or one with any times and gaps."""
    if not draw(st.booleans()):
        return None
    if draw(st.booleans()):
        return time_column([draw(int64s)] * len(times))
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


def make_frame(column: list[float], *, time_ns: int = START_NS) -> Frame:
    return Frame(
        tag_index=index_column(range(len(column))),
        time_ns=time_column([time_ns] * len(column)),
        value=float_column(column),
        status=status_column([Status.GOOD] * len(column)),
        received_ns=time_ns + 1_234_567,
    )
