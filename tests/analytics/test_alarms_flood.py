"""Floods, chattering and first-out: a person can read what is announced."""

from itertools import pairwise

import pytest

from analytics.alarms import AlarmRules, LimitAlarms
from analytics.limits import AlarmLimit
from gateway.core.alarms import AlarmAction
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame
from tests.analytics.frames import NS, frame_of, table_of
from tests.analytics.test_alarms import limit_of
from tests.analytics.test_alarms_lifecycle import order

NAMES = [f"x.T{k:02d}" for k in range(40)]
TABLE = table_of(*NAMES)


def board_of(rules: AlarmRules | None = None, **fields: object) -> LimitAlarms:
    limits: list[AlarmLimit] = [
        limit_of(f"{name} > 1", name[2:], **{"severity": 400, **fields}) for name in NAMES
    ]
    board = LimitAlarms(limits, rules=rules)
    board.bind(TABLE)
    return board


def at(time_s: float, *numbers: int, value: float = 2.0) -> Frame:
    """These tags at a value."""
    return frame_of(TABLE, *((NAMES[k], time_s, value) for k in numbers))


def tick(time_s: float) -> Frame:
    return at(time_s, 39, value=0.0)


def announced(events: list[Event]) -> list[str]:
    return [e.condition for e in events if e.transition is Transition.RAISED and not e.is_quiet]


def run(board: LimitAlarms, *frames: Frame) -> list[Event]:
    return [event for frame in frames for event in board.update(frame)]


class TestFlood:
    def test_ten_are_announced_and_then_the_flood(self) -> None:
        board = board_of()
        events = run(board, *(at(k, k) for k in range(30)))
        assert announced(events) == [*(f"T{k:02d}" for k in range(10)), "alarm_flood"]
        begun = next(event for event in events if event.condition == "alarm_flood")
        assert (begun.source, begun.time_ns) == ("gateway", 10 * NS)
        assert [e.condition for e in events if e.is_quiet] == [f"T{k}" for k in range(10, 30)]
        assert len(board.alarms()) == 30
        assert [alarm.is_quiet for alarm in board.alarms()] == [False] * 10 + [True] * 20

    def test_its_end_counts_what_was_not_announced(self) -> None:
        """Over when fewer than five came in ten minutes: at the instant the fifth last leaves."""
        board = board_of()
        run(board, *(at(k, k) for k in range(30)))
        assert run(board, tick(624)) == []
        (over,) = run(board, tick(626))
        assert (over.transition, over.time_ns) == (Transition.RETURNED, 625 * NS)
        assert over.onset_ns == 10 * NS
        assert {reason.name for reason in over.evidence} == {f"P-101/T{k}" for k in range(10, 30)}
        assert "30 alarms" in over.text
        assert "not announced: 20" in over.text
        assert announced(run(board, at(627, 38))) == ["T38"]

    def test_the_severe_are_announced_all_the_same(self) -> None:
        board = board_of(severity=700)
        assert len(announced(run(board, *(at(k, k) for k in range(30))))) == 31

    def test_ten_in_ten_minutes_are_none(self) -> None:
        board = board_of()
        events = run(board, *(at(60 * k, k) for k in range(39)))
        assert len(announced(events)) == 39

    def test_a_return_is_as_quiet_as_its_raise(self) -> None:
        board = board_of()
        run(board, *(at(k, k) for k in range(30)))
        (loud,) = run(board, at(31, 3, value=0.0))
        (quiet,) = run(board, at(32, 20, value=0.0))
        assert (loud.is_quiet, quiet.is_quiet) == (False, True)

    def test_a_flood_that_ends_before_it_begins_is_no_setting(self) -> None:
        with pytest.raises(ValueError, match="over as it begins"):
            AlarmRules(flood_per_10min=3, flood_end_per_10min=5)


class TestChattering:
    def test_it_is_announced_three_times_and_held(self) -> None:
        """On and off every four seconds for ten minutes: one event says that it chatters."""
        board = board_of()
        events = run(board, *(at(t, 0, value=float(t % 8 < 4) * 2) for t in range(0, 600, 4)))
        assert [event.transition.value for event in events] == [
            *("raised", "returned", "raised", "returned", "raised", "chattering")
        ]
        (alarm,) = board.alarms()
        assert alarm.is_chattering
        assert alarm.active

    def test_it_returns_when_it_was_calm_for_long_enough(self) -> None:
        board = board_of()
        run(board, *(at(t, 0, value=float(t % 8 < 4) * 2) for t in range(0, 600, 4)))
        events = run(board, tick(895), tick(896))
        assert [(e.transition.value, e.time_ns // NS) for e in events] == [
            ("calmed", 896),
            ("returned", 896),
        ]
        assert not board.alarms()[0].is_chattering

    def test_three_in_more_than_a_minute_are_none(self) -> None:
        board = board_of()
        frames = [at(t, 0, value=float(t % 62 < 31) * 2) for t in range(0, 620, 31)]
        assert all(e.transition is not Transition.CHATTERING for e in run(board, *frames))

    @pytest.mark.parametrize("raises", [0, 2])
    def test_the_rule_is_a_setting(self, raises: int) -> None:
        board = board_of(AlarmRules(chatter_raises=raises, flood_per_10min=1000))
        events = run(board, *(at(t, 0, value=float(t % 8 < 4) * 2) for t in range(0, 160, 4)))
        assert len(announced(events)) == (raises or 20)

    def test_a_single_raise_is_no_rule(self) -> None:
        with pytest.raises(ValueError, match="no chattering"):
            AlarmRules(chatter_raises=1)

    def test_it_does_not_depend_on_how_samples_are_cut_into_frames(self) -> None:
        samples = [(NAMES[0], float(t), float(t % 8 < 4) * 2) for t in range(0, 600, 4)]
        whole = board_of().update(frame_of(TABLE, *samples))
        board = board_of()
        cut = [e for sample in samples for e in board.update(frame_of(TABLE, sample))]
        assert [event.id for event in whole] == [event.id for event in cut]


class TestFirstOut:
    def test_the_order_of_a_trip_is_kept(self) -> None:
        """In one frame, by the times of the samples, not their places."""
        board = board_of(group="K-01-trip", delay_s=1)
        frame = frame_of(TABLE, (NAMES[7], 3.0, 2.0), (NAMES[4], 1.0, 2.0), (NAMES[9], 2.0, 2.0))
        events = run(board, frame, tick(9))
        assert [(event.condition, event.group_order) for event in events] == [
            ("T04", 1),
            ("T09", 2),
            ("T07", 3),
        ]
        assert events[0].group == "K-01-trip"
        assert events[0].text.endswith("first out of K-01-trip")
        assert {a.condition: a.group_order for a in board.alarms()} == {
            "T04": 1,
            "T09": 2,
            "T07": 3,
        }

    def test_a_new_sequence_begins_when_all_were_gone(self) -> None:
        board = board_of(group="trip")
        run(board, at(0, 0, 1), at(1, 0, 1, value=0.0))
        events = run(board, at(2, 1), at(3, 0))
        assert [(event.condition, event.group_order) for event in events] == [
            ("T01", 1),
            ("T00", 2),
        ]

    def test_one_that_comes_again_keeps_its_number(self) -> None:
        board = board_of(group="trip")
        events = run(board, at(0, 0), at(1, 1), at(2, 0, value=0.0), at(3, 0), at(4, 2))
        raised = [e for e in events if e.transition is Transition.RAISED]
        assert [(e.condition, e.group_order) for e in raised] == [
            ("T00", 1),
            ("T01", 2),
            ("T00", 1),
            ("T02", 3),
        ]

    def test_a_latch_holds_the_sequence(self) -> None:
        board = board_of(group="trip", latch=True)
        run(board, at(0, 0), at(1, 0, value=0.0))
        events = run(board, at(2, 1))
        assert [event.group_order for event in events] == [2]
        for name in ("T00", "T01"):
            alarm = next(alarm.id for alarm in board.alarms() if alarm.condition == name)
            board.act(order(AlarmAction.ACKNOWLEDGE, alarm=alarm))
            run(board, at(3, 1, value=0.0))
            board.act(order(AlarmAction.RESET, alarm=alarm))
        assert [event.group_order for event in run(board, at(4, 2))] == [1]

    def test_the_first_out_is_announced_in_a_flood(self) -> None:
        limits = [limit_of(f"{name} > 1", name[2:], severity=100) for name in NAMES[:20]]
        limits += [
            limit_of(f"{name} > 1", name[2:], severity=100, group="trip") for name in NAMES[20:]
        ]
        board = LimitAlarms(limits)
        board.bind(TABLE)
        events = run(board, *(at(k, k) for k in range(39)))
        assert announced(events)[-1] == "T20"
        assert sum(event.is_quiet for event in events) == 39 - 10 - 1


def test_times_of_events_never_fall_within_a_frame() -> None:
    board = board_of(group="trip")
    samples = [(NAMES[k % 39], float(t), 2.0 * (t % 3 == 0)) for k, t in enumerate(range(500))]
    events = board.update(frame_of(TABLE, *samples))
    assert all(a.time_ns <= b.time_ns for a, b in pairwise(events))
