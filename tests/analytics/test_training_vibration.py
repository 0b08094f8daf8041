from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from analytics.training.vibration import KnownFault, TrainedVibration, train_vibration
from analytics.vibration.bearings import bearing
from analytics.vibration.diagnosis import (
    MODEL_COLUMNS,
    diagnose,
    model_row,
    windowed,
)
from analytics.vibration.indicators import Machine
from analytics.vibration.learned import LearnedClassifier
from gateway.core.arrays import FloatArray
from gateway.core.errors import ModelError
from gateway.core.vibration_manifest import FaultLabel
from gateway.wire.bundle import read_bundle, write_bundle
from tests.analytics.bundles import small_bundle
from tests.analytics.rotating import bearing_waveform, shaft_waveform

FAULTS: tuple[FaultLabel, ...] = ("none", "inner", "outer", "ball")
RATE_HZ, SPEED_HZ = 12_000.0, 29.0


def recording(
    fault: FaultLabel,
    *,
    seed: int,
    name: str = "6205",
    rate_hz: float = RATE_HZ,
    speed_hz: float = SPEED_HZ,
    turns: float = 40,
    blow_g: float = 1.0,
) -> KnownFault:
    signal = bearing_waveform(
        fault,
        bearing(name),
        rate_hz=rate_hz,
        speed_hz=speed_hz,
        turns=turns,
        seed=seed,
        blow_g=blow_g,
    )
    return KnownFault(
        acceleration_g=signal,
        rate_hz=rate_hz,
        speed_hz=speed_hz,
        machine=Machine(bearing=bearing(name)),
        fault=fault,
        group=f"{fault}-{seed // 2}",
    )


@pytest.fixture(scope="module")
def trained() -> TrainedVibration:
    recordings = [
        recording(fault, seed=seed, blow_g=0.5 + 0.25 * seed)
        for fault in FAULTS
        for seed in range(6)
    ]
    return train_vibration(recordings, name="rig", version="1.0")


@pytest.mark.parametrize(
    ("name", "rate_hz", "speed_hz"),
    [("6308", 25_600.0, 25.0), ("ER16K", 20_000.0, 12.5), ("6205", 48_000.0, 55.0)],
)
def test_a_model_of_one_rig_tells_the_faults_of_another(
    trained: TrainedVibration, name: str, rate_hz: float, speed_hz: float
) -> None:
    """Another bearing, another speed, another rate: nine of ten windows of each raceway."""
    model = LearnedClassifier(write_bundle(trained.bundle))
    for fault in ("inner", "outer", "ball"):
        told: Counter[str] = Counter()
        for seed in range(10):
            each = recording(
                "inner" if fault == "inner" else "outer" if fault == "outer" else "ball",
                seed=100 + seed,
                name=name,
                rate_hz=rate_hz,
                speed_hz=speed_hz,
                turns=20,
            )
            found = diagnose(each.acceleration_g, rate_hz, speed_hz, each.machine, model)
            told[found.fault] += 1
        assert told[fault] >= 9, (fault, told)


def test_a_healthy_machine_of_the_rig_has_no_fault(trained: TrainedVibration) -> None:
    model = LearnedClassifier(write_bundle(trained.bundle))
    told: Counter[str] = Counter(
        diagnose(
            (each := recording("none", seed=seed, turns=20)).acceleration_g,
            RATE_HZ,
            SPEED_HZ,
            each.machine,
            model,
        ).fault
        for seed in range(200, 220)
    )
    assert told["none"] >= 18, told


def test_the_graph_says_what_the_formulas_say(trained: TrainedVibration) -> None:
    """To 1e-4, on healthy, faulty and extreme rows, and on rows with values that are not known."""
    bundle = read_bundle(write_bundle(trained.bundle))
    model = LearnedClassifier(write_bundle(bundle))
    rng = np.random.default_rng(1)
    rows = np.vstack((rng.uniform(0, 20, (200, len(MODEL_COLUMNS))), np.zeros((1, 19))))
    rows[7, 14] = np.nan
    found = model.probabilities(rows)
    assert found == pytest.approx(trained.probabilities(rows), abs=1e-4)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_the_manifest_says_how_good_it_is_on_recordings_kept_apart(
    trained: TrainedVibration,
) -> None:
    manifest = trained.manifest
    assert manifest.labels == FAULTS
    assert manifest.columns == MODEL_COLUMNS
    assert manifest.metrics["groups"] == 12
    assert manifest.metrics["balanced_accuracy"] > 0.9
    assert manifest.trained_recordings == 24
    assert trained.notes == ()


def test_the_same_recordings_make_the_same_model(trained: TrainedVibration) -> None:
    recordings = [
        recording(fault, seed=seed, blow_g=0.5 + 0.25 * seed)
        for fault in FAULTS
        for seed in range(6)
    ]
    again = train_vibration(recordings, name="rig", version="1.0")
    assert again.bundle.model == trained.bundle.model
    # The time of a call is measured anew.
    assert again.manifest.model_copy(update={"cost": trained.manifest.cost}) == trained.manifest


def test_the_manifest_says_what_a_diagnosis_costs(trained: TrainedVibration) -> None:
    cost = trained.manifest.cost
    assert cost is not None
    assert 0 < cost.row_ms_p50 <= cost.row_ms_p99
    assert cost.size_bytes < 10_000


def test_a_fault_that_was_seen_once_is_said_to_be_unproven() -> None:
    recordings = [
        *(recording(fault, seed=seed) for fault in ("inner", "outer") for seed in range(4)),
        recording("ball", seed=0, turns=60),
    ]
    found = train_vibration(recordings, name="rig", version="1.0")
    assert any(note.startswith("ball: one group only") for note in found.notes)
    assert any("no recording is of a healthy machine" in note for note in found.notes)
    assert "none" not in found.manifest.labels


def test_a_recording_too_slow_for_ringing_is_no_obstacle() -> None:
    """Below 5 kHz there is no band where blows ring; the model has a neutral value for it."""
    recordings = [
        recording(fault, seed=seed, rate_hz=4000.0, speed_hz=20.0)
        for fault in FAULTS
        for seed in range(3)
    ]
    trained = train_vibration(recordings, name="slow", version="1.0")
    model = LearnedClassifier(write_bundle(trained.bundle))
    each = recordings[3]
    row = model_row(windowed(each.acceleration_g, 4000.0, 20.0, each.machine), each.machine)
    assert np.isnan(row[MODEL_COLUMNS.index("impact_ratio_db")])
    assert np.isfinite(model.probabilities(row[None])).all()


def test_faults_of_the_shaft_can_be_learnt_too() -> None:
    patterns: dict[FaultLabel, dict[float, float]] = {
        "unbalance": {1.0: 5.0, 2.0: 0.4},
        "misalignment": {1.0: 2.0, 2.0: 3.0, 3.0: 0.4},
    }

    def known(fault: FaultLabel, seed: int) -> KnownFault:
        return KnownFault(
            acceleration_g=shaft_waveform(
                patterns[fault], rate_hz=RATE_HZ, speed_hz=SPEED_HZ, turns=40, seed=seed
            ),
            rate_hz=RATE_HZ,
            speed_hz=SPEED_HZ,
            machine=Machine(bearing=bearing("6205")),
            fault=fault,
            group=f"{fault}-{seed}",
        )

    recordings = [known(fault, seed) for fault in patterns for seed in range(4)]
    trained = train_vibration(recordings, name="shaft", version="1.0")
    assert trained.manifest.metrics["balanced_accuracy"] == 1.0


def _spoilt(signal: FloatArray) -> FloatArray:
    copy = signal.copy()
    copy[5] = np.nan
    return copy


def test_what_cannot_be_learnt_from_is_told() -> None:
    good = [recording(fault, seed=seed) for fault in ("inner", "outer") for seed in range(2)]
    with pytest.raises(ModelError, match="all recordings are of inner"):
        train_vibration(good[:2], name="x", version="1.0")
    short = replace(good[0], acceleration_g=good[0].acceleration_g[:500])
    with pytest.raises(ModelError, match=r"recording 5 \(500 samples"):
        train_vibration([*good, short], name="x", version="1.0")
    with pytest.raises(ModelError, match="recording 1 has no bearing"):
        train_vibration([replace(good[0], machine=Machine())], name="x", version="1.0")
    spoilt = replace(good[0], acceleration_g=_spoilt(good[0].acceleration_g))
    with pytest.raises(ValueError, match="sample 5 "):
        train_vibration([*good, spoilt], name="x", version="1.0")


def test_a_bundle_of_another_kind_is_no_classifier() -> None:
    with pytest.raises(ModelError, match="train vibration"):
        LearnedClassifier(write_bundle(small_bundle()))


def test_a_model_of_other_columns_is_refused(trained: TrainedVibration) -> None:
    manifest = trained.manifest.model_copy(update={"columns": MODEL_COLUMNS[::-1]})
    with pytest.raises(ModelError, match="train it anew"):
        LearnedClassifier(write_bundle(replace(trained.bundle, manifest=manifest)))
