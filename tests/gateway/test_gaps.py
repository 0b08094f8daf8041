"""The book of gaps: what is missing between two values that are held."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.arrays import index_column, status_column, time_column
from gateway.core.events import Event, Evidence
from gateway.core.frame import Frame, Origin
from gateway.core.gaps import (
    GAP_FOUND,
    GAP_HEALED,
    GAP_NUMBER,
    GAPS_PER_TAG_MAX,
    GapBook,
)
from gateway.core.quality import Status
from gateway.core.records import LogEntry
from gateway.core.tags import TagId

NAMES = [TagId("pumps.a"), TagId("pumps.b")]
PLACES = (3, 5)
"""Of the two tags in the table; others stand before, between and behind."""


def book_of(names: Sequence[TagId] = NAMES, places: Sequence[int] = PLACES) -> GapBook:
    return GapBook("pumps", names, index_column(places))


def frame(
    *samples: tuple[int, int], origin: Origin = Origin.LIVE, is_received: bool = True
) -> Frame:
    """One frame of (place in the table, time)."""
    count = len(samples)
    status = Status.GOOD if is_received else Status.BAD_NO_COMMUNICATION
    return Frame(
        tag_index=index_column([place for place, _ in samples]),
        time_ns=time_column([time_ns for _, time_ns in samples]),
        value=np.zeros(count) if is_received else np.full(count, np.nan),
        status=status_column([status] * count),
        received_ns=1,
        origin=origin,
        is_received=is_received,
    )


def lost(*places: int) -> Frame:
    return frame(*((place, 99) for place in places), is_received=False)


def historical(*samples: tuple[int, int]) -> Frame:
    return frame(*samples, origin=Origin.HISTORICAL)


def found(source: str = "pumps") -> Event:
    return Event(time_ns=1, source=source, condition=GAP_FOUND, severity=1, text="")


def healed(number: int) -> Event:
    evidence = (Evidence(name=GAP_NUMBER, value=number),)
    return Event(
        time_ns=1, source="pumps", condition=GAP_HEALED, severity=1, text="", evidence=evidence
    )


def after(*entries: LogEntry) -> GapBook:
    book = book_of()
    for entry in entries:
        book.replay(entry)
    return book


def spans(book: GapBook) -> list[tuple[int, int, int, int]]:
    gaps = book.gaps()
    columns = (gaps.number, gaps.position, gaps.from_ns, gaps.to_ns)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_gap_lies_between_the_newest_value_and_the_first_one_after_a_loss() -> None:
    book = after(frame((3, 10), (5, 11), (3, 12)), lost(3, 5))
    assert spans(book) == []
    book.replay(frame((3, 20), (3, 21), (4, 22)))
    assert spans(book) == [(1, 0, 12, 20)]
    book.replay(frame((3, 30), (5, 31)))
    assert spans(book) == [(1, 0, 12, 20), (2, 1, 11, 31)]
    assert book.newest_ns.tolist() == [30, 31]


def test_a_start_of_the_gateway_makes_every_tag_that_was_held_wait() -> None:
    book = after(frame((3, 10)), found("other"), found(), frame((3, 20), (5, 20)))
    assert spans(book) == [(1, 0, 10, 20)], "of the other tag nothing was held"


def test_a_value_that_did_not_change_leaves_no_gap() -> None:
    assert spans(after(frame((3, 10)), lost(3), frame((3, 10)), frame((3, 20)))) == []


def test_a_source_clock_that_was_set_back_leaves_no_gap() -> None:
    assert spans(after(frame((3, 1000)), lost(3), frame((3, 10)), frame((3, 20)))) == []


def test_what_is_read_moves_the_beginning_and_an_event_closes() -> None:
    book = after(frame((3, 10)), lost(3), frame((3, 20)), lost(3), frame((3, 30)))
    book.replay(historical((3, 12), (3, 15), (3, 20), (3, 40), (5, 25)))
    assert spans(book) == [(1, 0, 15, 20), (2, 0, 20, 30)]
    book.replay(healed(1))
    assert spans(book) == [(2, 0, 20, 30)]
    assert book.historical_count == 5
    book.replay(healed(2))
    assert spans(book) == []
    assert book.newest_ns.tolist() == [30, 0]


def test_too_many_gaps_are_given_up_oldest_first() -> None:
    book = book_of()
    rounds = 2 * GAPS_PER_TAG_MAX + 3
    for number in range(rounds + 1):
        book.replay(frame((3, 10 * number + 1)))
        book.replay(lost(3))
    assert len(book.gaps()) == 2 * GAPS_PER_TAG_MAX
    assert book.forgotten_count == 3
    assert book.gaps().number.tolist()[0] == 4


def test_a_checkpoint_follows_the_tags_when_the_list_changes() -> None:
    book = after(frame((3, 10), (5, 11)), lost(3, 5), frame((3, 20)))
    names = [TagId("pumps.new"), TagId("pumps.b"), TagId("pumps.a")]
    again = book_of(names, (0, 1, 2))
    again.restore(book.checkpoint())
    assert spans(again) == [(1, 2, 10, 20)]
    assert again.newest_ns.tolist() == [0, 11, 20]
    again.replay(frame((1, 30)))
    assert spans(again)[1:] == [(2, 1, 11, 30)]
    fewer = book_of([TagId("pumps.b")], (0,))
    fewer.restore(book.checkpoint())
    assert spans(fewer) == []
    assert fewer.newest_ns.tolist() == [11]


samples = st.lists(
    st.tuples(st.sampled_from((3, 4, 5)), st.integers(1, 60)), min_size=1, max_size=4
)
entries = st.lists(
    st.one_of(
        samples.map(lambda drawn: frame(*drawn)),
        samples.map(lambda drawn: historical(*drawn)),
        st.sets(st.sampled_from((3, 5)), min_size=1).map(lambda places: lost(*places)),
        st.just(found()),
        st.integers(0, 5).map(healed),
    ),
    max_size=20,
)


class NaiveBook:
    """The same, sample by sample."""

    def __init__(self) -> None:
        self.newest = {3: 0, 5: 0}
        self.waits = {3: False, 5: False}
        self.gaps: list[list[int]] = []
        self.last = 0

    def take(self, entry: LogEntry) -> None:
        if isinstance(entry, Frame):
            self._take_frame(entry)
        elif isinstance(entry, Event) and entry.condition == GAP_FOUND:
            self.waits = {place: newest > 0 for place, newest in self.newest.items()}
        elif isinstance(entry, Event):
            self.gaps = [gap for gap in self.gaps if gap[0] > entry.evidence[0].value]

    def _take_frame(self, frame: Frame) -> None:
        opened: list[list[int]] = []
        for place, time_ns in zip(frame.tag_index.tolist(), frame.time_ns.tolist(), strict=True):
            if place not in self.newest:
                continue
            if not frame.is_received:
                self.waits[place] = True
            elif frame.origin is Origin.HISTORICAL:
                for gap in self.gaps:
                    if PLACES[gap[1]] == place and gap[2] < time_ns < gap[3]:
                        gap[2] = time_ns
            else:
                if self.waits[place] and 0 < self.newest[place] < time_ns:
                    opened.append([PLACES.index(place), self.newest[place], time_ns])
                self.waits[place] = False
                self.newest[place] = time_ns
        for gap in sorted(opened):
            self.last += 1
            self.gaps.append([self.last, *gap])


@given(entries, st.integers(0, 20))
def test_it_is_what_a_loop_finds_with_a_checkpoint_anywhere(log: list[LogEntry], cut: int) -> None:
    book = after(*log[:cut])
    again = book_of()
    again.restore(book.checkpoint())
    for entry in log[cut:]:
        again.replay(entry)
    naive = NaiveBook()
    for entry in log:
        naive.take(entry)
    assert spans(again) == [tuple(gap) for gap in naive.gaps]
