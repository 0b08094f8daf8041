"""Suppression by design: by the state of an asset, by a tag, by another alarm."""

import pytest

from analytics.alarms import LimitAlarms
from analytics.limits import AlarmLimit, AlarmSettings
from gateway.core.alarms import AlarmId, AlarmState
from gateway.core.errors import ConfigError
from gateway.core.events import Event
from gateway.core.frame import Frame
from tests.analytics.frames import frame_of
from tests.analytics.test_alarms import FLOW, limit_of, told, vibration
from tests.analytics.test_alarms_lifecycle import OFF, RUNNING, STARTING, STATE, TABLE

LOW = AlarmId("P-101/flow_low")


def board_of(*limits: AlarmLimit) -> LimitAlarms:
    board = LimitAlarms(limits)
    board.bind(TABLE)
    return board


def flow_low(**fields: object) -> AlarmLimit:
    return limit_of("flow_m3h < 10", "flow_low", **fields)


def state(time_s: float, value: float) -> Frame:
    return frame_of(TABLE, (STATE, time_s, value), is_received=False)


def flow(time_s: float, value: float) -> Frame:
    return frame_of(TABLE, (FLOW, time_s, value))


def run(board: LimitAlarms, *frames: Frame) -> list[Event]:
    return [event for frame in frames for event in board.update(frame)]


class TestByState:
    def test_a_suppressed_alarm_raises_nothing_and_is_listed(self) -> None:
        board = board_of(flow_low(suppress_when=["stopped", "starting"]))
        events = run(board, state(0, RUNNING), flow(0, 50), state(1, OFF), flow(2, 0))
        assert told(events) == [("suppressed", 1.0)]
        assert events[0].text.endswith("suppressed; stopped or starting")
        (alarm,) = board.alarms()
        assert alarm.state is AlarmState.SUPPRESSED
        assert alarm.active
        assert alarm.silenced_reason == "stopped or starting"

    def test_it_speaks_again_when_the_state_ends(self) -> None:
        """From one state that counts to another one it stays silent."""
        board = board_of(flow_low(suppress_when=["stopped", "starting"]))
        run(board, state(0, RUNNING), state(1, OFF), flow(2, 0))
        assert run(board, state(3, STARTING), flow(4, 0)) == []
        assert told(run(board, state(5, RUNNING))) == [("unsuppressed", 5.0), ("raised", 5.0)]
        assert board.alarms()[0].state is AlarmState.UNACKNOWLEDGED

    def test_a_machine_that_has_recovered_by_then_says_nothing(self) -> None:
        board = board_of(flow_low(suppress_when=["stopped", "starting"]))
        run(board, state(0, OFF), flow(1, 0), flow(2, 60))
        (event,) = run(board, state(3, RUNNING))
        assert event.text.endswith("no longer suppressed; it came once meanwhile")
        assert board.alarms() == ()

    def test_the_off_delay_gives_the_machine_time(self) -> None:
        board = board_of(flow_low(suppress_when=["stopped"], suppress_off_delay_s=30))
        run(board, state(0, OFF), flow(1, 0), state(10, RUNNING))
        assert told(run(board, state(39, RUNNING), flow(39, 60), state(41, RUNNING))) == [
            ("unsuppressed", 40.0)
        ]

    def test_an_alarm_that_stands_already_is_suppressed(self) -> None:
        board = board_of(flow_low(suppress_when=["stopped"]))
        assert told(run(board, flow(0, 0), state(1, OFF))) == [("raised", 0.0), ("suppressed", 1.0)]

    def test_a_state_that_is_not_known_changes_nothing(self) -> None:
        board = board_of(flow_low(suppress_when=["stopped"]))
        assert told(run(board, state(0, OFF), state(1, float("nan")), flow(2, 0))) == [
            ("suppressed", 0.0)
        ]

    @pytest.mark.parametrize("value", [-1.0, 0.0, 1.5, 64.0, 1e300, float("inf"), float("-inf")])
    def test_a_number_that_is_no_state_suppresses_nothing(self, value: float) -> None:
        board = board_of(flow_low(suppress_when=["starting"]))
        assert told(run(board, state(0, value), flow(1, 0))) == [("raised", 1.0)]


class TestByOthers:
    def test_a_condition_of_any_tag_suppresses(self) -> None:
        board = board_of(flow_low(suppress_when=["other.Level >= 7"]))
        events = run(board, frame_of(TABLE, ("other.Level", 0, 7.0)), flow(1, 0))
        assert told(events) == [("suppressed", 0.0)]
        assert events[0].text.endswith("suppressed; other.Level >= 7")

    def test_an_active_alarm_suppresses_others_of_its_asset(self) -> None:
        """At one instant it comes first, whatever the order of the configuration."""
        high = limit_of(delay_s=1)
        board = board_of(flow_low(delay_s=1, suppress_when=["vibration_high"]), high)
        both = frame_of(TABLE, (FLOW, 0, 0.0), ("pumps.P101.Vibration", 0, 9.0))
        later = frame_of(TABLE, (FLOW, 1, 0.0), ("pumps.P101.Vibration", 1, 9.0))
        events = run(board, both, later)
        assert [(event.condition, event.transition.value) for event in events] == [
            ("flow_low", "suppressed"),
            ("vibration_high", "raised"),
        ]
        assert [event.condition for event in run(board, vibration(2, 1))] == [
            "flow_low",
            "flow_low",
            "vibration_high",
        ]

    @pytest.mark.parametrize(
        ("suppress_when", "why"),
        [
            (["nobody"], "suppress_when names P-101/nobody: there is no such alarm"),
            (["P-9/x"], "suppress_when names P-9/x: there is no such alarm"),
            (["flow_low"], "an alarm cannot suppress itself"),
            (["no.tag > 1"], "there is no tag 'no.tag'"),
        ],
    )
    def test_what_is_not_there_is_named(self, suppress_when: list[str], why: str) -> None:
        with pytest.raises(ConfigError, match=why):
            board_of(flow_low(suppress_when=suppress_when))

    def test_alarms_that_suppress_each_other_are_refused(self) -> None:
        """With both conditions true nobody would be told of either."""
        with pytest.raises(ConfigError, match="in a circle"):
            board_of(
                flow_low(suppress_when=["vibration_high"]), limit_of(suppress_when=["flow_low"])
            )

    @pytest.mark.parametrize("text", ["", "a >", "a b", "a/b/c", "> 3"])
    def test_what_is_no_suppressor_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is neither a state"):
            AlarmSettings(when="a > 1", suppress_when=(text,))


class TestOffDelayAtTheEndOfSilence:
    """The machine has started and the flow is back, but the alarm's own off-delay goes on."""

    LIMIT = flow_low(suppress_when=["stopped"], off_delay_s=60)

    def started(self) -> LimitAlarms:
        board = board_of(self.LIMIT)
        run(board, state(0, OFF), flow(1, 0), flow(20, 50))
        assert told(run(board, state(21, RUNNING))) == [("unsuppressed", 21.0)]
        return board

    def test_what_is_gone_already_is_not_raised(self) -> None:
        board = self.started()
        assert board.alarms() == ()
        assert run(board, flow(80, 50), flow(81, 50)) == []

    @pytest.mark.parametrize("is_restored", [False, True])
    def test_what_comes_back_before_the_delay_is_over_is_raised(self, is_restored: bool) -> None:
        board = self.started()
        if is_restored:
            checkpoint, board = board.checkpoint(), board_of(self.LIMIT)
            board.restore(checkpoint)
        assert told(run(board, flow(40, 0), flow(41, 0))) == [("raised", 40.0)]
        assert told(run(board, flow(50, 50), flow(111, 50))) == [("returned", 110.0)]
