"""Cheap requests, all legal, every point in one of them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.plan import (
    UNREADABLE_MS,
    Block,
    ReadRules,
    ReadTiming,
    Span,
    plan_blocks,
    plan_cost_ms,
)
from connectors.modbus.registers import Area, NumberType, Point
from tests.connectors.naive import cheapest_blocks_ms

TYPES = [NumberType.UINT16, NumberType.FLOAT32, NumberType.FLOAT64]
TCP = ReadTiming(request_ms=5.0, register_ms=0.05)

timings = st.builds(
    ReadTiming,
    request_ms=st.sampled_from([1.0, 5.0, 30.0]),
    register_ms=st.sampled_from([0.0, 0.1, 1.0, 2.5]),
)


@st.composite
def points(draw: st.DrawFn, *, count_max: int, address_step_max: int) -> list[Point]:
    """Draw points that share no address, or all of it."""
    drawn: list[Point] = []
    for area in draw(st.lists(st.sampled_from(Area), min_size=1, max_size=2, unique=True)):
        address = draw(st.integers(0, 40))
        for _ in range(draw(st.integers(0, count_max))):
            kind = NumberType.BOOL if area.is_bits else draw(st.sampled_from(TYPES))
            drawn.append(Point(area=area, address=address, type=kind))
            if drawn[-1].size == 1 and draw(st.booleans()):
                drawn.append(drawn[-1])
            address = drawn[-1].end + draw(st.integers(0, address_step_max))
    return draw(st.permutations(drawn))


@st.composite
def rules(draw: st.DrawFn) -> ReadRules:
    walls = []
    for _ in range(draw(st.integers(0, 3))):
        first = draw(st.integers(0, 80))
        end = first + draw(st.integers(1, 4))
        walls.append(Span(area=draw(st.sampled_from(Area)), first=first, end=end))
    return ReadRules(
        gap_max=draw(st.none() | st.integers(0, 12)),
        registers_max=draw(st.integers(8, 30)),
        bits_max=draw(st.integers(8, 40)),
        alignment=draw(st.sampled_from([1, 2, 4])),
        walls=tuple(walls),
    )


@given(points(count_max=30, address_step_max=30), rules(), timings)
def test_blocks_are_legal_and_hold_every_point_once(
    drawn: list[Point], rules: ReadRules, timing: ReadTiming
) -> None:
    blocks = plan_blocks(drawn, rules, timing)
    members = [member for block in blocks for member in block.members]
    assert sorted(members) == list(range(len(drawn)))
    for block in blocks:
        assert 1 <= block.count <= rules.count_max(block.area)
        assert block.start % rules.alignment == 0
        wanted: set[int] = set()
        for member in block.members:
            point = drawn[member]
            assert point.area is block.area
            assert block.start <= point.address
            assert point.end <= block.start + block.count
            wanted |= set(range(point.address, point.end))
        if rules.gap_max is not None:
            unit = 16 if block.area.is_bits else 1
            assert longest_gap(block, wanted) <= rules.gap_max * unit
        if len({drawn[member].address for member in block.members}) > 1:
            inside = set(range(min(wanted), block.start + block.count)) - wanted
            assert inside & walled(rules, block.area) == set()


@given(points(count_max=3, address_step_max=20), rules(), timings)
def test_no_plan_is_cheaper(drawn: list[Point], rules: ReadRules, timing: ReadTiming) -> None:
    """Compared with a search over all ways to put the points into requests."""
    cost_ms = plan_cost_ms(plan_blocks(drawn, rules, timing), timing)
    expected_ms = cheapest_blocks_ms(drawn, rules, timing)
    if expected_ms < UNREADABLE_MS:
        assert cost_ms == pytest.approx(expected_ms, abs=1e-6)


def walled(rules: ReadRules, area: Area) -> set[int]:
    return {
        address
        for wall in rules.walls
        if wall.area is area
        for address in range(wall.first, wall.end)
    }


def longest_gap(block: Block, wanted: set[int]) -> int:
    longest = here = 0
    for address in range(min(wanted), block.start + block.count):
        here = 0 if address in wanted else here + 1
        longest = max(longest, here)
    return longest


def floats(count: int, *, step: int = 2) -> list[Point]:
    return [
        Point(area=Area.HOLDING_REGISTER, address=step * number, type=NumberType.FLOAT32)
        for number in range(count)
    ]


def test_a_whole_register_map_in_one_request() -> None:
    [block] = plan_blocks(floats(62), ReadRules(gap_max=0), TCP)
    assert (block.start, block.count) == (0, 124)
    assert block.pdu == bytes.fromhex("030000007C")
    assert str(block) == "holding registers 0 to 123"


def test_a_gap_is_read_along_only_where_that_is_cheaper() -> None:
    """At 2.3 ms a register (9600 baud) a gap of 18 costs more than a request of 30 ms."""
    two = floats(2, step=20)
    slow = ReadTiming(request_ms=30.0, register_ms=2.3)
    assert len(plan_blocks(two, ReadRules(), TCP)) == 1
    assert len(plan_blocks(two, ReadRules(), slow)) == 2
    assert len(plan_blocks(floats(2, step=10), ReadRules(), slow)) == 1
    assert len(plan_blocks(two, ReadRules(gap_max=17), TCP)) == 2


def test_nothing_is_read_across_a_wall() -> None:
    wall = Span(area=Area.HOLDING_REGISTER, first=3, end=4)
    blocks = plan_blocks(floats(2, step=4), ReadRules(walls=(wall,)), TCP)
    assert [(block.start, block.count) for block in blocks] == [(0, 2), (4, 2)]
    other = Span(area=Area.INPUT_REGISTER, first=3, end=4)
    assert len(plan_blocks(floats(2, step=4), ReadRules(walls=(other,)), TCP)) == 1


def test_requests_begin_where_the_device_wants() -> None:
    point = Point(area=Area.INPUT_REGISTER, address=7, type=NumberType.UINT16)
    [block] = plan_blocks([point], ReadRules(alignment=4), TCP)
    assert (block.start, block.count) == (4, 4)


def test_thousands_of_tags_are_planned_at_once() -> None:
    """5,000 tags; the fastest of five tries, for the machine may be busy."""
    scattered = floats(2500, step=9)
    bits = [
        Point(area=Area.COIL, address=3 * number, type=NumberType.BOOL) for number in range(2500)
    ]
    took_s = []
    for _ in range(5):
        begin = time.perf_counter()
        plan_blocks([*scattered, *bits], ReadRules(alignment=2), TCP)
        took_s.append(time.perf_counter() - begin)
    assert min(took_s) < 0.1
