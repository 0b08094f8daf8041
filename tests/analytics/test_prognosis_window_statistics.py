"""Window statistics: row by row they are what the whole past gives at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.prognosis.window_statistics import WindowStatistics
from tests.naive.window_statistics import statistics

WINDOWS = [2.0, 7.0, 50.0]
PERIOD = 1.0
ROWS = st.lists(
    st.tuples(st.sampled_from([0.25, 1.0, 3.0, 1000.0]), st.floats(-6, 6), st.floats(-6, 6)),
    min_size=1,
    max_size=25,
)


def new(asset_count: int = 1, column_count: int = 2) -> WindowStatistics:
    return WindowStatistics(
        asset_count=asset_count,
        column_count=column_count,
        windows=np.array(WINDOWS),
        period=PERIOD,
    )


@settings(max_examples=100, deadline=None)
@given(steps=ROWS)
def test_it_gives_what_the_whole_past_gives(steps: list[tuple[float, float, float]]) -> None:
    """At any distance of the rows; float32 results give the tolerance."""
    past = new()
    times = np.cumsum([step for step, _, _ in steps])
    rows = [[a, b] for _, a, b in steps]
    for time, row in zip(times, rows, strict=True):
        taken = past.take(np.array([0]), np.array([time]), np.array([row], dtype=np.float32))
    expected = statistics(times.tolist(), rows, windows=WINDOWS, period=PERIOD)
    assert taken.shape == (1, past.size)
    np.testing.assert_allclose(taken[0], expected, rtol=1e-4, atol=1e-4)


def test_assets_do_not_touch_one_another() -> None:
    """Some of them in any order give what each would give alone."""
    generator = np.random.default_rng(2)
    rows = generator.normal(size=(20, 3, 2)).astype(np.float32)
    together, alone = new(3), [new() for _ in range(3)]
    for k, values in enumerate(rows):
        at = generator.permutation(3)[: 1 + k % 3]
        taken = together.take(at, np.full(len(at), float(k)), values[at])
        for j, asset in enumerate(at):
            own = alone[asset].take(np.array([0]), np.array([float(k)]), values[asset][np.newaxis])
            np.testing.assert_array_equal(taken[j], own[0])


def test_a_constant_has_no_trend_from_the_first_row_on() -> None:
    past = new()
    for k in range(5):
        taken = past.take(np.array([0]), np.array([float(k)]), np.full((1, 2), 3, np.float32))
        np.testing.assert_allclose(taken[0, 1:7], 3.0, rtol=1e-6)
        np.testing.assert_allclose(taken[0, 7:], 0.0, atol=1e-6)


def test_what_is_forgotten_begins_as_new() -> None:
    used, fresh = new(2), new(2)
    first = np.ones((2, 2), dtype=np.float32)
    used.take(np.array([0, 1]), np.array([5.0, 5.0]), 9 * first)
    used.forget(np.array([True, False]))
    again = used.take(np.array([0]), np.array([2.0]), first[:1])
    np.testing.assert_array_equal(again, fresh.take(np.array([0]), np.array([2.0]), first[:1]))
    assert used.rows.tolist() == [1, 1]
