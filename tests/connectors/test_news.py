"""News of a device at a bounded rate, in virtual time."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from connectors.news import News
from tests.connectors.sinks import KeepingSink
from tests.connectors.virtual_clock import VirtualClock

S = 1_000_000_000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 8)), max_size=60))
def test_each_subject_is_told_once_in_a_period_and_nothing_is_uncounted(
    steps: list[tuple[str, float]],
) -> None:
    """The newest of what was held back is told at the period's end, with how many it stands for."""
    sink, clock = KeepingSink(), VirtualClock()
    news = News(sink, source="x", clock=clock, period_s=10)
    told_s: dict[str, list[float]] = {}
    newest: dict[str, int] = {}

    def count_new(known: int) -> int:
        for event in sink.events[known:]:
            told_s.setdefault(event.text[0], []).append(clock.time_ns / S)
        return len(sink.events)

    known = 0
    for number, (subject, wait_s) in enumerate(steps):
        clock.time_ns += round(wait_s * S)
        news.flush()
        known = count_new(known)
        news.tell("changed", subject, f"{subject} {number}", severity=100)
        newest[subject] = number
        known = count_new(known)
    for times in told_s.values():
        assert all(later - sooner >= 9.999 for sooner, later in pairwise(times))
    news.close()
    for subject, number in newest.items():
        last = [event.text for event in sink.events if event.text.startswith(subject)][-1]
        assert last.split(" (")[0] == f"{subject} {number}"
    more = [event.text.split("(and ")[1].split()[0] for event in sink.events if "(" in event.text]
    assert len(sink.events) + sum(map(int, more)) == len(steps)
    assert len({event.id for event in sink.events}) == len(sink.events)
