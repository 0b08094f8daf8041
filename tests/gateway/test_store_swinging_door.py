"""What the swinging door removes lies on the lines that are left, within the error."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.arrays import BoolArray, FloatArray
from gateway.store.swinging_door import RUN_SAMPLES_MAX, swinging_door
from tests.naive import swinging_door as naive

SECOND_NS = 1_000_000_000
GOOD, UNCERTAIN, BAD = 0, 0x4000_0000, 0x8000_0000

values = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-10, 10),
    st.sampled_from([0.0, -0.0, 1.0, 20.5]),
)
samples = st.tuples(
    st.one_of(st.integers(0, 3 * SECOND_NS), st.integers(-(2**63), 2**63 - 1), st.just(-1)),
    values,
    st.sampled_from([GOOD] * 8 + [UNCERTAIN, BAD]),
    st.sampled_from([False] * 9 + [True]),
)


def door(columns: list[list[naive.Sample]], errors: list[float]) -> list[BoolArray]:
    """Return what is kept of each series."""
    flat = [sample for series in columns for sample in series]
    sizes = [len(series) for series in columns]
    marks = swinging_door(
        np.repeat(np.arange(len(columns), dtype=np.int32), sizes),
        np.array([sample[0] for sample in flat], dtype=np.int64),
        np.array([sample[1] for sample in flat], dtype=np.float64),
        np.array([sample[2] for sample in flat], dtype=np.uint32),
        is_fixed=np.array([sample[3] for sample in flat], dtype=np.bool_),
        error=np.repeat(np.array(errors, dtype=np.float64), sizes),
    )
    return np.split(marks, np.cumsum(sizes)[:-1])


def series_of(value: FloatArray) -> list[naive.Sample]:
    """Return values of one a second, all Good."""
    return [(n * SECOND_NS, each, GOOD, False) for n, each in enumerate(value.tolist())]


@st.composite
def steady(draw: st.DrawFn) -> list[naive.Sample]:
    """Draw a series that mostly goes on in time, as real ones do, with what happens to them."""
    drawn = draw(st.lists(samples, max_size=40))
    is_steady = draw(st.booleans())
    return [
        (number * SECOND_NS if is_steady and time_ns >= 0 else time_ns, value, status, is_fixed)
        for number, (time_ns, value, status, is_fixed) in enumerate(drawn)
    ]


@given(st.lists(steady(), min_size=1, max_size=5), st.floats(0, 5))
def test_it_keeps_what_a_plain_loop_keeps_and_the_error_holds(
    columns: list[list[naive.Sample]], error: float
) -> None:
    """Any values, times and states, several series beside each other.

    Rounding is left: a line through values of size s is drawn to some parts in 10^16 of s.
    """
    errors = [error * number for number in range(len(columns))]
    for series, allowed, marks in zip(columns, errors, door(columns, errors), strict=True):
        assert marks.tolist() == naive.kept(series, allowed)
        sizes = [abs(value) for _, value, _, _ in series if abs(value) < 1e300]
        tolerance = 1e-14 * max(sizes, default=0.0)
        assert naive.largest_error(series, marks.tolist()) <= allowed + tolerance


def test_long_runs_are_cut_and_keep_the_error() -> None:
    """A walk of 3,000 samples, noise around a step, a sine, a constant."""
    rng = np.random.default_rng(5)
    count = 3000
    columns = [
        series_of(np.cumsum(rng.normal(size=count)) * 0.01),
        series_of(np.where(np.arange(count) > 777, 5.0, 1.0) + rng.uniform(-0.05, 0.05, count)),
        series_of(np.sin(np.arange(count) / 100)),
        series_of(np.full(count, 20.5)),
    ]
    for series, marks in zip(columns, door(columns, [0.1] * 4), strict=True):
        assert marks.tolist() == naive.kept(series, 0.1)
        assert naive.largest_error(series, marks.tolist()) <= 0.1
    walk, step, sine, constant = (int(marks.sum()) for marks in door(columns, [0.1] * 4))
    assert constant == 1 + -(-(count - 1) // (RUN_SAMPLES_MAX - 1))
    assert step <= constant + 4, "noise within the error costs nothing; the step is two samples"
    assert sine < 100
    assert walk < 600


def test_a_change_of_quality_and_nan_keep_both_neighbours() -> None:
    series = series_of(np.zeros(12))
    series[4] = (4 * SECOND_NS, float("nan"), BAD, False)
    series[8] = (8 * SECOND_NS, 0.0, UNCERTAIN, False)
    (marks,) = door([series], [1.0])
    assert np.flatnonzero(marks).tolist() == [0, 3, 4, 5, 7, 8, 9, 11]


def test_equal_and_falling_times_begin_a_run_of_their_own() -> None:
    times = [0, 1, 2, 2, 3, 4, 1, 2, 3]
    series: list[naive.Sample] = [(each * SECOND_NS, 0.0, GOOD, False) for each in times]
    (marks,) = door([series], [1.0])
    assert np.flatnonzero(marks).tolist() == [0, 2, 3, 5, 6, 8]


def test_a_switch_is_exact_without_any_error() -> None:
    series = series_of(np.repeat([0.0, 1.0, 0.0, 1.0], 5))
    (marks,) = door([series], [0.0])
    assert np.flatnonzero(marks).tolist() == [0, 4, 5, 9, 10, 14, 15, 19]


def test_nothing_is_kept_of_nothing() -> None:
    (marks,) = door([[]], [1.0])
    assert marks.tolist() == []


def test_a_full_block_takes_well_below_the_time_that_a_commit_may_wait() -> None:
    """262,144 samples in few or many series; 0.2 s is the promise, a busy machine gets twice."""
    rng = np.random.default_rng(6)
    count = 262_144
    value = rng.normal(size=count)
    for series_count in (8, 1000):
        size = -(-count // series_count)
        index = (np.arange(count) // size).astype(np.int32)
        time_ns = (np.arange(count) % size) * SECOND_NS
        best_s = np.inf
        for _ in range(3):
            begin_s = time.perf_counter()
            swinging_door(
                index,
                time_ns,
                value,
                np.zeros(count, dtype=np.uint32),
                is_fixed=np.zeros(count, dtype=np.bool_),
                error=np.full(count, 0.1),
            )
            best_s = min(best_s, time.perf_counter() - begin_s)
        assert best_s < 0.2
