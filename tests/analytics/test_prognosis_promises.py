"""What is kept of a life is bounded, spread over it, and judged as by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.prognosis.promises import PROMISES_MAX, Promises
from tests.naive.promises import judged

CAP = 100.0
ONE = np.array([1])


def note(promises: Promises, time: float, low: float, high: float) -> None:
    promises.note(ONE, time, np.array([low]), np.array([high]))


@given(
    steps=st.lists(
        st.tuples(st.floats(0.01, 20.0), st.floats(0, CAP), st.floats(0, CAP)), max_size=300
    ),
    late=st.floats(-50, 200),
    cut=st.integers(0, 300),
)
def test_a_life_is_judged_as_by_hand_whatever_was_told(
    steps: list[tuple[float, float, float]], late: float, cut: int
) -> None:
    promises, told, time = Promises(3, cap=CAP), [], 0.0
    for number, (pause, one, other) in enumerate(steps):
        time += pause
        if number == cut:
            saved, promises = promises.save(), Promises(3, cap=CAP)
            promises.load(saved)
        note(promises, time, min(one, other), max(one, other))
        told.append((time, min(one, other), max(one, other)))
    found = promises.judge(1, end=time + late)
    expected = judged(told, end=time + late, cap=CAP, spacing=CAP / PROMISES_MAX, kept=PROMISES_MAX)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found.low, found.high, found.truth, found.count, found.held) == expected
        assert found.is_held == (found.low <= found.truth <= found.high)


def test_what_is_kept_is_bounded_and_the_newest() -> None:
    promises = Promises(2, cap=CAP)
    for k in range(5 * PROMISES_MAX):
        note(promises, float(k), 0.0, CAP)
    found = promises.judge(1, end=5.0 * PROMISES_MAX)
    assert found is not None
    assert found.count == found.held == PROMISES_MAX
    assert len(promises.save()[1]) == PROMISES_MAX


def test_assets_are_kept_apart_and_begin_anew_alone() -> None:
    promises = Promises(2, cap=CAP)
    promises.note(np.array([0, 1]), 1.0, np.array([0.0, 5.0]), np.array([1.0, 20.0]))
    promises.forget(0)
    assert promises.judge(0, end=10.0) is None
    found = promises.judge(1, end=10.0)
    assert found is not None
    assert (found.low, found.high, found.truth) == (5.0, 20.0, 9.0)
    promises.note(np.array([0]), 1.1, np.array([0.0]), np.array([10.0]))
    assert promises.judge(0, end=10.0) is not None


def test_a_clock_that_was_set_moves_what_was_told() -> None:
    promises = Promises(2, cap=CAP)
    note(promises, 1.0, 5.0, 20.0)
    promises.rebase(-1000.0)
    found = promises.judge(1, end=-990.0)
    assert found is not None
    assert found.truth == pytest.approx(9.0)
    note(promises, -998.5, 5.0, 20.0)
    again = promises.judge(1, end=-990.0)
    assert again is not None
    assert again.count == 1
