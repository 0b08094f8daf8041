"""Alarms: limits on tags, and the states that a person sees."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from analytics.alarms import LimitAlarms
from analytics.limits import AlarmLimit, AlarmSettings, alarm_limit
from gateway.core.alarms import AlarmAction, AlarmId, AlarmOrder, AlarmState
from gateway.core.errors import CommandError, ConfigError
from gateway.core.events import Event, Evidence, Transition
from gateway.core.frame import Frame
from gateway.core.quality import Status
from gateway.core.rows import AssetId
from gateway.core.tags import TagId, TagTable
from tests.analytics.frames import NS, frame_of, table_of

VIBRATION = "pumps.P101.Vibration"
FLOW = "pumps.P101.Flow"
SCORE = "P-101.anomaly_score"
TABLE = table_of("other.Level", FLOW, VIBRATION, SCORE)
ASSET = AssetId("P-101")
ID = AlarmId("P-101/vibration_high")


def limit_of(
    when: str = "vibration_mm_s > 4.5", name: str = "vibration_high", **fields: object
) -> AlarmLimit:
    given_settings = AlarmSettings.model_validate({"when": when, "severity": 700, **fields})
    signals = {"vibration_mm_s": TagId(VIBRATION), "flow_m3h": TagId(FLOW)}
    return alarm_limit(ASSET, name, given_settings, signals=signals)


def board_of(*limits: AlarmLimit, table: TagTable = TABLE) -> LimitAlarms:
    board = LimitAlarms(limits or (limit_of(),))
    board.bind(table)
    return board


def vibration(time_s: float, value: float, status: int = Status.GOOD) -> Frame:
    return frame_of(TABLE, (VIBRATION, time_s, value), status=status)


def acknowledge(
    board: LimitAlarms, alarm: AlarmId = ID, *, time_ns: int = 0, operator: str = "kim"
) -> Event:
    order = AlarmOrder(
        alarm=alarm, action=AlarmAction.ACKNOWLEDGE, time_ns=time_ns, operator=operator
    )
    return board.act(order)[0]


def shelve(
    board: LimitAlarms,
    alarm: AlarmId = ID,
    *,
    time_ns: int = 0,
    until_ns: int,
    operator: str = "kim",
) -> Event:
    order = AlarmOrder(
        alarm=alarm,
        action=AlarmAction.SHELVE,
        time_ns=time_ns,
        operator=operator,
        until_ns=until_ns,
    )
    return board.act(order)[0]


def told(events: Iterable[Event]) -> list[tuple[str, float]]:
    return [(event.transition.value, event.time_ns / NS) for event in events]


def run(board: LimitAlarms, *frames: Frame) -> list[Event]:
    return [event for frame in frames for event in board.update(frame)]


def state_of(board: LimitAlarms, alarm: AlarmId = ID) -> AlarmState:
    found = {entry.id: entry.state for entry in board.alarms()}
    return found.get(alarm, AlarmState.NORMAL)


class TestRaising:
    def test_one_event_with_onset_and_evidence(self) -> None:
        """However long the condition holds, it is one raise."""
        board = board_of(limit_of(delay_s=5, text="Vibration is high", advice="check the bearing"))
        events = run(board, *(vibration(t, 5.0 + t / 10) for t in range(20)))
        assert told(events) == [("raised", 5.0)]
        (event,) = events
        assert event.onset_ns == 0
        assert event.source == "P-101"
        assert event.condition == "vibration_high"
        assert event.severity == 700
        assert event.text == "Vibration is high; check the bearing"
        assert event.evidence == (Evidence(name=VIBRATION, value=5.5, expected=4.5, unit="mm/s"),)

    def test_the_delay_starts_anew_when_the_condition_was_gone(self) -> None:
        board = board_of(limit_of(delay_s=3))
        values = [5, 5, 4, 5, 5, 5, 5, 5]
        events = run(board, *(vibration(t, value) for t, value in enumerate(values)))
        assert told(events) == [("raised", 6.0)]
        assert events[0].onset_ns == 3 * NS

    def test_an_unchanging_tag_raises_while_its_neighbours_move(self) -> None:
        """A server that sends changes only says nothing more about a value that stays high."""
        board = board_of(limit_of(delay_s=5))
        quiet = run(board, vibration(0, 9.0), frame_of(TABLE, ("other.Level", 100, 1.0)))
        assert quiet == []
        assert told(run(board, frame_of(TABLE, (FLOW, 6, 80.0)))) == [("raised", 5.0)]

    def test_below_and_inclusive_limits(self) -> None:
        low = board_of(limit_of("flow_m3h <= 10", "flow_low"))
        frames = [frame_of(TABLE, (FLOW, t, value)) for t, value in enumerate([11, 10, 10.001])]
        assert told(run(low, *frames)) == [("raised", 1.0), ("returned", 2.0)]
        strict = board_of(limit_of("flow_m3h < 10", "flow_low"))
        assert run(strict, *frames) == []

    def test_a_derived_tag_and_a_full_id_are_watched_alike(self) -> None:
        board = board_of(
            limit_of("anomaly_score > 1", "anomaly"), limit_of("other.Level >= 7e-1", "level")
        )
        derived = frame_of(TABLE, (SCORE, 1, 1.5), is_received=False)
        events = run(board, derived, frame_of(TABLE, ("other.Level", 1, 0.7)))
        assert [event.condition for event in events] == ["anomaly", "level"]

    def test_several_samples_of_several_tags_in_one_frame(self) -> None:
        board = board_of(limit_of(), limit_of("vibration_mm_s > 7", "vibration_very_high"))
        samples = [(VIBRATION, t, float(v)) for t, v in enumerate([1, 5, 8, 6, 2])]
        events = run(board, frame_of(TABLE, *samples, (FLOW, 9, 1.0)))
        assert [(event.condition, event.time_ns // NS) for event in events] == [
            ("vibration_high", 1),
            ("vibration_very_high", 2),
            ("vibration_very_high", 3),
            ("vibration_high", 4),
        ]
        assert [event.transition.value for event in events] == ["raised"] * 2 + ["returned"] * 2


class TestReturning:
    def test_dead_band_and_off_delay(self) -> None:
        board = board_of(limit_of(dead_band=0.5, off_delay_s=2))
        values = [5.0, 4.4, 4.1, 4.0, 4.4, 4.6, 4.0, 4.0, 4.4, 4.4]
        events = run(board, *(vibration(t, value) for t, value in enumerate(values)))
        assert told(events) == [("raised", 0.0), ("returned", 8.0)]

    def test_acknowledged_then_gone_is_normal(self) -> None:
        board = board_of()
        run(board, vibration(0, 5))
        assert state_of(board) is AlarmState.UNACKNOWLEDGED
        acknowledge(board, ID, time_ns=1, operator="kim")
        assert state_of(board) is AlarmState.ACKNOWLEDGED
        assert told(run(board, vibration(1, 1))) == [("returned", 1.0)]
        assert state_of(board) is AlarmState.NORMAL

    def test_gone_then_acknowledged_is_normal(self) -> None:
        board = board_of()
        run(board, vibration(0, 5), vibration(1, 1))
        assert state_of(board) is AlarmState.RETURNED
        assert not board.alarms()[0].active
        event = acknowledge(board, ID, time_ns=2, operator="kim")
        assert event.transition is Transition.ACKNOWLEDGED
        assert event.operator == "kim"
        assert board.alarms() == ()

    def test_back_before_it_was_seen_is_a_fresh_raise(self) -> None:
        board = board_of()
        events = run(board, vibration(0, 5), vibration(1, 1), vibration(2, 5))
        assert told(events) == [("raised", 0.0), ("returned", 1.0), ("raised", 2.0)]
        assert len({event.id for event in events}) == 3
        assert state_of(board) is AlarmState.UNACKNOWLEDGED


class TestBadInput:
    def test_bad_neither_raises_nor_clears(self) -> None:
        board = board_of(limit_of(delay_s=2))
        assert run(board, vibration(0, 5), vibration(1, 9, Status.BAD)) == []
        assert run(board, frame_of(TABLE, (FLOW, 60, 80.0))) == []
        assert told(run(board, vibration(61, 5))) == [("raised", 61.0)]
        assert run(board, vibration(62, np.nan, Status.BAD), frame_of(TABLE, (FLOW, 99, 1.0))) == []
        assert state_of(board) is AlarmState.UNACKNOWLEDGED

    def test_a_value_that_is_no_number_counts_as_bad(self) -> None:
        board = board_of()
        assert run(board, vibration(0, np.nan)) == []
        assert told(run(board, vibration(1, np.inf))) == [("raised", 1.0)]

    def test_uncertain_counts(self) -> None:
        board = board_of()
        assert told(run(board, vibration(0, 5, Status.UNCERTAIN))) == [("raised", 0.0)]

    def test_a_stated_bad_edge_with_another_clock_does_not_deafen(self) -> None:
        """The device's clock is an hour behind the gateway's."""
        board = board_of(limit_of(delay_s=2))
        edge = frame_of(TABLE, (VIBRATION, 3600, np.nan), status=Status.BAD, is_received=False)
        assert run(board, vibration(0, 5), edge) == []
        assert told(run(board, vibration(3, 5), vibration(4, 1))) == [
            ("raised", 3.0),
            ("returned", 4.0),
        ]


class TestTime:
    def test_late_and_repeated_samples_are_ignored(self) -> None:
        board = board_of()
        run(board, vibration(10, 5))
        assert run(board, vibration(10, 1), vibration(9, 1), vibration(5, 9)) == []
        assert told(run(board, vibration(11, 1))) == [("returned", 11.0)]

    def test_a_glitch_of_a_clock_does_not_deafen_for_long(self) -> None:
        board = board_of(limit_of(delay_s=30))
        year_2100 = frame_of(TABLE, (VIBRATION, 4.1e9, 1.0), received_s=100)
        assert run(board, vibration(99, 1), year_2100) == []
        assert told(run(board, vibration(161, 5), vibration(191, 5))) == [("raised", 191.0)]

    def test_a_source_clock_that_was_set_back_silences_nothing(self) -> None:
        """An hour back in the middle of a delay: it goes on, and so does the next alarm."""
        board = board_of(limit_of(delay_s=5))
        events = run(board, vibration(3600, 5), vibration(3602, 5))
        for second in range(8):
            late = frame_of(TABLE, (VIBRATION, second, 5.0), received_s=3603 + second)
            events += run(board, late)
        back = frame_of(TABLE, (VIBRATION, 9, 1.0), received_s=3612)
        events += run(board, back)
        assert [event.transition for event in events] == [Transition.RAISED, Transition.RETURNED]
        assert events[0].time_ns == pytest.approx(3 * NS, abs=1000)

    def test_a_value_that_comes_back_with_its_old_time_counts(self) -> None:
        """Beyond its limit before and after a loss: the delay runs out though it never changed."""
        board = board_of(limit_of(delay_s=5))
        edge = frame_of(TABLE, (VIBRATION, 12, np.nan), status=Status.BAD, is_received=False)
        again = frame_of(TABLE, (VIBRATION, 10, 5.0), received_s=14)
        assert run(board, vibration(10, 5), edge, again) == []
        neighbour = frame_of(TABLE, (FLOW, 16, 1.0))
        assert [event.transition for event in run(board, neighbour)] == [Transition.RAISED]

    def test_an_empty_frame_does_nothing(self) -> None:
        assert board_of().update(frame_of(TABLE)) == ()

    def test_no_alarms_at_all(self) -> None:
        board = LimitAlarms(())
        board.bind(TABLE)
        assert board.update(vibration(0, 5)) == ()


class TestShelving:
    def test_a_shelved_alarm_is_silent_and_comes_back_by_itself(self) -> None:
        board = board_of()
        event = shelve(board, ID, time_ns=0, until_ns=10 * NS, operator="kim")
        assert event.transition is Transition.SHELVED
        assert event.until_ns == 10 * NS
        assert run(board, vibration(1, 5)) == []
        assert state_of(board) is AlarmState.SHELVED
        assert board.alarms()[0].active
        assert told(run(board, vibration(9, 5), vibration(12, 5))) == [
            ("unshelved", 10.0),
            ("raised", 10.0),
        ]
        assert board.alarms()[0].onset_ns == 1 * NS
        assert board.alarms()[0].shelved_until_ns is None

    def test_a_shelved_alarm_that_is_gone_comes_back_normal(self) -> None:
        board = board_of()
        run(board, vibration(0, 5))
        shelve(board, ID, time_ns=0, until_ns=10 * NS, operator="kim")
        assert told(run(board, vibration(1, 1), vibration(10, 1))) == [("unshelved", 10.0)]
        assert board.alarms() == ()

    @pytest.mark.parametrize(
        "ask",
        [
            lambda board: acknowledge(board, AlarmId("P-9/none"), time_ns=0, operator="kim"),
            lambda board: acknowledge(board, ID, time_ns=0, operator="kim"),
            lambda board: shelve(board, ID, time_ns=5, until_ns=5, operator="kim"),
        ],
    )
    def test_what_cannot_be_done_is_refused(self, ask: Callable[[LimitAlarms], object]) -> None:
        board = board_of()
        with pytest.raises(CommandError):
            ask(board)
        assert board.alarms() == ()


class TestConfiguration:
    @pytest.mark.parametrize(
        "when", ["", "vibration", "vibration > ", "> 4", "a > b", "a == 1", "a > nan"]
    )
    def test_a_wrong_condition_is_named(self, when: str) -> None:
        with pytest.raises(ValueError, match="is not a condition"):
            AlarmSettings(when=when)

    def test_a_missing_tag_is_named(self) -> None:
        board = LimitAlarms([limit_of("oil_level_mm < 3", "oil_low"), limit_of("x.y > 1", "xy")])
        with pytest.raises(ConfigError) as caught:
            board.bind(TABLE)
        assert caught.value.mistakes == (
            "alarm P-101/oil_low: there is no tag 'P-101.oil_level_mm'",
            "alarm P-101/xy: there is no tag 'x.y'",
        )

    def test_two_alarms_of_one_name_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="twice"):
            LimitAlarms([limit_of(), limit_of()])

    def test_the_worst_stands_first(self) -> None:
        board = board_of(
            limit_of(severity=100),
            limit_of(name="second", severity=900),
            limit_of(name="third", severity=1000),
        )
        run(board, vibration(0, 5))
        acknowledge(board, AlarmId("P-101/third"), time_ns=1, operator="kim")
        assert [a.condition for a in board.alarms()] == ["second", "vibration_high", "third"]


class Because:
    def evidence(self, tag: TagId) -> tuple[Evidence, ...]:
        return (
            (Evidence(name="P-101.flow_residual_m3h", value=2.0, share=0.8),)
            if tag == SCORE
            else ()
        )


def test_whoever_knows_is_asked_for_reasons() -> None:
    board = LimitAlarms([limit_of("anomaly_score > 1", "anomaly"), limit_of()], reasons=[Because()])
    board.bind(TABLE)
    events = run(board, frame_of(TABLE, (SCORE, 1, 1.5)), vibration(1, 9))
    assert [reason.name for reason in events[0].evidence] == [SCORE, "P-101.flow_residual_m3h"]
    assert [reason.name for reason in events[1].evidence] == [VIBRATION]


def busy_board() -> LimitAlarms:
    board = LimitAlarms(busy_limits(), reasons=[Because()])
    board.bind(TABLE)
    return board


def busy_limits() -> list[AlarmLimit]:
    return [
        limit_of(delay_s=2, off_delay_s=3, dead_band=0.6),
        limit_of("flow_m3h < 10", "flow_low", delay_s=1),
        limit_of("anomaly_score > 1", "anomaly", delay_s=4),
        limit_of("vibration_mm_s > 10", "vibration_very_high"),
    ]


def test_frames_are_not_changed() -> None:
    frame = frame_of(TABLE, (VIBRATION, 1, 5.0), (VIBRATION, 2, 1.0), (FLOW, 2, np.nan))
    before = [
        column.copy() for column in (frame.tag_index, frame.time_ns, frame.value, frame.status)
    ]
    busy_board().update(frame)
    for column, copy in zip(
        (frame.tag_index, frame.time_ns, frame.value, frame.status), before, strict=True
    ):
        np.testing.assert_array_equal(column, copy)


def test_a_thousand_alarms_in_one_frame() -> None:
    ids = [f"a.T{k}" for k in range(1000)]
    table = table_of(*ids)
    board = board_of(*(limit_of(f"{tag} > 4.5", tag) for tag in ids), table=table)
    events = run(board, frame_of(table, *((tag, 1, 5.0 * (k % 2)) for k, tag in enumerate(ids))))
    raised = [event for event in events if event.transition is Transition.RAISED]
    assert [event.condition for event in events if event.source == "gateway"] == ["alarm_flood"]
    assert len(raised) == 501
    assert sum(not event.is_quiet for event in raised) == 501
