"""A noisy week: what a person is told stays readable, and nothing that is really wrong is lost."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from analytics.alarms import AlarmRules, LimitAlarms
from gateway.core.alarms import AlarmAction, AlarmId, AlarmOrder, AlarmState
from gateway.core.events import Event, Transition
from tests.analytics.frames import NS, frame_of, table_of
from tests.analytics.noisy_week import DAY, MINUTE, START_S, WEEK, NoisyWeek, Trouble
from tests.analytics.test_alarms_lifecycle import as_told
from tests.naive.alarm_board import NaiveAlarmBoard, Told

SHIFT_S = 900
"""The operator looks every quarter of an hour."""
SILENCES = {
    Transition.SUPPRESSED: Transition.UNSUPPRESSED,
    Transition.SHELVED: Transition.UNSHELVED,
    Transition.OUT_OF_SERVICE: Transition.IN_SERVICE,
}
Span = tuple[float, float]


@dataclass
class Operator:
    """Acknowledges and resets; shelves the alarm that came most; takes one out for two days."""

    orders: list[AlarmOrder] = field(default_factory=list)
    looked_s: float = 0.0

    def wants(self, board: LimitAlarms, time_s: float) -> Iterator[AlarmOrder]:
        if time_s - self.looked_s < SHIFT_S:
            return
        self.looked_s = time_s
        since_s = time_s - START_S
        for alarm in board.alarms():
            if alarm.state in (
                AlarmState.UNACKNOWLEDGED,
                AlarmState.RETURNED,
                AlarmState.LATCHED_UNACKNOWLEDGED,
            ):
                yield self.order(alarm.id, AlarmAction.ACKNOWLEDGE, time_s)
            elif alarm.state is AlarmState.LATCHED_ACKNOWLEDGED:
                yield self.order(alarm.id, AlarmAction.RESET, time_s)
        if since_s % DAY < SHIFT_S and since_s >= DAY:
            worst = board.metrics(round(time_s * NS)).most_frequent[0].alarm
            yield self.order(worst, AlarmAction.SHELVE, time_s, until_s=time_s + 8 * 3600)
        out = AlarmId("M-03/temperature_a_high")
        if 2 * DAY <= since_s < 2 * DAY + SHIFT_S:
            yield self.order(out, AlarmAction.TAKE_OUT, time_s)
        if 4 * DAY <= since_s < 4 * DAY + SHIFT_S:
            yield self.order(out, AlarmAction.PUT_BACK, time_s)

    def order(
        self, alarm: AlarmId, action: AlarmAction, time_s: float, until_s: float | None = None
    ) -> AlarmOrder:
        return AlarmOrder(
            alarm=alarm,
            action=action,
            time_ns=round(time_s * NS),
            operator="kim",
            reason="a noisy week",
            until_ns=None if until_s is None else round(until_s * NS),
        )


@dataclass
class Outcome:
    """What was told in a week."""

    week: NoisyWeek
    board: LimitAlarms
    events: list[Event]
    expected: list[Told]

    @property
    def raised(self) -> list[Event]:
        return [event for event in self.events if event.transition is Transition.RAISED]

    @property
    def announced(self) -> list[Event]:
        return [event for event in self.raised if not event.is_quiet]

    @property
    def floods(self) -> list[Event]:
        """Their ends, with what they collected."""
        return [
            event
            for event in self.events
            if event.condition == "alarm_flood" and event.transition is Transition.RETURNED
        ]


def play(week: NoisyWeek, rules: AlarmRules, *, has_operator: bool = True) -> Outcome:
    limits = week.limits()
    table = table_of(*week.tags())
    board = LimitAlarms(limits, rules=rules)
    board.bind(table)
    naive = NaiveAlarmBoard.of(limits, (3, 60 * NS, 300 * NS))
    places = {limit.id: k for k, limit in enumerate(limits)}
    operator, events, expected = Operator(), list[Event](), list[Told]()
    for samples in week.frames():
        time_s = samples[-1][1]
        events += board.update(frame_of(table, *samples))
        if not has_operator:
            continue
        in_ns = [(tag, round(at_s * NS), value) for tag, at_s, value in samples]
        expected += naive.take(in_ns, round(time_s * NS))
        for order in operator.wants(board, time_s):
            events += board.act(order)
            expected += naive.act(
                places[order.alarm], order.action.value, order.time_ns, order.until_ns
            )
    return Outcome(week=week, board=board, events=events, expected=expected)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return play(NoisyWeek(seed=20_260_301), AlarmRules())


@pytest.mark.slow
class TestNoisyWeek:
    def test_it_is_what_plain_loops_tell(self, outcome: Outcome) -> None:
        """Every event of the week, one by one."""
        assert outcome.expected == as_told(outcome.events)

    def test_the_average_is_within_the_target(self, outcome: Outcome) -> None:
        """Six an hour; the figures of the board are those of its events."""
        metrics = outcome.board.metrics((START_S + WEEK) * NS)
        assert len(outcome.announced) == metrics.announced
        assert len(outcome.raised) - len(outcome.floods) == metrics.raised
        assert metrics.per_hour <= 6
        assert metrics.is_within_target
        assert metrics.flood_share < 0.01

    def test_without_any_of_it_the_week_is_far_above_the_target(self) -> None:
        """The same plant with limits and delays alone, so that the week proves something."""
        week = NoisyWeek(seed=20_260_301, days=2)
        rules = AlarmRules(chatter_raises=0, flood_per_10min=1000)
        plain = play(week, rules, has_operator=False)
        assert len(plain.announced) / 48 > 20

    def test_no_alarm_chatters(self, outcome: Outcome) -> None:
        """No alarm comes more than three times in a minute; most flapping comes three times."""
        times: dict[str, list[int]] = defaultdict(list)
        for event in outcome.raised:
            times[f"{event.source}/{event.condition}"].append(event.time_ns)
        for own in times.values():
            assert all(own[k + 3] - own[k] > MINUTE * NS for k in range(len(own) - 3))
        for asset, from_s, to_s in outcome.week.flapping:
            own = times[f"{asset}/contact_open"]
            inside = bisect_left(own, round(to_s * NS)) - bisect_left(own, round(from_s * NS))
            assert inside <= 6, (asset, from_s)

    def test_no_flood_is_unmarked(self, outcome: Outcome) -> None:
        """Every raise that is the eleventh or later in ten minutes lies in a flood."""
        spans = [((end.onset_ns or 0), end.time_ns) for end in outcome.floods]
        assert len(spans) >= len(outcome.week.trips_s)
        times = [event.time_ns for event in outcome.raised if event.condition != "alarm_flood"]
        times.sort()
        for k in range(10, len(times)):
            if times[k] - times[k - 10] < 9 * MINUTE * NS:
                assert any(a - MINUTE * NS <= times[k] <= b for a, b in spans)

    def test_each_trip_has_one_first_out(self, outcome: Outcome) -> None:
        """It is the machine that tripped first, and it is announced."""
        for trip_s in outcome.week.trips_s:
            own = [e for e in outcome.raised if -0.01 < e.time_ns / NS - trip_s < 60 and e.group]
            assert len(own) == 40
            first = [event for event in own if event.group_order == 1]
            assert [(round(e.time_ns / NS, 3), e.is_quiet) for e in first] == [(trip_s, False)]
            assert sorted(event.group_order for event in own) == list(range(1, 41))

    def test_nothing_that_is_really_wrong_is_lost(self, outcome: Outcome) -> None:
        """Each trouble is announced, or a record of a flood or a silence names its alarm."""
        spans = spans_of(outcome.events)
        found = Counter(how_told(trouble, spans) for trouble in outcome.week.troubles)
        assert found["lost"] == 0
        assert found["announced"] > 150
        assert found["flood"] > 20
        assert found["silenced"] >= 1


def spans_of(events: Sequence[Event]) -> dict[str, dict[AlarmId, list[Span]]]:
    """From when to when each alarm stood announced, quiet in a flood that names it, or silenced."""
    spans: dict[str, dict[AlarmId, list[Span]]] = {
        kind: defaultdict(list) for kind in ("announced", "flood", "silenced")
    }
    floods = [e for e in events if e.condition == "alarm_flood" and e.evidence]
    since: dict[tuple[AlarmId, Transition], Event] = {}
    for event in events:
        alarm = AlarmId(f"{event.source}/{event.condition}")
        if event.transition is Transition.RAISED or event.transition in SILENCES:
            since[alarm, event.transition] = event
        if event.transition is Transition.RETURNED or event.transition in SILENCES:
            _close(spans, floods, alarm, since.pop((alarm, Transition.RAISED), None), event)
        for begin, end in SILENCES.items():
            if event.transition is end and (alarm, begin) in since:
                from_s = since.pop((alarm, begin)).time_ns / NS
                spans["silenced"][alarm].append((from_s, event.time_ns / NS))
    for (alarm, transition), begun in since.items():
        kind = "announced" if transition is Transition.RAISED else "silenced"
        spans[kind][alarm].append((begun.time_ns / NS, float("inf")))
    return spans


def _close(
    spans: dict[str, dict[AlarmId, list[Span]]],
    floods: list[Event],
    alarm: AlarmId,
    begun: Event | None,
    event: Event,
) -> None:
    if begun is None:
        return
    span = begun.time_ns / NS, event.time_ns / NS
    is_named = any(
        (flood.onset_ns or 0) <= begun.time_ns + MINUTE * NS
        and begun.time_ns <= flood.time_ns
        and alarm in {reason.name for reason in flood.evidence}
        for flood in floods
    )
    if not begun.is_quiet:
        spans["announced"][alarm].append(span)
    elif is_named:
        spans["flood"][alarm].append(span)


def how_told(trouble: Trouble, spans: dict[str, dict[AlarmId, list[Span]]]) -> str:
    for kind, own in spans.items():
        if any(a <= trouble.to_s and trouble.from_s <= b for a, b in own[trouble.alarm]):
            return kind
    return "lost"
