"""The engine of statistics: against loops, across gaps, checkpoints, and what is no number."""

from dataclasses import replace

import numpy as np
import pytest

from analytics.anomaly.statistics_engine import GAP_STEPS, StatisticsEngine
from analytics.runtime import StatisticsGraph
from analytics.training.anomaly import train_anomaly
from analytics.training.window_kmeans import WINDOW_ROWS
from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest
from gateway.wire.bundle import Bundle, read_bundle
from tests.analytics.frames import NS
from tests.analytics.models import COLUMNS, healthy, model, plain_model, plain_purpose
from tests.naive.statistics import scores as naive_scores


def opened() -> tuple[Bundle, AnomalyManifest]:
    bundle = read_bundle(plain_model())
    assert isinstance(bundle.manifest, AnomalyManifest)
    return bundle, bundle.manifest


def engine(*, asset_count: int = 1) -> StatisticsEngine:
    bundle, manifest = opened()
    return StatisticsEngine(bundle.model, manifest, asset_count=asset_count)


def played(
    host: StatisticsEngine, runs: FloatArray, *, start_s: int = 0, counts: BoolArray | None = None
) -> FloatArray:
    """The scores of runs (n, r, m), a row a second, shape (n, r)."""
    scores = []
    for k in range(runs.shape[1]):
        usable = np.ones(len(runs), dtype=np.bool_) if counts is None else counts[:, k]
        scores.append(host.update((start_s + k) * NS, runs[:, k], usable).score)
    return np.stack(scores, axis=1)


def faulty(count: int, *, seed: int = 7) -> FloatArray:
    rows = healthy(count, seed=seed)
    rows[count // 2 :, 2] += 6.0
    return rows


def test_scores_are_those_of_the_definition() -> None:
    """Baseline, history, averages and tails by loops; the graph's float32 gives the tolerance."""
    bundle, manifest = opened()
    dynamics = manifest.dynamics
    assert dynamics is not None
    graph = StatisticsGraph(bundle.model, shape=(1, WINDOW_ROWS, 4), statistic_count=3)

    def statistics(history: list[list[float]]) -> list[float]:
        np.copyto(graph.history[0], history, casting="same_kind")
        return [float(each) for each in graph.run()[0][0]]

    rows = faulty(120)
    expected = naive_scores(rows.tolist(), dynamics, statistics)
    found = played(engine(), rows[np.newaxis])[0]
    assert all(each is None for each in expected[: WINDOW_ROWS - 1])
    assert np.isnan(found[: WINDOW_ROWS - 1]).all()
    given = np.array(expected[WINDOW_ROWS - 1 :], dtype=np.float64)
    np.testing.assert_allclose(found[WINDOW_ROWS - 1 :], given, rtol=1e-4, atol=1e-4)
    assert found[-1] > 1.0


def test_many_assets_in_one_call_are_scored_as_each_alone() -> None:
    runs = np.stack([healthy(40), faulty(40), healthy(40, seed=9)])
    together = played(engine(asset_count=3), runs)
    alone = np.concatenate([played(engine(), run[np.newaxis]) for run in runs])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_an_asset_waits_until_its_history_is_full() -> None:
    host = engine(asset_count=2)
    runs = np.stack([healthy(WINDOW_ROWS + 2)] * 2)
    counts = np.ones(runs.shape[:2], dtype=np.bool_)
    counts[1, 0] = False
    for k in range(WINDOW_ROWS + 2):
        assessed = host.update(k * NS, runs[:, k], counts[:, k])
        assert assessed.is_waiting.tolist() == [
            k < WINDOW_ROWS - 1,
            bool(counts[1, k]) and k < WINDOW_ROWS,
        ]
        assert np.isfinite(assessed.score).tolist() == [k >= WINDOW_ROWS - 1, k >= WINDOW_ROWS]


def test_a_history_does_not_reach_across_a_gap() -> None:
    host = engine()
    rows = healthy(60)
    played(host, rows[np.newaxis, :30])
    behind = played(host, rows[np.newaxis, 30:], start_s=30 + int(GAP_STEPS) + 1)
    assert np.isnan(behind[0, : WINDOW_ROWS - 1]).all()
    assert np.isfinite(behind[0, WINDOW_ROWS - 1 :]).all()


def test_rows_at_a_slower_pace_are_no_gaps() -> None:
    """The first slow row looks like one; from the second on it is the usual pace."""
    host = engine()
    rows = healthy(60)
    one = np.ones(1, dtype=np.bool_)
    scores = [host.update(k * 60 * NS, rows[[k]], one).score[0] for k in range(60)]
    assert np.isfinite(scores[WINDOW_ROWS:]).all()


def test_a_few_rows_that_do_not_count_are_passed_over() -> None:
    """They have no score; the rows behind them go on as if they had not been."""
    host = engine()
    rows = healthy(40)[np.newaxis]
    counts = np.ones((1, 40), dtype=np.bool_)
    counts[0, 25:28] = False
    rows[0, 25:28] = np.nan
    scores = played(host, rows, counts=counts)
    assert np.isnan(scores[0, 25:28]).all()
    without = played(engine(), np.delete(rows, [25, 26, 27], axis=1))
    np.testing.assert_array_equal(scores[0, 28:], without[0, 25:])


def test_a_checkpoint_goes_on_exactly() -> None:
    runs = np.stack([healthy(80), faulty(80)])
    host = engine(asset_count=2)
    expected = played(host, runs)
    first, second = engine(asset_count=2), engine(asset_count=2)
    played(first, runs[:, :45])
    second.restore(first.checkpoint())
    np.testing.assert_array_equal(expected[:, 45:], played(second, runs[:, 45:], start_s=45))
    np.testing.assert_array_equal(host.shares(), second.shares())


def test_a_checkpoint_of_another_model_is_refused_and_changes_nothing() -> None:
    host = engine(asset_count=2)
    played(host, np.stack([healthy(30)] * 2))
    before = host.checkpoint()
    for foreign in (engine(asset_count=3).checkpoint(), "not base64", before[:100]):
        with pytest.raises(ValueError, match="checkpoint"):
            host.restore(foreign)
    assert host.checkpoint() == before


def test_a_step_of_the_clock_is_no_gap() -> None:
    host, other = engine(), engine()
    rows = healthy(40)[np.newaxis]
    played(host, rows[:, :20], start_s=1000)
    host.rebase(-500 * NS)
    played(other, rows[:, :20], start_s=500)
    behind = played(host, rows[:, 20:], start_s=520)
    np.testing.assert_array_equal(behind, played(other, rows[:, 20:], start_s=520))


def test_wild_values_make_large_scores_and_nothing_worse() -> None:
    rows = healthy(60)
    rows[30] = [1e300, -1e300, 1e9, 0.0]
    scores = played(engine(), rows[np.newaxis])[0]
    assert np.isfinite(scores[WINDOW_ROWS - 1 :]).all()
    assert scores[30] > 1.0
    later = played(engine(), np.concatenate([rows, healthy(200)])[np.newaxis])[0]
    assert later[-1] < 1.0


def test_shares_name_the_column_and_sum_to_one() -> None:
    host = engine()
    played(host, faulty(60)[np.newaxis])
    shares = host.shares()[0]
    assert shares.sum() == pytest.approx(1.0)
    assert COLUMNS[int(shares.argmax())] == "bearing_temperature_residual_k"


def test_switches_are_not_looked_at() -> None:
    rows = np.column_stack([healthy(600), np.arange(600) % 50 < 25])
    wide = train_anomaly([rows], replace(plain_purpose(), columns=(*COLUMNS, "valve_open"))).bundle
    assert isinstance(wide.manifest, AnomalyManifest)
    host = StatisticsEngine(wide.model, wide.manifest, asset_count=2)
    runs = np.stack([rows[:40], rows[:40]])
    runs[1, :, 4] = 1.0 - runs[1, :, 4]
    scores = played(host, runs)
    np.testing.assert_array_equal(scores[0], scores[1])
    assert host.shares().shape == (2, 5)


def test_a_graph_of_another_method_is_refused() -> None:
    _, manifest = opened()
    with pytest.raises(ModelError, match="inputs"):
        StatisticsEngine(read_bundle(model()).model, manifest, asset_count=1)
