"""Few requests, all legal, every point in one of them."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.plan import REGISTERS_MAX, Block, plan_blocks
from connectors.registers import Area, NumberType, Point
from tests.connectors.naive import fewest_blocks

TYPES = [NumberType.UINT16, NumberType.FLOAT32, NumberType.FLOAT64]


@st.composite
def points(draw: st.DrawFn) -> list[Point]:
    drawn = []
    for _ in range(draw(st.integers(0, 30))):
        area = draw(st.sampled_from(Area))
        kind = NumberType.BOOL if area.is_bits else draw(st.sampled_from(TYPES))
        drawn.append(Point(area=area, address=draw(st.integers(0, 400)), type=kind))
    return drawn


@given(points(), st.integers(0, 120), st.integers(4, REGISTERS_MAX))
def test_blocks_are_legal_and_hold_every_point_once(
    drawn: list[Point], gap_max: int, registers_max: int
) -> None:
    blocks = plan_blocks(drawn, gap_max=gap_max, registers_max=registers_max)
    members = [member for block in blocks for member in block.members]
    assert sorted(members) == list(range(len(drawn)))
    for block in blocks:
        limit = registers_max * (16 if block.area.is_bits else 1)
        assert 1 <= block.count <= limit
        covered = set()
        for member in block.members:
            point = drawn[member]
            assert point.area is block.area
            assert block.start <= point.address
            assert point.end <= block.start + block.count
            covered |= set(range(point.address, point.end))
        assert longest_gap(block, covered) <= gap_max * (16 if block.area.is_bits else 1)


@given(points(), st.integers(0, 20), st.integers(4, 30))
def test_no_plan_has_fewer_blocks(drawn: list[Point], gap_max: int, registers_max: int) -> None:
    """Compared with a search over all ways to cut the ordered points."""
    drawn = drawn[:9]
    blocks = plan_blocks(drawn, gap_max=gap_max, registers_max=registers_max)
    assert len(blocks) == fewest_blocks(drawn, gap_max=gap_max, registers_max=registers_max)


def longest_gap(block: Block, covered: set[int]) -> int:
    longest = here = 0
    for address in range(block.start, block.start + block.count):
        here = 0 if address in covered else here + 1
        longest = max(longest, here)
    return longest


def test_a_whole_register_map_in_one_request() -> None:
    floats = [
        Point(area=Area.HOLDING_REGISTER, address=2 * number, type=NumberType.FLOAT32)
        for number in range(62)
    ]
    [block] = plan_blocks(floats, gap_max=0)
    assert (block.start, block.count) == (0, 124)
    assert block.pdu == bytes.fromhex("030000007C")
    assert str(block) == "holding registers 0 to 123"
