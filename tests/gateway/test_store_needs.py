"""Which stretches of the log are lacked, and which may go: against sets of positions."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cursors import Cursor, Scope, Span
from gateway.core.records import Seq
from gateway.store.needs import END, Needs

LAST = 30


@st.composite
def cursors(draw: st.DrawFn) -> Cursor:
    """Draw a reader with a scope, moved and held up at random."""
    cursor = Cursor(seq=Seq(0), scope=draw(st.sampled_from(Scope)))
    for _ in range(draw(st.integers(0, 4))):
        to = Seq(draw(st.integers(1, LAST)))
        action = draw(st.sampled_from(("advance", "skip", "fill")))
        if action == "advance":
            cursor = cursor.advanced(to)
        elif action == "skip":
            cursor = cursor.skipped(to)
        else:
            cursor = cursor.filled(Span(first=to, last=Seq(min(to + 3, LAST))))
    return cursor


def positions(spans: tuple[Span, ...]) -> set[int]:
    return {seq for span in spans for seq in range(span.first, min(span.last, LAST) + 1)}


@given(st.lists(cursors(), max_size=4), st.none() | st.integers(0, LAST))
def test_what_no_reader_of_its_kind_lacks_is_history(
    readers: list[Cursor], checkpoint: int | None
) -> None:
    """For every position: lacked, or free, or kept for a restart; in order, and never both."""
    end = Seq(LAST)
    needs = Needs.of(readers, end=end, checkpoint=None if checkpoint is None else Seq(checkpoint))
    replayed_after = LAST if checkpoint is None else checkpoint
    for spans, free, blind in (
        (needs.samples, needs.free_samples, Scope.NOTES),
        (needs.notes, needs.free_notes, Scope.SAMPLES),
    ):
        lacked = {
            seq
            for seq in range(1, LAST + 1)
            if any(not each.has(Seq(seq)) for each in readers if each.scope is not blind)
        }
        assert positions(spans) == lacked
        assert positions(free) == set(range(1, replayed_after + 1)) - lacked
        assert spans[-1].last == END, "what comes next is lacked"
        for some in (spans, free):
            assert all(one.last + 1 < other.first for one, other in pairwise(some))
