"""Windows against the usual ones: the graph is the definition, whatever it is given."""

import time

import numpy as np
import pytest

from analytics.runtime import Session
from analytics.training.graph_part import part_graph
from analytics.training.window_kmeans import (
    CENTER_COUNT,
    STEPS_MAX,
    WINDOW_ROWS,
    WINDOWS_MAX,
    WindowCenters,
    fit_window_centers,
    window_distance,
    window_part,
)
from gateway.core.arrays import Float32Array, FloatArray
from gateway.core.errors import ModelError
from tests.naive import window_kmeans as naive

L = 8
"""Shorter than a real model's: the properties do not depend on it."""


def waves(rows: int = 1_200, columns: int = 3, seed: int = 1) -> FloatArray:
    dice = np.random.default_rng(seed)
    phase = np.arange(rows)[:, np.newaxis] / 6.0 + np.arange(columns)
    return np.asarray(np.sin(phase) + 0.1 * dice.normal(size=(rows, columns)))


def windows(rows: FloatArray) -> FloatArray:
    view = np.lib.stride_tricks.sliding_window_view(rows, L, axis=0)
    return np.ascontiguousarray(view.swapaxes(1, 2))


def fit(*runs: FloatArray) -> WindowCenters:
    return fit_window_centers(runs, window_rows=L)


def run(model: WindowCenters, tried: FloatArray) -> tuple[Float32Array, Float32Array]:
    part = window_part(model, history="history", prefix="window_")
    columns = tried.shape[2]
    graph = part_graph(
        [part],
        inputs={"history": ("n", L, columns)},
        outputs={part.statistic: ("n",), part.contribution: ("n", columns)},
    )
    outputs = Session(graph).run({"history": tried.astype(np.float32)})
    return outputs[part.statistic], outputs[part.contribution]


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("size", [1.0, 5.0, 1e6])
def test_the_graph_is_the_definition(columns: int, size: float) -> None:
    """Statistic and contributions within 1e-4 of the loop, also where values are cut."""
    model = fit(waves(columns=columns))
    tried = size * windows(waves(rows=60, columns=columns, seed=2))
    statistic, contribution = run(model, tried)
    expected = [
        naive.nearest(window.tolist(), model.centers.tolist(), bound=STEPS_MAX) for window in tried
    ]
    np.testing.assert_allclose(statistic, [each for each, _ in expected], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(contribution, [each for _, each in expected], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(window_distance(model, tried), statistic, rtol=1e-4, atol=1e-4)


def test_contributions_average_to_the_square_of_the_statistic() -> None:
    statistic, contribution = run(fit(waves()), 3.0 * windows(waves(seed=3)))
    np.testing.assert_allclose(contribution.mean(axis=1), statistic**2, rtol=1e-5)


def test_a_shape_never_seen_is_found_though_each_value_is_usual() -> None:
    """A signal that freezes in mid-wave: no value is out of range."""
    model = fit(waves())
    healthy = window_distance(model, windows(waves(seed=4)))
    frozen_at = np.full((1, L, 3), 0.0)
    assert window_distance(model, frozen_at)[0] > np.quantile(healthy, 0.999)


def test_the_column_that_is_off_contributes_most() -> None:
    model = fit(waves())
    tried = np.stack([windows(waves())[100]] * 3)
    tried[np.arange(3), :, np.arange(3)] += 4.0
    _, contribution = run(model, tried)
    np.testing.assert_array_equal(contribution.argmax(axis=1), np.arange(3))


def test_distance_does_not_depend_on_the_machines_beside() -> None:
    """A thousand assets in one call get what each gets alone."""
    model = fit(waves())
    tried = windows(waves(rows=1_000 + L - 1, seed=5))
    together, _ = run(model, tried)
    alone = np.concatenate([run(model, tried[k : k + 1])[0] for k in (0, 500, 999)])
    np.testing.assert_allclose(together[[0, 500, 999]], alone, rtol=1e-6)


def test_a_machine_that_stood_still_has_one_centre() -> None:
    model = fit(np.full((100, 2), 0.5))
    assert len(model.centers) == 1
    statistic, _ = run(model, np.full((1, L, 2), 0.5))
    assert statistic[0] == 0.0


def test_recordings_shorter_than_a_window_are_left_out() -> None:
    short, long = waves(rows=L - 1), waves(rows=200)
    np.testing.assert_array_equal(fit(short, long).centers, fit(long).centers)
    with pytest.raises(ModelError, match="record longer"):
        fit(short)


def test_no_window_spans_two_recordings() -> None:
    """Two machines at levels far apart: nothing in between is usual."""
    model = fit(waves() - 8.0, waves() + 8.0)
    between = np.concatenate([np.full((1, L // 2, 3), -8.0), np.full((1, L // 2, 3), 8.0)], axis=1)
    assert window_distance(model, between)[0] > 8.0


def test_a_day_of_a_minute_each_trains_in_seconds() -> None:
    """24,000 rows of 38 columns: at most `WINDOWS_MAX` windows are fitted to."""
    rows = waves(rows=24_000, columns=38)
    begun = time.process_time()
    model = fit_window_centers([rows])
    assert time.process_time() - begun < 30.0
    assert model.centers.shape == (CENTER_COUNT, WINDOW_ROWS, 38)
    assert len(rows) > WINDOWS_MAX


def test_the_same_rows_give_the_same_model() -> None:
    np.testing.assert_array_equal(fit(waves()).centers, fit(waves()).centers)
