"""Training where nothing is known of the columns: statistics of several, the memory of one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from analytics.anomaly.engines import open_engine
from analytics.canary import fault_peaks, run_scores
from analytics.training import anomaly, canary_cases, statistics
from analytics.training.anomaly import Trained, train_anomaly
from analytics.training.window_kmeans import WINDOW_ROWS
from gateway.core.arrays import FloatArray
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest, Method
from gateway.wire.bundle import read_bundle, write_bundle
from tests.analytics.models import COLUMNS, healthy, plain_purpose

ONE_COLUMN = replace(plain_purpose(), columns=COLUMNS[1:2])
OFFSETS = np.array([0.0, 20.0, 5.0, 2.0])


@cache
def usual() -> Trained:
    return train_anomaly([healthy(1500)], plain_purpose())


def scores(trained: Trained, rows: FloatArray) -> FloatArray:
    manifest = trained.bundle.manifest
    assert isinstance(manifest, AnomalyManifest)
    runs = rows[np.newaxis].astype(np.float32)
    found: FloatArray = run_scores(trained.bundle.model, manifest, runs)[0]
    return found


def test_the_manifest_tells_what_was_done() -> None:
    trained = train_anomaly([healthy(400), healthy(200, seed=2)], plain_purpose("3.7"))
    manifest = trained.bundle.manifest
    assert isinstance(manifest, AnomalyManifest)
    assert (manifest.format, manifest.method) == (2, Method.STATISTICS)
    assert manifest.dynamics is not None
    assert manifest.dynamics.statistics == statistics.STATISTICS
    assert manifest.trained_rows == manifest.metrics["held_back_rows"] == 600
    assert manifest.metrics["canary_peak_min"] >= canary_cases.FAULT_PEAK_MIN
    assert trained.notes == ()
    again = read_bundle(write_bundle(trained.bundle))
    assert again.manifest == manifest


def test_the_same_rows_make_the_same_bundle() -> None:
    first, second = (
        write_bundle(train_anomaly([healthy(400)], plain_purpose()).bundle) for _ in "ab"
    )
    assert first == second


def test_another_hour_of_the_same_machine_is_quiet() -> None:
    trained = usual()
    later = scores(trained, healthy(3000, seed=9))
    assert (later > 1.0).mean() <= 3 * anomaly.FALSE_ALARM_SHARE


def test_a_stated_share_of_false_alarms_moves_the_limit() -> None:
    rare, often = (
        train_anomaly([healthy(800)], replace(plain_purpose(), false_alarm_share=share))
        for share in (1e-4, 0.02)
    )
    rows = healthy(1000, seed=9)
    assert (scores(rare, rows) > 1.0).mean() == 0.0
    assert 0.002 < (scores(often, rows) > 1.0).mean() < 0.06


def test_a_broken_tie_between_signals_is_found_where_limits_see_nothing() -> None:
    """The trivial baseline, a range for each signal, stays silent: every value is usual."""
    trained = usual()
    rows = healthy(600, seed=3)
    rows[:, 1] = rows[::-1, 1]  # the current no longer follows the load
    train = healthy(1500)
    assert ((rows >= train.min(axis=0)) & (rows <= train.max(axis=0))).mean() > 0.999
    assert scores(trained, rows).max() > 1


def test_a_column_that_never_changed_is_evidence_when_it_does() -> None:
    rows = healthy(500)
    rows[:, 2] = 7.0
    trained = train_anomaly([rows], plain_purpose())
    assert "never changed" in trained.notes[0]
    assert "bearing_temperature_residual_k" in trained.notes[0]
    changed = healthy(200, seed=2)
    changed[:, 2] = 7.0
    assert scores(trained, changed).max() < 1.0
    changed[100:, 2] = 8.0
    found = scores(trained, changed)
    assert found[101] > 1.0
    changed[100:, 2] = 1e30
    assert scores(trained, changed)[150] < 1e5, "the evidence is bounded"


def test_columns_that_are_the_same_twice_are_no_obstacle() -> None:
    rows = healthy(800)
    rows[:, 2] = 2 * rows[:, 1] + 5
    trained = train_anomaly([rows], plain_purpose())
    torn = healthy(400, seed=3)
    torn[:, 2] = 2 * torn[:, 1] + 5
    assert scores(trained, torn).max() < 1.0
    torn[200:, 2] += 3.0
    assert scores(trained, torn)[210] > 1.0


def test_offsets_and_units_do_not_matter() -> None:
    """Scores of a machine in other units and far from zero; float32 of the history tells little."""
    rows, test = healthy(300), healthy(100, seed=2)
    factor = np.array([1e-4, 1.0, 1e5, 3.0])
    plain = scores(train_anomaly([rows], plain_purpose()), test)
    moved = train_anomaly([rows * factor + 1e3 * factor * OFFSETS], plain_purpose())
    manifest = moved.bundle.manifest
    assert isinstance(manifest, AnomalyManifest)
    engine = open_engine(moved.bundle.model, manifest, asset_count=1)
    counts = np.ones(1, dtype=np.bool_)
    found = [
        engine.update(k * 10**9, row[np.newaxis], counts).score[0]
        for k, row in enumerate(test * factor + 1e3 * factor * OFFSETS)
    ]
    behind = slice(WINDOW_ROWS, None)
    np.testing.assert_allclose(np.array(found)[behind], plain[behind], rtol=0.02, atol=0.02)


def test_rows_with_holes_are_left_out_and_told() -> None:
    rows = healthy(900)
    rows[300, 1] = np.nan
    rows[620:640] = np.nan
    trained = train_anomaly([rows], plain_purpose())
    manifest = trained.bundle.manifest
    assert isinstance(manifest, AnomalyManifest)
    assert manifest.trained_rows == 879
    assert trained.notes == ("21 of 900 rows are left out for holes, or for standing between them",)


@pytest.mark.parametrize("count", [0, 1, 149])
@pytest.mark.parametrize("columns", [1, 4])
def test_too_few_rows_are_refused(count: int, columns: int) -> None:
    purpose = replace(plain_purpose(), columns=COLUMNS[:columns])
    with pytest.raises(ModelError, match="too few"):
        train_anomaly([healthy(200)[:count, :columns]], purpose)


def test_too_many_holes_are_refused_with_the_column() -> None:
    rows = healthy(500)
    rows[::3, 2] = np.nan
    with pytest.raises(ModelError, match="most in bearing_temperature_residual_k"):
        train_anomaly([rows], plain_purpose())


def test_switches_count_for_nothing_and_are_told() -> None:
    rows = np.column_stack([healthy(400), np.arange(400) % 40 < 20])
    purpose = replace(plain_purpose(), columns=(*COLUMNS, "valve_open"))
    trained = train_anomaly([rows], purpose)
    assert "valve_open" in trained.notes[0]
    assert trained.bundle.canary is not None
    assert not any("valve_open" in name for name in trained.bundle.canary.fault_names)


def test_a_machine_that_stands_still_is_learnt() -> None:
    """Its first move is an anomaly."""
    trained = train_anomaly([np.full((300, 4), 3.0)], plain_purpose())
    rows = np.full((100, 4), 3.0)
    rows[50:, 1] = 4.0
    found = scores(trained, rows)
    assert found[:50].max() < 0.5
    assert found[52] > 1.0


def test_a_gross_outlier_in_the_recording_does_not_make_the_model_deaf() -> None:
    rows = healthy(600)
    rows[550, 1] = 1e4
    trained = train_anomaly([rows], plain_purpose())
    torn = healthy(300, seed=4)
    torn[100:, 3] += 2.0
    assert scores(trained, torn).max() > 1
    assert trained.notes == ("1 of 600 rows hold a wild reading; the row before stands for them",)


def test_a_long_recording_is_learnt_from_evenly_spaced_stretches() -> None:
    count = statistics.STRETCH_COUNT * statistics.STRETCH_ROWS
    stretches = statistics._stretches(np.arange(count + 1.0)[:, np.newaxis])
    assert [len(each) for each in stretches] == [statistics.STRETCH_ROWS] * statistics.STRETCH_COUNT
    assert stretches[0][0] == 0.0
    assert stretches[-1][-1] == count
    assert len(statistics._stretches(np.zeros((count, 1)))) == 1


def test_more_columns_than_a_short_recording_can_tie_together() -> None:
    """Five rows a column: the fit is loose, and its limits know it."""
    dice = np.random.default_rng(1)
    rows = dice.normal(size=(750, 30)) @ dice.normal(size=(30, 30)) / 5
    purpose = replace(plain_purpose(), columns=tuple(f"c{k}" for k in range(30)))
    trained = train_anomaly([rows[:150]], purpose)
    assert (scores(trained, rows[150:]) > 1.0).mean() < 0.01


class TestMemory:
    def test_one_column_has_a_memory(self) -> None:
        trained = train_anomaly([healthy(600)[:, 1:2] + 20], ONE_COLUMN)
        manifest = trained.bundle.manifest
        assert isinstance(manifest, AnomalyManifest)
        assert manifest.method is Method.MEMORY
        assert trained.bundle.canary is not None
        assert fault_peaks(trained.bundle.model, manifest, trained.bundle.canary).min() > 1
        later = healthy(400, seed=2)[:, 1:2] + 20
        later[300:] += 15.0
        found = scores(trained, later)
        assert found[300] > 1.0
        assert (found[:300] > 1.0).mean() < 0.01

    def test_the_same_rows_make_the_same_bundle(self) -> None:
        first, second = (
            write_bundle(train_anomaly([healthy(300)[:, 1:2]], ONE_COLUMN).bundle) for _ in "ab"
        )
        assert first == second
