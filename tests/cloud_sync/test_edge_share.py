import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.edge.share import Share


def test_all_that_is_free_is_for_the_backlog() -> None:
    share = Share(0.1)
    for _ in range(100):
        assert share.may_send
        share.back_sent(1_000_000)


def test_what_it_had_while_the_front_was_level_is_not_held_against_it() -> None:
    share = Share(0.5)
    share.back_sent(1_000_000)
    share.front_is_busy()
    seen = [share.may_send]
    share.back_sent(1000)
    share.front_is_busy()
    seen.append(share.may_send)
    share.front_is_level()
    seen.append(share.may_send)
    assert seen == [True, False, True]


@pytest.mark.parametrize(("part", "expected"), [(0.0, False), (1.0, True)])
def test_the_ends_of_the_range_mean_never_and_always(part: float, *, expected: bool) -> None:
    share = Share(part)
    share.front_is_busy()
    share.back_sent(1000)
    assert share.may_send is expected


@given(part=st.floats(0.05, 0.95), sizes=st.lists(st.integers(1, 10_000), min_size=1))
def test_while_the_front_is_busy_the_backlog_has_its_share(part: float, sizes: list[int]) -> None:
    """Never more than it by more than one batch, and as much as that whenever it wants."""
    share = Share(part)
    share.front_is_busy()
    front = back = last = 0
    for size in sizes:
        if share.may_send:
            share.back_sent(size)
            back, last = back + size, size
        else:
            share.front_sent(size)
            front += size
        assert back - last <= part * (front + back - last) + 1e-6
    if not share.may_send:
        assert back > part * (front + back) - 1e-6
