"""The life cycle: every step of figure 4 of ISA-18.2-2016, and all of it against plain loops."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.alarms import AlarmRules, LimitAlarms
from gateway.core.alarms import AlarmAction, AlarmId, AlarmOrder, AlarmState
from gateway.core.errors import CommandError
from gateway.core.events import Event, Transition
from gateway.core.tags import TagTable
from tests.analytics.frames import NS, frame_of, table_of
from tests.analytics.test_alarms import (
    FLOW,
    ID,
    SCORE,
    VIBRATION,
    limit_of,
    run,
    state_of,
    told,
    vibration,
)
from tests.naive.alarm_board import NaiveAlarmBoard, Told

STATE = "P-101.state"
TABLE = table_of("other.Level", FLOW, VIBRATION, SCORE, STATE)
OFF, STARTING, RUNNING = 1.0, 2.0, 3.0


def order(
    action: AlarmAction,
    *,
    time_s: float = 0.0,
    until_s: float | None = None,
    alarm: AlarmId = ID,
    reason: str = "a test",
) -> AlarmOrder:
    return AlarmOrder(
        alarm=alarm,
        action=action,
        time_ns=round(time_s * NS),
        operator="kim",
        reason=reason,
        until_ns=None if until_s is None else round(until_s * NS),
    )


def board_of(*, latch: bool = False) -> LimitAlarms:
    board = LimitAlarms([limit_of(latch=latch)])
    board.bind(TABLE)
    return board


def do(
    board: LimitAlarms, action: AlarmAction, time_s: float, *, until_s: float | None = None
) -> list[Event]:
    return list(board.act(order(action, time_s=time_s, until_s=until_s)))


class TestLatching:
    def test_it_stays_until_acknowledged_and_reset(self) -> None:
        """B to E, F and A; the reset of one that nobody has seen is refused."""
        board = board_of(latch=True)
        events = run(board, vibration(0, 5), vibration(1, 1))
        assert told(events) == [("raised", 0.0), ("returned", 1.0)]
        assert state_of(board) is AlarmState.LATCHED_UNACKNOWLEDGED
        assert not board.alarms()[0].active
        with pytest.raises(CommandError, match="acknowledge it, then reset"):
            do(board, AlarmAction.RESET, 2)
        do(board, AlarmAction.ACKNOWLEDGE, 3)
        assert state_of(board) is AlarmState.LATCHED_ACKNOWLEDGED
        assert told(do(board, AlarmAction.RESET, 4)) == [("reset", 4.0)]
        assert board.alarms() == ()

    def test_seen_while_active_it_waits_for_the_reset_alone(self) -> None:
        board = board_of(latch=True)
        run(board, vibration(0, 5))
        do(board, AlarmAction.ACKNOWLEDGE, 0)
        with pytest.raises(CommandError, match="still active"):
            do(board, AlarmAction.RESET, 0)
        run(board, vibration(1, 1))
        assert state_of(board) is AlarmState.LATCHED_ACKNOWLEDGED

    @pytest.mark.parametrize("is_seen", [False, True])
    def test_it_comes_again_out_of_the_latch(self, is_seen: bool) -> None:
        """E or F to B."""
        board = board_of(latch=True)
        run(board, vibration(0, 5), vibration(1, 1))
        if is_seen:
            do(board, AlarmAction.ACKNOWLEDGE, 1)
        assert told(run(board, vibration(2, 5))) == [("raised", 2.0)]
        assert state_of(board) is AlarmState.UNACKNOWLEDGED

    def test_silence_does_not_open_a_latch(self) -> None:
        board = board_of(latch=True)
        run(board, vibration(0, 5), vibration(1, 1))
        do(board, AlarmAction.SHELVE, 2, until_s=10)
        assert told(run(board, vibration(10, 1))) == [
            ("unshelved", 10.0),
            ("raised", 10.0),
            ("returned", 10.0),
        ]
        assert state_of(board) is AlarmState.LATCHED_UNACKNOWLEDGED


class TestSilence:
    def test_out_of_service_lasts_until_a_person_ends_it(self) -> None:
        board = board_of()
        run(board, vibration(0, 5))
        (event,) = do(board, AlarmAction.TAKE_OUT, 1)
        assert (event.transition, event.reason) == (Transition.OUT_OF_SERVICE, "a test")
        assert run(board, vibration(2, 1), vibration(1e6, 5), vibration(2e6, 5)) == []
        (alarm,) = board.alarms()
        assert alarm.state is AlarmState.OUT_OF_SERVICE
        assert (alarm.silenced_by, alarm.silenced_reason) == ("kim", "a test")
        assert told(do(board, AlarmAction.PUT_BACK, 2e6)) == [("in_service", 2e6), ("raised", 2e6)]
        assert state_of(board) is AlarmState.UNACKNOWLEDGED

    def test_a_normal_alarm_can_be_taken_out_and_put_back(self) -> None:
        board = board_of()
        do(board, AlarmAction.TAKE_OUT, 0)
        assert told(do(board, AlarmAction.PUT_BACK, 1)) == [("in_service", 1.0)]
        assert board.alarms() == ()

    def test_a_shelved_alarm_can_be_unshelved_before_its_time(self) -> None:
        board = board_of()
        do(board, AlarmAction.SHELVE, 0, until_s=100)
        run(board, vibration(1, 5))
        assert told(do(board, AlarmAction.UNSHELVE, 2)) == [("unshelved", 2.0), ("raised", 2.0)]
        assert run(board, vibration(101, 5)) == []

    def test_the_end_of_silence_says_how_often_it_would_have_come(self) -> None:
        board = board_of()
        do(board, AlarmAction.SHELVE, 0, until_s=20)
        values = [5, 1, 5, 1, 1]
        events = run(board, *(vibration(5 * (k + 1), value) for k, value in enumerate(values)))
        assert [event.text for event in events] == [
            "vibration_mm_s is above 4.5: no longer shelved; it came 2 times meanwhile"
        ]

    @pytest.mark.parametrize(
        ("orders", "why"),
        [
            ([order(AlarmAction.SHELVE, until_s=25 * 3600)], "more than 24 h"),
            ([order(AlarmAction.SHELVE)], "not ahead"),
            ([order(AlarmAction.TAKE_OUT, reason="")], "say why"),
            ([order(AlarmAction.UNSHELVE)], "not shelved"),
            ([order(AlarmAction.PUT_BACK)], "not out of service"),
            ([order(AlarmAction.RESET)], "nothing to reset"),
            ([order(AlarmAction.TAKE_OUT)] * 2, "out of service already"),
            (
                [order(AlarmAction.TAKE_OUT), order(AlarmAction.SHELVE, until_s=5)],
                "put it back first",
            ),
            ([order(AlarmAction.RESET, alarm=AlarmId("P-9/x"))], "there is no alarm 'P-9/x'"),
        ],
    )
    def test_what_cannot_be_done_is_refused(self, orders: list[AlarmOrder], why: str) -> None:
        board = board_of()
        for each in orders[:-1]:
            board.act(each)
        before = board.checkpoint()
        with pytest.raises(CommandError, match=why):
            board.act(orders[-1])
        assert board.checkpoint() == before


LIMITS = [
    limit_of(delay_s=1, off_delay_s=2, dead_band=0.6, latch=True, group="trip"),
    limit_of("flow_m3h < 10", "flow_low", suppress_when=["stopped", "starting"]),
    limit_of("anomaly_score > 1", "anomaly", group="trip", severity=300),
    limit_of(
        "vibration_mm_s > 10",
        "vibration_very_high",
        suppress_when=["flow_m3h <= 0", "stopped"],
        suppress_off_delay_s=2,
        latch=True,
        severity=500,
    ),
    limit_of("flow_m3h > 3", "flow_high", group="trip", severity=100),
]
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from([VIBRATION, FLOW, SCORE, STATE]),
            st.integers(0, 9),
            st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 11.0, float("nan")]),
        ),
        st.tuples(
            st.sampled_from([*AlarmAction]),
            st.integers(0, len(LIMITS) - 1),
            st.integers(0, 200),
        ),
    ),
    max_size=60,
)
RULES = AlarmRules(
    flood_per_10min=3,
    flood_end_per_10min=2,
    chatter_raises=2,
    chatter_window_s=12,
    chatter_hold_s=9,
)


def as_told(events: list[Event] | tuple[Event, ...]) -> list[Told]:
    return [(e.time_ns, e.condition, e.transition.value, e.is_quiet, e.group_order) for e in events]


@settings(max_examples=120, deadline=None)
@given(steps=STEPS, cut=st.integers(0, 60), leap_s=st.sampled_from([1, 90, 700]))
def test_the_board_does_what_a_plain_loop_does(
    steps: list[tuple[str, int, float]], cut: int, leap_s: int
) -> None:
    """Any samples and any orders in any order, over a restart: the same is told and shown."""
    board, table = LimitAlarms(LIMITS, rules=RULES), TABLE
    board.bind(table)
    naive = NaiveAlarmBoard.of(LIMITS, (2, 12 * NS, 9 * NS))
    naive.flood.begin_above, naive.flood.end_below = 3, 2
    now_s = 0
    for k, (what, number, value) in enumerate(steps):
        if k == cut:
            checkpoint = board.checkpoint()
            board = LimitAlarms(LIMITS, rules=RULES)
            board.bind(table)
            board.restore(checkpoint)
            assert board.checkpoint() == checkpoint
            now_s += leap_s
        if isinstance(what, AlarmAction):
            check_order(board, naive, what, number, now_s=now_s, until_s=now_s + value)
        else:
            now_s += number
            check_sample(board, naive, table, (what, now_s, value))
    assert shown(board) == {
        alarm.limit.condition: alarm.shown for alarm in naive.alarms if alarm.shown != "A"
    }


def check_order(
    board: LimitAlarms,
    naive: NaiveAlarmBoard,
    action: AlarmAction,
    number: int,
    *,
    now_s: int,
    until_s: float,
) -> None:
    until = until_s if action is AlarmAction.SHELVE else None
    wanted = order(action, time_s=now_s, until_s=until, alarm=LIMITS[number].id)
    expected = naive.act(number, action.value, wanted.time_ns, wanted.until_ns)
    try:
        events = board.act(wanted)
    except CommandError:
        events = ()
    assert expected == as_told(events)


def check_sample(
    board: LimitAlarms,
    naive: NaiveAlarmBoard,
    table: TagTable,
    sample: tuple[str, int, float],
) -> None:
    tag, time_s, value = sample
    expected = naive.take([(tag, time_s * NS, value)], time_s * NS)
    assert expected == as_told(board.update(frame_of(table, sample)))


LETTERS = dict(
    zip(
        ("normal", "unacknowledged", "acknowledged", "returned", "latched_unacknowledged"),
        "ABCDE",
        strict=True,
    )
) | {
    "latched_acknowledged": "F",
    "shelved": "G",
    "suppressed": "H",
    "out_of_service": "I",
}


def shown(board: LimitAlarms) -> dict[str, str]:
    return {alarm.condition: LETTERS[alarm.state] for alarm in board.alarms()}
