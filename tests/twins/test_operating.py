"""Operating states: hysteresis, settling, and jumps of the load."""

import numpy as np

from gateway.core.rows import OperatingState
from tests.twins.frames import SECOND_NS
from twins.operating import OperatingStates

UNKNOWN, OFF, STARTING, RUNNING = OperatingState


def states_of(loads: list[float], *, settling_s: float = 9.0) -> list[OperatingState]:
    states = OperatingStates(1, settling_s=np.array([settling_s]))
    found = []
    for second, load in enumerate(loads):
        states.update(np.array([load]), time_ns=second * SECOND_NS)
        found.append(OperatingState(int(states.state[0])))
    return found


def test_a_start_takes_the_settling_time() -> None:
    """A lag of a third of the settling time is within 5 % of a step after it: 1 - exp(-3)."""
    found = states_of([0.0] + [1.0] * 12)
    assert found[:2] == [OFF, STARTING]
    assert found.index(RUNNING) in (9, 10)
    assert set(found[10:]) == {RUNNING}


def test_without_settling_time_it_runs_at_once() -> None:
    assert states_of([1.0, 1.0], settling_s=0.0) == [RUNNING, RUNNING]


def test_noise_between_the_thresholds_does_not_toggle() -> None:
    up = states_of([0.12, 0.14, 0.12, 0.14], settling_s=0.0)
    down = states_of([0.2, 0.12, 0.14, 0.12, 0.09, 0.12], settling_s=0.0)
    assert up == [OFF] * 4
    assert down == [RUNNING] * 4 + [OFF] * 2


def test_slow_changes_of_demand_keep_it_running_and_jumps_do_not() -> None:
    slow = states_of([1.0] * 20 + [1.0 - 0.004 * i for i in range(50)])
    jump = states_of([1.0] * 20 + [0.7] * 10)
    assert set(slow[10:]) == {RUNNING}
    assert jump[20] is STARTING
    assert jump[-1] is RUNNING


def test_running_down_is_no_operating_point() -> None:
    found = states_of([1.0] * 20 + [1.0 - 0.1 * i for i in range(1, 11)])
    assert RUNNING not in found[22:]
    assert found[-1] is OFF


def test_an_unknown_load_is_an_unknown_state_and_starts_anew() -> None:
    found = states_of([1.0] * 20 + [np.nan] + [1.0] * 20)
    assert found[20] is UNKNOWN
    assert found[21] is STARTING
    assert found[-1] is RUNNING


def test_changes_are_reported_once() -> None:
    states = OperatingStates(2, settling_s=np.zeros(2))
    first = states.update(np.array([1.0, 0.0]), time_ns=0)
    second = states.update(np.array([1.0, 1.0]), time_ns=SECOND_NS)
    assert first.tolist() == [True, True]
    assert second.tolist() == [False, True]
