"""When refused points are tried again."""

from connectors.modbus.registers import Area, NumberType, Point
from connectors.modbus.set_aside import SetAsidePoints

S = 1_000_000_000
POINTS = [
    Point(area=Area.HOLDING_REGISTER, address=address, type=NumberType.UINT16)
    for address in range(20)
] + [Point(area=Area.COIL, address=0, type=NumberType.BOOL)]
BLOCK = (Area.HOLDING_REGISTER, 0)


def aside() -> SetAsidePoints:
    return SetAsidePoints(POINTS, first_s=5, cap_s=30)


def due(points: SetAsidePoints, at_s: float, count_max: int = 100) -> list[tuple[int, ...]]:
    return [entry.members for entry in points.due(monotonic_ns=int(at_s * S), count_max=count_max)]


def test_the_pause_doubles_up_to_its_cap() -> None:
    points = aside()
    points.add([3], 2, matter=None, now_ns=100 * S, monotonic_ns=0)
    tried_s = []
    for second in range(120):
        for entry in points.due(monotonic_ns=second * S, count_max=9):
            tried_s.append(second)
            points.refused(entry, now_ns=(100 + second) * S, monotonic_ns=second * S)
    assert tried_s == [5, 15, 35, 65, 95]
    [entry] = points.entries
    assert (entry.since_ns, entry.retry_ns) == (100 * S, 225 * S)


def test_when_one_answers_the_others_of_its_area_are_tried_at_once() -> None:
    points = aside()
    points.add([3, 4, 20], 2, matter=None, now_ns=0, monotonic_ns=0)
    [first, *_] = points.due(monotonic_ns=5 * S, count_max=1)
    for entry in points.entries:
        points.refused(entry, now_ns=5 * S, monotonic_ns=5 * S)
    assert due(points, 6) == []
    assert points.restored(first, now_ns=6 * S, monotonic_ns=6 * S) == (first,)
    assert due(points, 6) == [(4,)]
    assert points.members == {4, 20}


def test_a_block_refused_as_a_whole_is_one_matter() -> None:
    """One of its points is tried at a time, another one each time; then all come back."""
    points = aside()
    points.add(range(10), 1, matter=BLOCK, now_ns=0, monotonic_ns=0)
    points.add([15], 2, matter=None, now_ns=0, monotonic_ns=0)
    tried = []
    for at_s in (5, 15, 35):
        entry = points.due(monotonic_ns=at_s * S, count_max=9)[0]
        tried.append(entry.members)
        points.refused(entry, now_ns=0, monotonic_ns=at_s * S)
        assert entry.members not in due(points, at_s)
    assert len(set(tried)) == 3
    back = points.restored(entry, now_ns=0, monotonic_ns=70 * S)
    assert {member for each in back for member in each.members} == set(range(10))
    assert points.members == {15}


def test_tries_are_bounded_and_the_longest_overdue_come_first() -> None:
    points = aside()
    for member in range(10):
        points.add([member], 2, matter=None, now_ns=0, monotonic_ns=-member * S)
    assert due(points, 60, count_max=3) == [(9,), (8,), (7,)]
    assert due(points, -100) == []


def test_points_at_one_address_are_tried_together() -> None:
    bits = [
        Point(area=Area.HOLDING_REGISTER, address=7, type=NumberType.BIT, bit=bit)
        for bit in range(3)
    ]
    points = SetAsidePoints(bits, first_s=5, cap_s=30)
    points.add([0, 1, 2], 2, matter=None, now_ns=0, monotonic_ns=0)
    assert due(points, 5) == [(0, 1, 2)]
