"""Alarms after a restart: as before it, one by one, also under another configuration."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.alarms import AlarmId, AlarmState
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
