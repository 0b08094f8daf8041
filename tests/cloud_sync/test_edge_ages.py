from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.edge.ages import MARK_PERIOD_NS, MARKS_MAX, Ages
from gateway.core.records import Seq

SECOND_NS = 1_000_000_000


def test_an_empty_log_has_no_age() -> None:
    assert Ages().age_s(Seq(0), now_ns=5) == 0.0


def test_what_earlier_starts_left_is_as_old_as_the_log_says() -> None:
    ages = Ages()
    ages.seen(Seq(10), now_ns=7, age_s=3600.0)
    assert ages.age_s(Seq(9), now_ns=7 + SECOND_NS) == 3601.0
    assert ages.age_s(Seq(10), now_ns=7 + SECOND_NS) == 0.0


def test_an_outage_of_a_week_takes_bounded_memory() -> None:
    ages = Ages()
    for number in range(3 * MARKS_MAX):
        ages.seen(Seq(number + 1), now_ns=number * MARK_PERIOD_NS)
    assert len(ages._marks) == MARKS_MAX
    assert ages.age_s(Seq(0), now_ns=4 * MARKS_MAX * MARK_PERIOD_NS) == MARKS_MAX


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2 * SECOND_NS), st.integers(0, 3)), max_size=60
    )
)
def test_an_age_is_never_more_than_true_and_at_most_a_look_less(
    steps: list[tuple[int, int, int]],
) -> None:
    """Against the list of all commit times; looks and commits happen together here."""
    ages, commits = Ages(), [0]
    now_ns = cursor = pause_ns_max = 0
    for count, pause_ns, taken in steps:
        commits += [now_ns] * count
        ages.seen(Seq(len(commits) - 1), now_ns=now_ns)
        now_ns += pause_ns
        cursor = min(cursor + taken, len(commits) - 1)
        is_level = cursor == len(commits) - 1
        true_s = 0.0 if is_level else (now_ns - commits[cursor + 1]) / SECOND_NS
        found_s = ages.age_s(Seq(cursor), now_ns=now_ns)
        assert found_s <= true_s
        # What came within a mark's period of another is known from the next look on.
        pause_ns_max = max(pause_ns, pause_ns_max)
        assert true_s - found_s <= (MARK_PERIOD_NS + pause_ns_max) / SECOND_NS + 1e-9
