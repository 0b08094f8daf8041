"""The search for refused addresses, against a device that is a set of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.isolation import Isolation, Part, parts_of
from connectors.modbus.plan import Block, ReadRules, ReadTiming, plan_blocks
from connectors.modbus.registers import Area, NumberType, Point


def words(addresses: list[int]) -> list[Point]:
    return [
        Point(area=Area.HOLDING_REGISTER, address=address, type=NumberType.UINT16)
        for address in addresses
    ]


def whole(points: list[Point]) -> Block:
    timing = ReadTiming(request_ms=1000.0, register_ms=0.001)
    [block] = plan_blocks(points, ReadRules(), timing)
    return block


def searched(
    parts: tuple[Part, ...], bad: set[int], *, count_max: int = 125
) -> tuple[Isolation, list[tuple[int, int]]]:
    """Play the device, which refuses bad addresses and long requests, until the end."""
    isolation, asked = Isolation(parts), []
    while (ask := isolation.ask) is not None:
        first, end = isolation.parts[ask[0]].first, isolation.parts[ask[1] - 1].end
        asked.append((first, end))
        is_refused = end - first > count_max or any(first <= address < end for address in bad)
        isolation.take(is_refused=is_refused)
        assert len(asked) < 1000
    return isolation, asked


def refused_points(isolation: Isolation) -> set[int]:
    return {member for part in isolation.refused for member in part.members}


@pytest.mark.parametrize("count", [2, 3, 7, 100, 125])
def test_one_refused_point_is_found_in_few_requests(count: int) -> None:
    """At whatever place: ceil(log2 n) + 1 requests, 8 among 100; all others are read once."""
    points = words(list(range(count)))
    parts = parts_of(whole(points), points, ReadRules())
    for bad in range(count):
        isolation, asked = searched(parts, {bad})
        assert refused_points(isolation) == {bad}
        assert isolation.unanswered == (bad,)
        assert len(asked) <= math.ceil(math.log2(count)) + 1
        answered = [
            address
            for first, end in asked
            if not first <= bad < end
            for address in range(first, end)
        ]
        assert sorted(answered) == [address for address in range(count) if address != bad]


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=30, unique=True),
    st.sets(st.integers(0, 62), min_size=1),
)
def test_every_refused_point_is_found_and_no_other(addresses: list[int], bad: set[int]) -> None:
    """Also where refused addresses lie in gaps; only what is all refused may be given up."""
    points = words(addresses)
    block = whole(points)
    if not bad & set(range(block.start, block.start + block.count)):
        return
    isolation, asked = searched(parts_of(block, points, ReadRules()), bad)
    blamed = refused_points(isolation)
    expected = {index for index, address in enumerate(addresses) if address in bad}
    assert expected <= blamed
    assert set(isolation.unanswered) == blamed
    if blamed != expected:
        ordered = sorted(addresses)
        assert all(address in bad for address in ordered[:8])
        assert len(asked) <= 40


@given(st.lists(st.integers(0, 60), min_size=2, max_size=30, unique=True), st.integers(0, 60))
def test_a_refused_gap_is_walled_off_and_no_point_blamed(addresses: list[int], bad: int) -> None:
    points = words(addresses)
    if not min(addresses) < bad < max(addresses) or bad in addresses:
        return
    isolation, _ = searched(parts_of(whole(points), points, ReadRules()), {bad})
    [gap] = isolation.refused
    assert gap.is_gap
    assert gap.first <= bad < gap.end


@pytest.mark.parametrize("count_max", [1, 10, 40, 99])
def test_a_request_that_is_too_long_blames_nobody(count_max: int) -> None:
    points = words(list(range(100)))
    isolation, _ = searched(
        parts_of(whole(points), points, ReadRules()), set(), count_max=count_max
    )
    assert isolation.refused == ()
    assert isolation.unanswered == ()
    assert isolation.longest_good <= count_max


@given(st.lists(st.integers(0, 60), min_size=2, max_size=30, unique=True), st.integers(0, 20))
def test_no_gap_is_walled_off_for_a_refusal_of_the_moment(
    addresses: list[int], refusal_count: int
) -> None:
    """As by a device that is not ready: it refuses the first few requests, whatever they are.

    Points may be blamed then, for they are tried again; a wall would stand for good.
    """
    points = words(addresses)
    isolation = Isolation(parts_of(whole(points), points, ReadRules()))
    count = 0
    while (ask := isolation.ask) is not None:
        assert isolation.members(ask)
        isolation.take(is_refused=count < refusal_count)
        count += 1
    assert not any(part.is_gap for part in isolation.refused)


def test_a_refusal_that_is_over_blames_nobody() -> None:
    points = words(list(range(100)))
    isolation, asked = searched(parts_of(whole(points), points, ReadRules()), set())
    assert isolation.refused == ()
    assert len(asked) <= 8


def test_a_device_that_refuses_everything_is_not_asked_for_ever() -> None:
    points = words(list(range(125)))
    isolation, asked = searched(parts_of(whole(points), points, ReadRules()), set(range(125)))
    assert refused_points(isolation) == set(range(125))
    assert len(asked) <= 24


def test_points_that_no_request_tells_apart_are_one_part() -> None:
    """With requests that begin at multiples of four, 5 cannot be read without 4."""
    points = words([4, 5, 8, 14])
    rules = ReadRules(alignment=4)
    [block] = plan_blocks(points, rules, ReadTiming(request_ms=1000.0, register_ms=0.001))
    parts = parts_of(block, points, rules)
    assert [(part.first, part.end, part.members) for part in parts] == [
        (4, 6, (0, 1)),
        (6, 8, ()),
        (8, 15, (2, 3)),
    ]
