"""When the gateway's clock is in doubt, and what is noticed when it is set; in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clock_state import (
    EARLIEST_NS,
    STEP_NS_MIN,
    ClockDoubt,
    ClockState,
    doubt_about,
)
from gateway.wire.kernel_clock import is_synchronised, machine_run

S = 1_000_000_000
HOUR = 3600 * S
NOW_NS = EARLIEST_NS + 1000 * HOUR


@pytest.mark.parametrize(
    ("now_ns", "known_ns", "synchronised", "expected"),
    [
        (NOW_NS, 0, None, None),
        (NOW_NS, NOW_NS, None, None),
        (100 * S, 0, None, ClockDoubt.BEFORE_RELEASE),
        (100 * S, NOW_NS, None, ClockDoubt.BEFORE_RELEASE),
        (NOW_NS - HOUR, NOW_NS, None, ClockDoubt.BEFORE_LOG),
        (NOW_NS, 0, False, ClockDoubt.UNSYNCHRONISED),
        (NOW_NS - HOUR, NOW_NS, True, None),
    ],
)
def test_a_clock_is_doubted_for_what_cannot_be(
    now_ns: int, known_ns: int, synchronised: bool | None, expected: ClockDoubt | None
) -> None:
    assert doubt_about(now_ns, known_ns=known_ns, is_synchronised=synchronised) is expected


def state_at(now_ns: int, *, monotonic_ns: int, doubt: ClockDoubt | None) -> ClockState:
    return ClockState(offset_ns=now_ns - monotonic_ns, known_ns=NOW_NS, doubt=doubt)


@given(st.lists(st.integers(-STEP_NS_MIN + 1, STEP_NS_MIN - 1), max_size=20))
def test_slow_corrections_are_no_step(corrections_ns: list[int]) -> None:
    state = state_at(NOW_NS, monotonic_ns=5 * S, doubt=None)
    wall_ns = NOW_NS
    for second, correction_ns in enumerate(corrections_ns, 6):
        wall_ns += S + correction_ns
        assert state.look(now_ns=wall_ns, monotonic_ns=second * S, is_synchronised=None) is None
    assert state.offset_ns == wall_ns - (5 + len(corrections_ns)) * S


@given(st.integers(1, 10**6), st.integers(STEP_NS_MIN, 80 * 365 * 24 * HOUR), st.booleans())
def test_a_step_is_told_once_with_its_size(run_s: int, size_ns: int, is_back: bool) -> None:
    step_ns = -size_ns if is_back else size_ns
    state = state_at(NOW_NS, monotonic_ns=0, doubt=None)
    wall_ns = NOW_NS + run_s * S
    step = state.look(now_ns=wall_ns + step_ns, monotonic_ns=run_s * S, is_synchronised=None)
    assert step is not None
    assert (step.shift_ns, step.until_ns) == (step_ns, wall_ns)
    assert (step.was_in_doubt, step.is_in_doubt) == (False, False)
    again = state.look(
        now_ns=wall_ns + step_ns + S, monotonic_ns=(run_s + 1) * S, is_synchronised=None
    )
    assert again is None


def test_a_doubt_ends_with_a_step_to_a_time_that_can_be() -> None:
    """A step to another time that cannot be does not end it, and waiting never does."""
    state = state_at(NOW_NS - HOUR, monotonic_ns=0, doubt=ClockDoubt.BEFORE_LOG)
    waited = state.look(now_ns=NOW_NS + HOUR, monotonic_ns=2 * HOUR, is_synchronised=None)
    assert waited is None
    assert state.doubt is ClockDoubt.BEFORE_LOG
    half = state.look(now_ns=NOW_NS - 60 * S, monotonic_ns=2 * HOUR, is_synchronised=None)
    assert half is not None
    assert (half.shift_ns, half.is_in_doubt) == (-HOUR - 60 * S, True)
    right = state.look(now_ns=NOW_NS + 3 * HOUR, monotonic_ns=2 * HOUR, is_synchronised=None)
    assert right is not None
    assert (right.was_in_doubt, right.is_in_doubt) == (True, False)
    assert state.doubt is None


def test_where_the_kernel_is_asked_its_word_ends_the_doubt() -> None:
    state = state_at(NOW_NS, monotonic_ns=0, doubt=ClockDoubt.UNSYNCHRONISED)
    assert state.look(now_ns=NOW_NS + S, monotonic_ns=S, is_synchronised=False) is None
    step = state.look(now_ns=NOW_NS + 2 * S, monotonic_ns=2 * S, is_synchronised=True)
    assert step is not None
    assert (step.shift_ns, step.is_in_doubt) == (0, False)
    # A time server that is away later makes no clock wrong.
    assert state.look(now_ns=NOW_NS + 3 * S, monotonic_ns=3 * S, is_synchronised=False) is None
    assert state.doubt is None


def test_the_kernel_answers() -> None:
    """Whether it is synchronised here nobody knows; that it says so, or not at all, is enough."""
    assert is_synchronised() in (True, False, None)
    assert machine_run() == machine_run()
