"""CWRU and FEMTO: real bearings with real faults, not part of the project.

On CWRU one size of fault, which is one bearing, is left out of the training and diagnosed: a model
that had learnt the machine would fail. All with one fixed configuration.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from analytics.training.vibration import KnownFault, train_vibration
from analytics.vibration.bearings import Geometry, bearing, bearing_of_geometry
from analytics.vibration.diagnosis import diagnose
from analytics.vibration.indicators import Machine, indicators
from analytics.vibration.learned import LearnedClassifier
from gateway.core.arrays import FloatArray
from gateway.core.vibration_manifest import FaultLabel
from gateway.wire.bundle import write_bundle

DATA = Path(__file__).parent.parent.parent.parent / "shared" / "data"
RATE_HZ = 12_000.0
WINDOW = 4096
SIZES_MIL = (7, 14, 21)
FAULTS: tuple[FaultLabel, ...] = ("inner", "outer", "ball")
MACHINE = Machine(bearing=bearing("6205"))

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="the recordings are not part of the project"),
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    known: KnownFault
    size_mil: int


def recordings() -> list[Found]:
    """All recordings of faults; the one normal recording has another rate and is left out."""
    found = []
    with (DATA / "cwru" / "index.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            fault = next((each for each in FAULTS if each == line["fault"]), None)
            if fault is None:
                continue
            with np.load(DATA / "cwru" / line["file"]) as stored:
                signal = stored["DE"].astype(np.float64) * float(stored["DE_lsb"])
            known = KnownFault(
                acceleration_g=signal,
                rate_hz=RATE_HZ,
                speed_hz=float(line["rpm"]) / 60,
                machine=MACHINE,
                fault=fault,
                group=line["file"],
            )
            found.append(Found(known=known, size_mil=int(line["fault_mil"])))
    return found


def balanced_accuracy(pairs: Sequence[tuple[str, str]]) -> float:
    """The mean share of right answers over the faults; pairs of truth and answer."""
    shares = []
    for fault in FAULTS:
        told = [answer for truth, answer in pairs if truth == fault]
        shares.append(sum(answer == fault for answer in told) / len(told))
    return sum(shares) / len(shares)


@pytest.mark.slow
def test_a_bearing_that_was_never_seen_is_diagnosed() -> None:
    """Mean of three sizes left out, windows of 4096 samples alone; plain ways have 0.71."""
    found = recordings()
    figures = []
    for size in SIZES_MIL:
        rest = [
            each.known for each in found if each.size_mil in SIZES_MIL and each.size_mil != size
        ]
        trained = train_vibration(rest, name="cwru", version="1.0")
        model = LearnedClassifier(write_bundle(trained.bundle))
        pairs = [
            (
                each.known.fault,
                diagnose(window, RATE_HZ, each.known.speed_hz, MACHINE, model).fault,
            )
            for each in found
            if each.size_mil == size
            for window in _windows(each.known.acceleration_g)
        ]
        figures.append(balanced_accuracy(pairs))
    print("balanced accuracy", dict(zip(SIZES_MIL, figures, strict=True)), np.mean(figures))
    assert np.mean(figures) >= 0.85


def test_the_defects_of_raceways_are_seen_without_any_model() -> None:
    """All windows of the small and the large defect; not one is taken for the other raceway."""
    for each in recordings():
        is_clear = each.size_mil in {7, 21} and each.known.fault != "ball"
        if is_clear:
            window = each.known.acceleration_g[:WINDOW]
            told = diagnose(window, RATE_HZ, each.known.speed_hz, MACHINE).fault
            assert told == each.known.fault, each.known.group


@pytest.mark.parametrize(
    ("name", "speed_rpm"), [("Bearing1_1", 1800), ("Bearing2_2", 1650), ("Bearing3_2", 1500)]
)
def test_the_indicators_rise_while_a_bearing_fails(name: str, speed_rpm: float) -> None:
    """The last fiftieth of a life shakes at least twice as much as the first half did."""
    with np.load(DATA / "femto" / f"{name}.npz") as stored:
        raw = stored["raw_milli_g"][:, :, 0] / 1000.0
    machine = Machine(
        bearing=bearing_of_geometry(Geometry(count=13, diameter=3.5, pitch=25.6)), group=2
    )
    rms = np.array(
        [
            indicators(each.astype(np.float64), 25_600.0, speed_rpm / 60, machine).named("rms_g")
            for each in raw
        ]
    )
    early, late = np.median(rms[: len(rms) // 2]), np.median(rms[-max(2, len(rms) // 50) :])
    assert late > 2 * early


def _windows(signal: FloatArray) -> list[FloatArray]:
    return [signal[k : k + WINDOW] for k in range(0, len(signal) - WINDOW + 1, WINDOW)]
