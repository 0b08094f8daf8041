"""What the state leaves over: the graph is the formula, and finds the ties that break."""

import time

import numpy as np
import pytest

from analytics.runtime import Session
from analytics.training.graph_part import part_graph
from analytics.training.statespace import (
    STEPS_MAX,
    StateSpace,
    fit_state_space,
    state_space_part,
    state_space_rest,
)
from gateway.core.arrays import Float32Array, FloatArray
from gateway.core.errors import ModelError
from tests.naive import statespace as naive

HISTORY_ROWS = 8


def plant(rows: int = 600, columns: int = 4, seed: int = 1) -> FloatArray:
    """Columns that share one slow load, each with its own noise, in standard deviations."""
    dice = np.random.default_rng(seed)
    load = np.zeros(rows)
    for index in range(1, rows):
        load[index] = 0.95 * load[index - 1] + dice.normal()
    z = load[:, np.newaxis] / 3.2 + 0.3 * dice.normal(size=(rows, columns))
    return np.asarray(z)


def windows(rows: FloatArray, length: int = HISTORY_ROWS) -> FloatArray:
    view = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0)
    return np.ascontiguousarray(view.swapaxes(1, 2))


def run(model: StateSpace, tried: FloatArray) -> tuple[Float32Array, Float32Array]:
    part = state_space_part(model, history="history", prefix="rest_")
    _, length, columns = tried.shape
    graph = part_graph(
        [part],
        inputs={"history": ("n", length, columns)},
        outputs={part.statistic: ("n",), part.contribution: ("n", columns)},
    )
    outputs = Session(graph).run({"history": tried.astype(np.float32)})
    return outputs[part.statistic], outputs[part.contribution]


@pytest.mark.parametrize("columns", [1, 2, 5])
@pytest.mark.parametrize("past_rows", [1, 3])
@pytest.mark.parametrize("size", [1.0, 1e6])
def test_the_graph_is_the_formula(columns: int, past_rows: int, size: float) -> None:
    """Statistic and contributions within 1e-4 of the loop, also where values are cut."""
    model = fit_state_space([plant(columns=columns)], past_rows=past_rows)
    tried = size * windows(plant(rows=30, columns=columns, seed=2))
    statistic, contribution = run(model, tried)
    expected = [
        naive.rest(window, model.center.tolist(), model.rest.tolist(), bound=STEPS_MAX)
        for window in tried.tolist()
    ]
    np.testing.assert_allclose(statistic, [each for each, _ in expected], rtol=1e-4, atol=1e-4)
    parts = np.array([each for _, each in expected])
    # A share is a product of which one factor may have cancelled: exact beside the largest one.
    largest = np.maximum(parts.max(axis=1), 1.0)
    assert (np.abs(contribution - parts).max(axis=1) <= 1e-4 * largest).all()
    np.testing.assert_allclose(
        state_space_rest(model, tried), [each for each, _ in expected], rtol=1e-9
    )


def test_contributions_sum_to_no_less_than_the_square_of_the_statistic() -> None:
    statistic, contribution = run(fit_state_space([plant()]), 3.0 * windows(plant(seed=3)))
    assert contribution.min() >= 0.0
    assert (contribution.sum(axis=1) > (1 - 1e-4) * statistic**2).all()


def test_healthy_rows_that_were_not_fitted_are_about_one() -> None:
    model = fit_state_space([plant(rows=2_000)])
    statistic = state_space_rest(model, windows(plant(rows=2_000, seed=4)))
    assert 0.8 < np.sqrt(np.mean(statistic**2)) < 1.2


def test_the_slow_state_may_wander_but_a_tie_may_not_break() -> None:
    """All columns by three spreads together is another load; one alone by one is a fault."""
    model = fit_state_space([plant(rows=2_000)])
    healthy = windows(plant(rows=2_000, seed=5))
    usual = state_space_rest(model, healthy).mean()
    together = state_space_rest(model, healthy + 3.0).mean()
    alone = healthy.copy()
    alone[:, :, 1] += 1.0
    assert together < 1.1 * usual
    assert state_space_rest(model, alone).mean() > 1.5 * usual


@pytest.mark.parametrize("columns", [4, 8, 20])
def test_the_column_that_is_off_contributes_most(columns: int) -> None:
    """Each in turn by three spreads: in nine of ten rows that were not fitted, or more."""
    model = fit_state_space([plant(columns=columns)])
    healthy = windows(plant(columns=columns, seed=9))[::5]
    for column in range(columns):
        tried = healthy.copy()
        tried[:, :, column] += 3.0
        _, contribution = run(model, tried)
        assert (contribution.argmax(axis=1) == column).mean() > 0.9


def test_columns_that_repeat_each_other_or_stand_still_give_numbers() -> None:
    """A singular covariance: shrinkage keeps the rest finite, and the broken tie is found."""
    rows = plant(columns=2)
    doubled = np.column_stack([rows, rows[:, 0], np.zeros(len(rows))])
    model = fit_state_space([doubled])
    healthy = state_space_rest(model, windows(doubled))
    assert np.isfinite(healthy).all()
    apart = windows(doubled)
    apart[:, :, 2] += 1.0
    awake = windows(doubled)
    awake[:, :, 3] += 1.0
    assert state_space_rest(model, apart).mean() > 1.5 * healthy.mean()
    assert state_space_rest(model, awake).mean() > 1.5 * healthy.mean()


def test_recordings_stay_apart() -> None:
    """No past of one machine has its future in another; a stub is left out."""
    first, second = plant(seed=6), plant(seed=7)
    both = fit_state_space([first, second, first[:3]])
    pairs = fit_state_space([second, first])
    np.testing.assert_allclose(both.rest, pairs.rest, atol=1e-6)
    joined = fit_state_space([np.concatenate([first, second + 9.0])])
    apart = fit_state_space([first, second + 9.0])
    assert np.abs(joined.rest - apart.rest).max() > 1e-6


def test_too_short_recordings_say_what_is_needed() -> None:
    with pytest.raises(ModelError, match="no recording is as long as 4 rows"):
        fit_state_space([plant(rows=3)])
    with pytest.raises(ModelError, match="9 are needed, record longer"):
        fit_state_space([plant(rows=11)])
    fit_state_space([plant(rows=12)])


def test_one_wrong_reading_does_not_turn_the_model() -> None:
    rows = plant()
    wrong = rows.copy()
    wrong[100, 2] = 1e12
    assert np.abs(fit_state_space([wrong]).rest - fit_state_space([rows]).rest).max() < 1.0


def test_a_thousand_assets_get_what_each_gets_alone() -> None:
    model = fit_state_space([plant()])
    tried = windows(plant(rows=1_000 + HISTORY_ROWS - 1, seed=8))
    together, _ = run(model, tried)
    alone = np.concatenate([run(model, tried[k : k + 1])[0] for k in (0, 500, 999)])
    np.testing.assert_allclose(together[[0, 500, 999]], alone, rtol=1e-5)


def test_forty_tags_take_less_than_sixty_microseconds() -> None:
    """One asset, one core; measured about 10 µs."""
    model = fit_state_space([plant(columns=40)])
    part = state_space_part(model, history="history", prefix="rest_")
    graph = part_graph(
        [part],
        inputs={"history": ("n", HISTORY_ROWS, 40)},
        outputs={part.statistic: ("n",), part.contribution: ("n", 40)},
    )
    assert len(graph) < 50_000
    session = Session(graph)
    inputs = {"history": windows(plant(columns=40))[:1].astype(np.float32)}
    times: list[int] = []
    for _ in range(500):
        begun = time.perf_counter_ns()
        session.run(inputs)
        times.append(time.perf_counter_ns() - begun)
    assert np.median(times) < 60_000
