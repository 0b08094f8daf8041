"""What is made of a server's events: nothing twice, nothing forgotten."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.opcua.events import (
    REFRESH_END,
    REFRESH_REQUIRED,
    REFRESH_START,
    WINDOW_S,
    EventBook,
    EventSettings,
    ServerEvent,
    condition_name,
)
from gateway.core.events import Event, Transition

RAISED, RETURNED, NOTED = Transition.RAISED, Transition.RETURNED, Transition.NOTED
NS_PER_S = 1_000_000_000
TIME_NS = 1_780_000_000_000_000_000


def plain(number: int = 0, **fields: object) -> ServerEvent:
    event = ServerEvent(
        handle=0,
        id=number.to_bytes(4, "big"),
        type="i=2041",
        source="P101",
        time_ns=TIME_NS + number * 1_000_000,
        text="Something",
        severity=500,
    )
    return replace(event, **fields)  # type: ignore[arg-type]  # each by its name


def alarm(number: int, *, active: bool | None, **fields: object) -> ServerEvent:
    return plain(
        number,
        condition="Level High",
        condition_id="ns=1;s=alarm",
        is_active=active,
        text="The level is high",
        **fields,
    )


class Book:
    """A book with a time of the test's own."""

    def __init__(self, **settings: object) -> None:
        self.book = EventBook("pumps", EventSettings.model_validate(settings))
        self.second = 0.0

    def take(self, *events: ServerEvent, type_name: str = "") -> list[Event]:
        return [
            ours
            for event in events
            for ours in self.book.take(
                event,
                type_name=type_name,
                received_ns=TIME_NS + 7,
                monotonic_ns=int(self.second * NS_PER_S),
            )
        ]

    def transitions(self, *events: ServerEvent) -> list[Transition]:
        return [each.transition for each in self.take(*events)]

    def flood(self) -> Event | None:
        return self.book.report_flood(now_ns=TIME_NS, monotonic_ns=int(self.second * NS_PER_S))


def refresh(*events: ServerEvent, handle: int = 0) -> list[ServerEvent]:
    return [
        plain(handle=handle, type=REFRESH_START),
        *(replace(event, handle=handle) for event in events),
        plain(handle=handle, type=REFRESH_END),
    ]


def test_a_plain_event_is_noted() -> None:
    [event] = Book().take(plain(3), type_name="DeviceFailureEventType")
    assert (event.source, event.condition) == ("pumps/P101", "device_failure_event")
    assert (event.transition, event.severity, event.text) == (NOTED, 500, "Something")
    assert 0 <= event.time_ns - (TIME_NS + 3_000_000) < 1000


def test_an_alarm_is_raised_worse_acknowledged_and_returned() -> None:
    events = Book().take(
        alarm(1, active=True, is_acknowledged=False),
        alarm(2, active=True, is_acknowledged=False, severity=900),
        alarm(3, active=True, is_acknowledged=True, severity=900, operator="anna"),
        alarm(4, active=False, is_acknowledged=True),
    )
    assert [(each.transition, each.severity) for each in events] == [
        (RAISED, 500),
        (RAISED, 900),
        (Transition.ACKNOWLEDGED, 900),
        (RETURNED, 500),
    ]
    assert events[2].text == "The level is high (acknowledged by anna)"
    assert {each.operator for each in events} == {""}
    assert {(each.source, each.condition) for each in events} == {("pumps/P101", "level_high")}
    assert [each.time_ns for each in events] == [TIME_NS + n * 1_000_000 for n in (1, 2, 3, 4)]


def test_an_alarm_that_is_acknowledged_after_its_return() -> None:
    events = Book().transitions(
        alarm(1, active=True, is_acknowledged=False),
        alarm(2, active=False, is_acknowledged=False),
        alarm(3, active=False, is_acknowledged=True),
    )
    assert events == [RAISED, RETURNED, Transition.ACKNOWLEDGED]


def test_nothing_is_told_twice() -> None:
    """By two nodes, or after a reconnect; after a restart the id of the event is the same."""
    book = Book(nodes=["i=2253", "ns=1;s=P101"])
    active = alarm(1, active=True, is_acknowledged=False)
    [first] = book.take(active)
    assert book.take(active, replace(active, handle=1)) == []
    book.book.begin_session()
    again = replace(active, id=b"new id")
    assert book.take(*refresh(again), *refresh(again, handle=1)) == []
    [after_restart] = Book().take(*refresh(again))
    assert after_restart.id == first.id


def test_plain_events_of_one_millisecond_are_told_apart_and_keep_their_id() -> None:
    first, second = plain(1), plain(2, time_ns=plain(1).time_ns)
    ids = [each.id for each in Book().take(first, second)]
    assert len(set(ids)) == 2
    assert [each.id for each in Book().take(first, second)] == ids


def test_what_ended_while_nobody_listened_returns_after_the_refresh() -> None:
    book = Book()
    book.take(alarm(1, active=True, is_acknowledged=False))
    book.book.begin_session()
    other = alarm(2, active=True, is_acknowledged=False, source="P102")
    other = replace(other, condition_id="ns=1;s=other")
    events = book.take(*refresh(other))
    assert [(each.source, each.transition) for each in events] == [
        ("pumps/P102", RAISED),
        ("pumps/P101", RETURNED),
    ]
    assert "found when the server was asked again" in events[1].text


def test_each_node_speaks_for_its_own_conditions() -> None:
    """The end of one node's refresh says nothing of what only another node tells."""
    book = Book(nodes=["ns=1;s=P101", "ns=1;s=P102"])
    mine = alarm(1, active=True)
    other = replace(alarm(2, active=True), handle=1, condition_id="ns=1;s=other")
    book.take(mine, other)
    book.book.begin_session()
    assert book.take(*refresh(mine), *refresh(other, handle=1)) == []


def test_a_refresh_that_a_lost_session_cut_ends_nothing() -> None:
    book = Book()
    book.take(alarm(1, active=True))
    book.take(plain(type=REFRESH_START))
    book.book.begin_session()
    assert book.take(plain(type=REFRESH_END)) == []


def test_a_condition_that_is_switched_off_returns() -> None:
    book = Book()
    book.take(alarm(1, active=True))
    assert book.transitions(alarm(2, active=None, is_retained=False)) == [RETURNED]


def test_an_earlier_state_of_a_condition_is_only_noted() -> None:
    book = Book()
    assert book.transitions(alarm(1, active=True, is_branch=True)) == [NOTED]
    assert book.transitions(alarm(2, active=True)) == [RAISED]


def test_the_lowest_severity_lets_the_end_of_a_told_alarm_pass() -> None:
    book = Book(severity_min=500)
    assert book.take(plain(1, severity=499)) == []
    assert book.transitions(alarm(2, active=True), alarm(3, active=False, severity=1)) == [
        RAISED,
        RETURNED,
    ]


@pytest.mark.parametrize(("severity", "expected"), [(0, 1), (1001, 1000), (65535, 1000)])
def test_severities_are_held_in_their_range(severity: int, expected: int) -> None:
    [event] = Book().take(alarm(1, active=True, severity=severity))
    assert event.severity == expected


def test_a_flood_is_counted_told_once_and_asked_for_again() -> None:
    """What was not told is not remembered: the refresh after it brings it."""
    book = Book(per_second_max=2)
    events = book.take(*(plain(number) for number in range(50)))
    assert len(events) == 2 * WINDOW_S
    late = alarm(99, active=True)
    assert book.take(late) == []
    assert book.flood() is None
    book.second = WINDOW_S
    flood = book.flood()
    assert flood is not None
    assert (flood.source, flood.condition) == ("pumps", "events_dropped")
    assert "31 events of the server were not taken" in flood.text
    assert book.flood() is None
    assert book.book.needs_refresh
    assert [each.transition for each in book.take(*refresh(late))] == [RAISED]


def test_a_flood_that_does_not_end_is_told_all_the_same() -> None:
    book = Book(per_second_max=1)
    told = 0
    for number in range(400):
        book.second = number / 10
        book.take(*(plain(10 * number + step) for step in range(10)))
        told += book.flood() is not None
    assert told == 3


def test_the_server_may_want_to_be_asked() -> None:
    book = Book()
    book.take(plain(type=REFRESH_REQUIRED))
    assert book.book.needs_refresh


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Level High", "level_high"),
        ("ExclusiveLevelAlarmType", "exclusive_level_alarm"),
        ("T-101: zu heiß!", "t_101_zu_heiß"),
        ("???", "event"),
    ],
)
def test_names_in_our_way_of_writing(name: str, expected: str) -> None:
    assert condition_name(name) == expected


def test_nodes_are_checked() -> None:
    for nodes in ([], ["pump"], ["i=2253", "i=2253"]):
        with pytest.raises(ValidationError):
            EventSettings.model_validate({"nodes": nodes})


STEP = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 2), st.booleans(), st.booleans()),
    st.tuples(st.just("lose")),
    st.tuples(st.just("repeat")),
)


@given(st.lists(STEP, max_size=30))
def test_whoever_folds_our_events_knows_what_is_active(steps: list[tuple[object, ...]]) -> None:
    """After any history of changes, losses and repetitions, and a refresh: exactly the server's."""
    states: dict[int, tuple[bool, bool]] = {}
    events: dict[int, ServerEvent] = {}
    book, folded, is_connected = Book(per_second_max=1000), {}, True

    def hear(*heard: ServerEvent) -> None:
        for ours in book.take(*heard):
            if ours.transition in (RAISED, RETURNED):
                folded[ours.source] = ours.transition is RAISED

    def ask_again() -> None:
        book.book.begin_session()
        retained = [events[key] for key, (on, seen) in states.items() if on or not seen]
        hear(*refresh(*retained))

    for number, (what, *rest) in enumerate(steps):
        if what == "lose":
            is_connected = False
            continue
        if not is_connected:
            ask_again()
            is_connected = True
        if what == "repeat":
            hear(*events.values())
            continue
        key, active, acknowledged = rest
        assert isinstance(key, int)
        states[key] = (bool(active), bool(acknowledged))
        events[key] = alarm(
            number,
            active=bool(active),
            is_acknowledged=bool(acknowledged),
            source=f"P{key}",
        )
        events[key] = replace(events[key], condition_id=f"i={key}")
        if number % 3:
            hear(events[key])
        else:
            is_connected = False  # it happened while nobody listened
    ask_again()
    active_now = {f"pumps/P{key}" for key, (on, _) in states.items() if on}
    assert {source for source, is_active in folded.items() if is_active} == active_now
