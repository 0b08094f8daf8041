"""Averages of scores: what a loop gives, and what one odd row cannot do."""

from itertools import accumulate

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.smoothing import SCORE_MAX, WEIGHT_MAX, Smoother
from tests.analytics.frames import NS
from tests.naive.smoothing import smoothed

STEPS = st.lists(
    st.tuples(st.sampled_from([0.1, 1.0, 5.0, 3600.0]), st.floats(0, 100)), min_size=1, max_size=30
)


def run(
    rows: list[tuple[float, float]], *, smoothing_s: float = 10.0, counts: list[bool] | None = None
) -> tuple[list[float], Smoother]:
    smoother = Smoother(asset_count=1, column_count=2, smoothing_s=smoothing_s)
    averages = []
    for k, (time_s, score) in enumerate(rows):
        average = smoother.update(
            round(time_s * NS),
            np.array([score], dtype=np.float32),
            np.array([[3.0, 1.0]], dtype=np.float32),
            np.array([True if counts is None else counts[k]]),
        )
        averages.append(float(average[0]))
    return averages, smoother


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, smoothing_s=st.sampled_from([1.0, 10.0, 600.0]))
def test_it_gives_what_a_loop_gives(steps: list[tuple[float, float]], smoothing_s: float) -> None:
    """Whatever the distance of the rows; float32 scores give the tolerance."""
    times = accumulate(step for step, _ in steps)
    rows = [(time, score) for time, (_, score) in zip(times, steps, strict=True)]
    expected = smoothed(rows, smoothing_s=smoothing_s, score_max=SCORE_MAX, weight_max=WEIGHT_MAX)
    averages, _ = run(rows, smoothing_s=smoothing_s)
    np.testing.assert_allclose(averages, expected, rtol=1e-6, atol=1e-9)


@given(
    before=st.lists(st.floats(0, 0.5), max_size=20),
    odd=st.floats(0, 1e30),
    pause_s=st.sampled_from([1, 100, 100_000]),
)
def test_one_odd_row_is_no_alarm(before: list[float], odd: float, pause_s: int) -> None:
    """Neither at the start, nor among quiet rows, nor after a pause."""
    rows = [(float(k), score) for k, score in enumerate(before)]
    averages, _ = run([*rows, (len(rows) + pause_s, odd)])
    assert averages[-1] <= 1.0


def test_a_lasting_fault_is_found_within_seconds() -> None:
    averages, _ = run([(k, 0.5 if k < 60 else 5.0) for k in range(70)])
    assert averages[59] < 1.0
    assert averages[62] > 1.0


def test_rows_left_out_change_nothing() -> None:
    with_gap, smoother = run([(0, 0.4), (1, 9.0), (2, 0.6)], counts=[True, False, True])
    without, _ = run([(0, 0.4), (2, 0.6)])
    assert np.isnan(with_gap[1])
    assert with_gap[2] == without[1]
    np.testing.assert_allclose(smoother.shares(), [[0.75, 0.25]])


def test_contributions_that_are_no_numbers_have_no_share() -> None:
    smoother = Smoother(asset_count=1, column_count=3, smoothing_s=10)
    contribution = np.array([[np.nan, -1.0, 2.0]], dtype=np.float32)
    smoother.update(0, np.ones(1, dtype=np.float32), contribution, np.array([True]))
    np.testing.assert_allclose(smoother.shares(), [[0.0, 0.0, 1.0]])
