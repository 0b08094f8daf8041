"""Alarms after a restart: as before it, one by one, also under another configuration."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.alarms import AlarmRules, LimitAlarms
from gateway.core.alarms import AlarmAction, AlarmId, AlarmState
from gateway.core.events import Event
from gateway.core.quality import Status
from tests.analytics.frames import NS, frame_of
from tests.analytics.test_alarms import (
    FLOW,
    ID,
    SCORE,
    TABLE,
    VIBRATION,
    acknowledge,
    board_of,
    busy_board,
    busy_limits,
    limit_of,
    run,
    shelve,
    state_of,
    vibration,
)
from tests.analytics.test_alarms_lifecycle import order

SAMPLES = st.lists(
    st.tuples(
        st.sampled_from([VIBRATION, FLOW, SCORE]),
        st.integers(0, 30),
        st.sampled_from([0.0, 1.0, 4.0, 5.0, 11.0, float("nan")]),
        st.sampled_from([Status.GOOD, Status.GOOD, Status.UNCERTAIN, Status.BAD]),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(samples=SAMPLES, cut=st.integers(0, 30), ask=st.sampled_from(["acknowledge", "shelve", ""]))
def test_a_restored_board_goes_on_exactly(
    samples: list[tuple[str, int, float, Status]], cut: int, ask: str
) -> None:
    """Replay equals: the same frames after a restore give the same events and states."""
    frames = [frame_of(TABLE, (n, t, v), status=s) for n, t, v, s in samples]
    board = busy_board()
    run(board, *frames[:cut])
    for alarm in board.alarms()[:1]:
        if ask == "shelve":
            shelve(board, alarm.id, time_ns=0, until_ns=20 * NS, operator="kim")
        if ask == "acknowledge":
            acknowledge(board, alarm.id, time_ns=0, operator="kim")
    again = busy_board()
    again.restore(board.checkpoint())
    assert again.checkpoint() == board.checkpoint()
    assert run(board, *frames[cut:]) == run(again, *frames[cut:])
    assert again.checkpoint() == board.checkpoint()


@settings(max_examples=100, deadline=None)
@given(
    samples=SAMPLES,
    cut=st.integers(0, 30),
    kept=st.permutations(range(4)).flatmap(
        lambda order: st.integers(0, 4).map(lambda count: order[:count])
    ),
)
def test_alarms_that_did_not_change_go_on_under_another_configuration(
    samples: list[tuple[str, int, float, Status]], cut: int, kept: list[int]
) -> None:
    """Some of the alarms, in another order, beside a new one: theirs is what the others' is not."""
    frames = [frame_of(TABLE, (n, t, v), status=s) for n, t, v, s in samples]
    board, limits = busy_board(), busy_limits()
    run(board, *frames[:cut])
    again = board_of(*(limits[k] for k in kept), limit_of("flow_m3h > 1e9", "flow_mad"))
    again.restore(board.checkpoint())
    names = {limits[k].condition for k in kept}
    assert state_of(again, AlarmId("P-101/flow_mad")) is AlarmState.NORMAL
    expected = [event for event in run(board, *frames[cut:]) if event.condition in names]
    found = run(again, *frames[cut:])
    assert sorted(map(plain, found)) == sorted(map(plain, expected))


def plain(event: Event) -> tuple[int, str, str]:
    return event.time_ns, event.condition, event.transition.value


def test_an_alarm_whose_limit_has_changed_begins_anew() -> None:
    board = board_of()
    run(board, vibration(0, 5))
    acknowledge(board, ID, time_ns=NS, operator="ada")
    changed = board_of(limit_of("vibration_mm_s > 4.6"))
    changed.restore(board.checkpoint())
    assert state_of(changed) is AlarmState.NORMAL
    same = board_of(limit_of(), limit_of("flow_m3h < 10", "flow_low"))
    same.restore(board.checkpoint())
    assert state_of(same) is AlarmState.ACKNOWLEDGED


def test_a_checkpoint_of_another_version_is_refused() -> None:
    board = board_of()
    run(board, vibration(0, 5))
    before = board.checkpoint()
    with pytest.raises(ValueError, match="another version"):
        board.restore(b'{"configuration": "0"}')
    assert board.checkpoint() == before


FORMER = (
    '{"limits":["849e084ead5fe84f708cf27483ec2ebd","86bfce4851e94d18d49421402feeb8e7",'
    '"806966e4df4ee0e82510c2a56f27fbdf"],"now_ns":{"P-101":4000000000,"pumps":4000000000},'
    '"comparators":{"is_on":[true,true,true],"is_beyond":[true,true,true],"is_known":[true,true,'
    'true],"since_ns":[1000000000,1000000000,4000000000],"resumed_ns":[1000000000,1000000000,'
    '4000000000],"newest_ns":[4000000000,4000000000,4000000000],"value":[5.0,5.0,2.0]},"standing":'
    '[{"state":"acknowledged","raised_ns":3000000000,"onset_ns":1000000000,"shelved_until_ns":null,'
    '"evidence":[{"name":"pumps.P101.Vibration","value":5.0,"expected":4.5,"share":null,"unit":'
    '"mm/s"}],"text":"vibration_mm_s is above 4.5"},{"state":"shelved","raised_ns":1000000000,'
    '"onset_ns":1000000000,"shelved_until_ns":50000000000,"evidence":[],"text":"flow_m3h is below '
    '10"},{"state":"unacknowledged","raised_ns":4000000000,"onset_ns":4000000000,'
    '"shelved_until_ns":null,"evidence":[],"text":"anomaly_score is above 1"}]}'
)
"""Made by the version before latches: one alarm acknowledged, one shelved, one new."""


def test_a_checkpoint_of_the_version_before_goes_on() -> None:
    """An update of the software loses no state, no delay and no shelving."""
    limits = [
        limit_of(delay_s=2, off_delay_s=3),
        limit_of("flow_m3h < 10", "flow_low"),
        limit_of("anomaly_score > 1", "anomaly"),
    ]
    board = board_of(*limits)
    board.restore(FORMER.encode())
    assert {alarm.condition: alarm.state.value for alarm in board.alarms()} == {
        "vibration_high": "acknowledged",
        "flow_low": "shelved",
        "anomaly": "unacknowledged",
    }
    assert run(board, vibration(5, 1), vibration(7, 1)) == []
    events = run(board, vibration(8, 1), vibration(60, 1))
    assert [(e.condition, e.transition.value, e.time_ns // NS) for e in events] == [
        ("vibration_high", "returned", 8),
        ("flow_low", "unshelved", 50),
        ("flow_low", "raised", 50),
    ]


def test_what_a_person_decided_outlives_a_change_of_the_limit() -> None:
    board = board_of(limit_of(), limit_of("flow_m3h < 10", "flow_low"))
    board.act(order(AlarmAction.TAKE_OUT, reason="the sensor is being replaced"))
    shelve(board, AlarmId("P-101/flow_low"), until_ns=50 * NS)
    changed = board_of(limit_of("vibration_mm_s > 6"), limit_of("flow_m3h < 12", "flow_low"))
    changed.restore(board.checkpoint())
    shelved, out = changed.alarms()
    assert (out.state, out.silenced_reason) == (
        AlarmState.OUT_OF_SERVICE,
        "the sensor is being replaced",
    )
    assert (shelved.state, shelved.shelved_until_ns) == (AlarmState.SHELVED, 50 * NS)
    assert [e.transition.value for e in run(changed, vibration(51, 9))] == ["unshelved"]


def test_an_alarm_whose_suppressor_has_changed_is_never_silent_for_good() -> None:
    """It was suppressed by a limit that is another one now: what it withheld comes at once."""
    suppressed = limit_of(suppress_when=["other"])
    board = board_of(suppressed, limit_of("flow_m3h < 10", "other"))
    run(board, frame_of(TABLE, (FLOW, 0, 5.0)), vibration(1, 9))
    assert state_of(board) is AlarmState.SUPPRESSED
    changed = board_of(suppressed, limit_of("flow_m3h < 3", "other"))
    changed.restore(board.checkpoint())
    events = run(changed, frame_of(TABLE, (FLOW, 2, 5.0)), vibration(2, 9))
    assert [(e.condition, e.transition.value) for e in events] == [("vibration_high", "raised")]


def test_a_flood_goes_on_over_a_restart() -> None:
    rules = AlarmRules(flood_per_10min=1, flood_end_per_10min=1)
    board = LimitAlarms(busy_limits(), rules=rules)
    board.bind(TABLE)
    run(board, vibration(0, 11), frame_of(TABLE, (FLOW, 5, 5.0)), frame_of(TABLE, (FLOW, 7, 5.0)))
    assert board.metrics(8 * NS).flood_since_ns is not None
    again = LimitAlarms(busy_limits(), rules=rules)
    again.bind(TABLE)
    again.restore(board.checkpoint())
    assert again.metrics(8 * NS) == board.metrics(8 * NS)
    later = frame_of(TABLE, (FLOW, 700, 50.0))
    assert run(board, later) == run(again, later)


@pytest.mark.parametrize(("raises", "held"), [(0, False), (2, True), (5, True)])
def test_another_rule_for_chattering_takes_over(raises: int, held: bool) -> None:
    board = board_of()
    run(board, *(vibration(t, 5 * (t % 2)) for t in range(8)))
    assert board.alarms()[0].is_chattering
    changed = LimitAlarms([limit_of()], rules=AlarmRules(chatter_raises=raises))
    changed.bind(TABLE)
    changed.restore(board.checkpoint())
    assert changed.alarms()[0].is_chattering == held
    run(changed, vibration(9, 0), vibration(500, 0))
    assert not changed.alarms()[0].is_chattering
