"""Training where the tolerance is known: quiet on healthy rows, and every case is found."""

from dataclasses import replace

import numpy as np
import pytest

from analytics.canary import fault_peaks, row_scores, smooth_runs
from analytics.training import anomaly, canary_cases
from analytics.training.anomaly import train_anomaly
from analytics.training.faults import FaultPattern, single_patterns, with_fault
from gateway.core.arrays import FloatArray
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest
from gateway.wire.bundle import read_bundle, write_bundle
from tests.analytics.models import COLUMNS, healthy, purpose


def averages(model: bytes, rows: FloatArray) -> FloatArray:
    scores = row_scores(model, rows.astype(np.float32))
    smooth: FloatArray = smooth_runs(scores[np.newaxis], period_s=1.0, smoothing_s=10.0)[0]
    return smooth


def test_healthy_rows_stay_below_the_threshold() -> None:
    """A day of one-second rows of the same machine, other noise: not one alarm row."""
    model = train_anomaly([healthy(3000)], purpose()).bundle.model
    assert averages(model, healthy(86_400, seed=9)).max() < 1


def test_the_manifest_tells_what_was_done() -> None:
    trained = train_anomaly([healthy(1000), healthy(500, seed=2)], purpose("3.7"))
    manifest = trained.bundle.manifest
    assert isinstance(manifest, AnomalyManifest)
    assert (manifest.name, manifest.version) == ("pump-anomaly", "3.7")
    assert manifest.trained_rows == 1050
    assert manifest.metrics["held_back_rows"] == 450
    assert manifest.metrics["held_back_alarm_share"] <= anomaly.FALSE_ALARM_SHARE
    assert manifest.metrics["canary_peak_min"] >= canary_cases.FAULT_PEAK_MIN
    assert trained.notes == ()
    again = read_bundle(write_bundle(trained.bundle))
    assert again.manifest == manifest


def test_the_same_rows_make_the_same_bundle() -> None:
    first, second = (write_bundle(train_anomaly([healthy(600)], purpose()).bundle) for _ in "ab")
    assert first == second


def test_every_canary_case_is_found_and_healthy_rows_are_silent() -> None:
    bundle = train_anomaly([healthy(1000)], purpose()).bundle
    assert bundle.canary is not None
    assert isinstance(bundle.manifest, AnomalyManifest)
    assert fault_peaks(bundle.model, bundle.manifest, bundle.canary).min() > 1
    assert len(bundle.canary.healthy) == canary_cases.HEALTHY_ROWS_MAX
    assert bundle.canary.fault_names[0].startswith("flow_residual_m3h too high by ")


def test_known_faults_of_several_columns_are_taken_in() -> None:
    pattern = FaultPattern(
        name="bearing worn", signs={"vibration_mm_s": 1.0, "bearing_temperature_residual_k": 0.5}
    )
    elsewhere = FaultPattern(name="oil leaks", signs={"oil_level_mm": -1.0})
    trained = train_anomaly([healthy(1000)], purpose(), patterns=[pattern, elsewhere])
    assert trained.bundle.canary is not None
    assert trained.bundle.canary.fault_names[-1].startswith("bearing worn by ")
    assert trained.notes == ("known faults left out for want of columns: oil leaks",)


@pytest.mark.parametrize("count", [0, 1, 149])
def test_too_few_rows_are_refused(count: int) -> None:
    with pytest.raises(ModelError, match="too few"):
        train_anomaly([healthy(200)[:count]], purpose())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_named(value: float) -> None:
    rows = healthy(500)
    rows[16, 3] = rows[20, 1] = value
    with pytest.raises(ModelError, match="recording 2, row 17: vibration_mm_s") as caught:
        train_anomaly([healthy(200), rows], purpose())
    assert "1 other" in str(caught.value)


def test_an_operating_point_that_does_not_come_again_is_still_healthy() -> None:
    """A load of its own for two minutes of the fitted part, and none in the held-back part."""
    rows = healthy(3000)
    rows[500:620, 1] += 3.0
    model = train_anomaly([rows], purpose()).bundle.model
    again = healthy(300, seed=3)
    again[:, 1] += 3.0
    assert averages(model, again).max() < 1


def test_a_recording_whose_end_stands_still_is_refused() -> None:
    rows = healthy(500)
    rows[350:] = 0.0
    with pytest.raises(ModelError, match="do not differ"):
        train_anomaly([rows], purpose())


def test_a_gross_outlier_in_the_recording_does_not_make_the_model_deaf() -> None:
    rows = healthy(3000)
    rows[2500, 1] = 1e9
    rows[100, 2] = -1e9
    soiled = train_anomaly([rows], purpose()).bundle
    torn = healthy(300, seed=4)
    torn[:, 1] += 12.0
    assert averages(soiled.model, torn).max() > 1


def test_training_does_not_change_its_rows() -> None:
    rows = healthy(500)
    before = rows.copy()
    train_anomaly([rows], purpose())
    np.testing.assert_array_equal(before, rows)


def test_slow_rows_are_averaged_over_several_of_them() -> None:
    """A row a minute: one odd row must not be an alarm there either."""
    slow = replace(purpose(), period_s=60.0)
    bundle = train_anomaly([healthy(1000)], slow).bundle
    assert isinstance(bundle.manifest, AnomalyManifest)
    scores = row_scores(bundle.model, healthy(100, seed=2).astype(np.float32))
    scores = scores.copy()
    scores[50] = 100.0
    smooth = smooth_runs(scores[np.newaxis], period_s=60.0, smoothing_s=10.0)[0]
    assert smooth.max() < 1


class TestFaults:
    def test_a_single_column_steps_and_several_grow(self) -> None:
        rows = np.zeros((9, 2))
        step = with_fault(
            rows,
            FaultPattern(name="", signs={"a": -1.0}),
            size=4,
            columns=("a", "b"),
            spread=np.array([0.5, 1.0]),
        )
        assert step[:, 0].tolist() == [-2.0] * 9
        assert not step[:, 1].any()
        growing = with_fault(
            rows,
            FaultPattern(name="", signs={"a": 1.0, "b": -0.5}),
            size=3,
            columns=("a", "b"),
            spread=np.ones(2),
        )
        assert growing[:, 0].tolist() == [1, 2, 3, 3, 3, 3, 3, 3, 3]
        assert growing[-1, 1] == -1.5
        assert not rows.any()

    def test_single_patterns_go_both_ways(self) -> None:
        assert [p.name for p in single_patterns(COLUMNS[:1])] == [
            "flow_residual_m3h too high",
            "flow_residual_m3h too low",
        ]
