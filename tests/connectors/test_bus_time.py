"""What reading costs: learned, and foretold."""

import heapq
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.bus_time import (
    TCP_TIMING,
    GroupLoad,
    TimingLearner,
    forecast,
    serial_timing,
    tight_text,
)
from connectors.modbus.plan import Block, ReadTiming
from connectors.modbus.registers import Area


def block(count: int) -> Block:
    return Block(area=Area.HOLDING_REGISTER, start=0, count=count, members=(0,))


def load(name: str, period_ms: int, *counts: int) -> GroupLoad:
    return GroupLoad(name=name, period_ms=period_ms, blocks=tuple(block(count) for count in counts))


@given(
    st.floats(1.0, 100.0),
    st.floats(0.0, 3.0),
    st.lists(st.integers(1, 125), min_size=2, max_size=6, unique=True),
)
def test_turnaround_and_time_per_register_are_learned(
    request_ms: float, register_ms: float, sizes: list[int]
) -> None:
    """Though every fourth answer is late by a second."""
    learner = TimingLearner(TCP_TIMING)
    for number in range(20):
        for size in sizes:
            late_ms = 1000.0 if number % 4 == 3 else 0.0
            learner.note(float(size), request_ms + register_ms * size + late_ms)
    timing = learner.timing()
    assert timing.request_ms == pytest.approx(request_ms, abs=1e-6)
    assert timing.register_ms == pytest.approx(register_ms, abs=1e-6)


def test_nothing_learned_is_the_estimate() -> None:
    learner = TimingLearner(TCP_TIMING)
    for _ in range(4):
        learner.note(10.0, 50.0)
    assert not learner.is_learned
    assert learner.timing() == TCP_TIMING


def test_one_size_gives_its_sum_and_no_absurd_share() -> None:
    """What one size cannot tell is taken from the estimate; the sum is what was measured."""
    slow = TimingLearner(ReadTiming(request_ms=30.0, register_ms=2.3))
    for _ in range(10):
        slow.note(100.0, 8.0)
    timing = slow.timing()
    assert timing.request_ms + 100 * timing.register_ms == pytest.approx(8.0)
    assert timing.request_ms >= 0


def test_a_learner_is_bounded() -> None:
    learner = TimingLearner(TCP_TIMING)
    for size in range(1, 2000):
        for _ in range(20):
            learner.note(size / 16, 5.0)
    assert learner.timing().request_ms == pytest.approx(5.0)
    assert sum(len(samples) for samples in learner._samples.values()) <= 32 * 15


def test_a_serial_line_by_its_rate() -> None:
    """9600 baud: 1.146 ms a character; 10 registers are 33 of them, and two silences of 3.5."""
    timing = serial_timing(9600)
    characters = 8 + 5 + 2 * 10 + 2 * 3.5
    expected_ms = characters * 11 / 9600 * 1000 + 5.0
    assert timing.request_ms + 10 * timing.register_ms == pytest.approx(expected_ms)
    assert serial_timing(115_200).request_ms == pytest.approx(13 * 11 / 115.2 + 2 * 1.75 + 5.0)


def test_a_forecast_names_what_cannot_be_kept() -> None:
    """Two groups on one line: the faster one is in time, the other one is not."""
    timing = ReadTiming(request_ms=20.0, register_ms=0.0)
    both = forecast([load("slow", 100, 1, 1, 1), load("fast", 80, 1, 1)], timing)
    fast, slow = both.groups
    assert (fast.name, fast.scan_ms, fast.done_ms, fast.is_kept) == ("fast", 40.0, 60.0, True)
    assert (slow.name, slow.scan_ms, slow.is_kept) == ("slow", 60.0, False)
    assert both.busy_share == pytest.approx(40 / 80 + 60 / 100)
    assert tight_text(slow) == (
        "group slow: one scan needs 60 ms, 140 ms with other groups; the period is 100 ms"
    )
    [alone] = forecast([load("", 50, 1, 1, 1)], timing).groups
    assert tight_text(alone) == ("tags without a group: one scan needs 60 ms; the period is 50 ms")


def test_a_forecast_of_nothing() -> None:
    assert forecast([], TCP_TIMING).busy_share == 0.0
    [empty] = forecast([load("", 100)], TCP_TIMING).groups
    assert empty.is_kept
    assert empty.scan_ms == 0.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([10, 20, 25, 50, 100]),
            st.lists(st.integers(1, 8), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 2**32),
)
def test_no_scan_takes_longer_than_foretold(groups: list[tuple[int, list[int]]], seed: int) -> None:
    """Against a line that is simulated request by request, with scans that begin anywhere."""
    timing = ReadTiming(request_ms=0.0, register_ms=1.0)
    loads = [load(str(index), period, *counts) for index, (period, counts) in enumerate(groups)]
    found = forecast(loads, timing)
    if not all(group.is_kept for group in found.groups):
        return
    offsets = [random.Random(seed + index).randrange(100) for index in range(len(groups))]
    longest = longest_scans(groups, offsets)
    for group in found.groups:
        assert longest[int(group.name)] <= group.done_ms


def longest_scans(groups: list[tuple[int, list[int]]], offsets: list[int]) -> list[int]:
    """Play a line: one request at a time, the shorter period first, none interrupted."""
    releases = sorted(
        (offset + period * number, period, index)
        for index, ((period, _), offset) in enumerate(zip(groups, offsets, strict=True))
        for number in range(2000 // period)
    )
    waiting: list[tuple[int, int, int, int, bool]] = []
    longest = [0] * len(groups)
    now = position = 0
    while position < len(releases) or waiting:
        if not waiting:
            now = max(now, releases[position][0])
        while position < len(releases) and releases[position][0] <= now:
            begin, period, index = releases[position]
            counts = groups[index][1]
            for order, count in enumerate(counts):
                is_last = order == len(counts) - 1
                heapq.heappush(waiting, (period, begin, index * 10 + order, count, is_last))
            position += 1
        _, begin, number, count, is_last = heapq.heappop(waiting)
        now += count
        if is_last:
            longest[number // 10] = max(longest[number // 10], now - begin)
    return longest


def test_hopeless_is_infinite_not_endless() -> None:
    timing = ReadTiming(request_ms=60.0, register_ms=0.0)
    groups = forecast([load("a", 50, 1), load("b", 1000, 1)], timing).groups
    assert math.isinf(groups[1].done_ms)
    assert tight_text(groups[1]) == (
        "group b: one scan needs 60 ms, and the other groups leave no time for it; "
        "the period is 1000 ms"
    )
