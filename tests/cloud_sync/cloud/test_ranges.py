"""Ranges against a plain set."""

from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.cloud.ranges import fresh_positions, merged_ranges

positions = st.lists(st.integers(0, 40), max_size=30)


@given(batches=st.lists(positions, max_size=6))
def test_ranges_are_a_set(batches: list[list[int]]) -> None:
    seen: set[int] = set()
    ranges: list[tuple[int, int]] = []
    for batch in batches:
        fresh = fresh_positions(ranges, batch)
        assert sorted(set(batch) - seen) == fresh
        seen |= set(batch)
        ranges = merged_ranges(ranges, fresh)
        held = [position for first, last in ranges for position in range(first, last + 1)]
        assert sorted(seen) == held


def test_a_run_is_one_range() -> None:
    assert merged_ranges([(1, 10), (20, 30)], range(11, 20)) == [(1, 30)]
