"""CWRU: bearings with faults of three sizes; one size is left out and diagnosed.

A fault size is a bearing of its own, so nothing of the bearing that is judged has been seen. The
only normal recording has 48 kHz and is brought to the 12 kHz of the others first; its first half
is there to learn from, its second half to be judged.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from analytics.scorers.diagnosis import balanced_accuracy, macro_auroc, macro_f1
from gateway.core.arrays import FloatArray
from gateway.core.errors import ConfigError
from gateway.proof.costs import largest, median
from gateway.proof.plain_envelope import ORDERS_6205, envelope_evidence
from gateway.proof.reading import arrays
from gateway.proof.rows import Row
from gateway.proof.subject import Diagnosed, Subject, Waveform
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "cwru"
INDEX: Final = "index.csv"
SIZES_MIL: Final = ("7", "14", "21")
FAULTS: Final = ("inner", "outer", "ball")
BEARING: Final = "6205"
RATE_HZ: Final = 12_000.0
WINDOW: Final = 4_096
BASELINE: Final = "envelope spectrum, untrained"
TRANSITION: Final = 0.9
"""Frequencies above this part of the new Nyquist frequency are left out when decimating."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A recording, and the size of its fault."""

    waveform: Waveform
    size_mil: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One size left out."""

    actual: tuple[str, ...]
    """For each window of a faulty bearing."""
    diagnosed: Diagnosed | None
    """The same windows, and after them those of the normal recording."""
    plain: tuple[dict[str, float], ...]

    def figures(self) -> dict[str, float]:
        """Return the figures by metric."""
        assert self.diagnosed is not None
        count = len(self.actual)
        by_fault = [dict(each) for each in self.diagnosed.probabilities[:count]]
        scores = {fault: np.array([each.get(fault, 0.0) for each in by_fault]) for fault in FAULTS}
        told = self.diagnosed.faults[:count]
        return _figures(self.actual, told, scores)

    def plain_figures(self) -> dict[str, float]:
        """Return the figures of the plain way."""
        scores = {fault: np.array([each[fault] for each in self.plain]) for fault in FAULTS}
        told = tuple(max(each, key=lambda fault: each[fault]) for each in self.plain)
        return _figures(self.actual, told, scores)

    @property
    def quiet_count(self) -> int:
        """How many windows of the normal recording are told to have no fault."""
        assert self.diagnosed is not None
        return self.diagnosed.faults[len(self.actual) :].count("none")


def is_there(folder: Path) -> bool:
    """Whether the set is there, and a normal recording in it."""
    return (folder / NAME / INDEX).is_file() and any(
        each.waveform.fault == "none" for each in recordings(folder)
    )


def judge(subject: Subject, folder: Path, size_mil: str) -> Judged:
    """Learn from the other sizes, and diagnose the windows of this one."""
    found = recordings(folder)
    normal = next(each.waveform for each in found if each.waveform.fault == "none")
    half = len(normal.acceleration_g) // 2
    known = [
        *(
            each.waveform
            for each in found
            if each.size_mil in SIZES_MIL and each.size_mil != size_mil
        ),
        replace(normal, acceleration_g=normal.acceleration_g[:half]),
    ]
    judged = [
        window for each in found if each.size_mil == size_mil for window in windows(each.waveform)
    ]
    quiet = windows(replace(normal, acceleration_g=normal.acceleration_g[half:]))
    return Judged(
        actual=tuple(each.fault for each in judged),
        diagnosed=subject.diagnose(known, [*judged, *quiet]) if subject.has_diagnosis else None,
        plain=tuple(
            envelope_evidence(
                each.acceleration_g,
                rate_hz=each.rate_hz,
                shaft_hz=each.speed_rpm / 60,
                orders=ORDERS_6205,
            )
            for each in judged
        ),
    )


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return all figures of the set: the mean of the three sizes left out."""
    judged = workers.each(partial(judge, subject, folder), SIZES_MIL, tell)
    plain = [each.plain_figures() for each in judged]
    ours = [each.figures() for each in judged] if subject.has_diagnosis else []
    costs = [each.diagnosed for each in judged if each.diagnosed is not None]
    latency_ms = median(each.latency_ms for each in costs)
    rows = []
    for metric in plain[0]:
        by_size = [
            f"{size} mil {each[metric]:.2f}"
            for size, each in zip(SIZES_MIL, ours or plain, strict=True)
        ]
        rows.append(
            Row(
                set_name=NAME,
                metric=metric,
                value=float(np.mean([each[metric] for each in ours])) if ours else None,
                target=target(NAME, metric),
                baseline=float(np.mean([each[metric] for each in plain])),
                baseline_name=BASELINE,
                latency_ms=latency_ms,
                size_kb=largest(each.size_kb for each in costs),
                note=", ".join(by_size) if ours else "not built",
            )
        )
    quiet = [each.quiet_count for each in judged] if ours else []
    counts = [len(each.diagnosed.faults) - len(each.actual) for each in judged if each.diagnosed]
    rows.append(
        Row(
            set_name=NAME,
            metric="normal windows without a fault",
            value=sum(quiet) / sum(counts) if ours else None,
            target=target(NAME, "normal windows without a fault"),
            note=f"{sum(quiet)} of {sum(counts)}" if ours else "not built",
        )
    )
    rows.append(
        Row(
            set_name=NAME,
            metric="ms a window",
            value=latency_ms,
            target=target(NAME, "ms a window"),
            latency_ms=latency_ms,
            note=f"{WINDOW} samples" if ours else "not built",
        )
    )
    return rows


def recordings(folder: Path) -> list[Found]:
    """Return all recordings of the drive end, at 12 kHz."""
    path = folder / NAME / INDEX
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        return [_recording(folder / NAME / line["file"], line) for line in lines]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def windows(waveform: Waveform) -> list[Waveform]:
    """Return the whole windows of a recording, one after the other."""
    signal = waveform.acceleration_g
    return [
        replace(waveform, acceleration_g=signal[start : start + WINDOW])
        for start in range(0, len(signal) - WINDOW + 1, WINDOW)
    ]


def decimated(signal: FloatArray, factor: int) -> FloatArray:
    """Return every factor-th sample, after all that is too fast for that has been taken out."""
    whole = signal[: len(signal) // factor * factor]
    spectrum = np.fft.rfft(whole)
    kept = int(len(whole) // factor // 2 * TRANSITION)
    spectrum[kept:] = 0
    return np.asarray(np.fft.irfft(spectrum, len(whole))[::factor])


def _recording(path: Path, line: dict[str, str]) -> Found:
    stored = arrays(path, "DE", "DE_lsb", "fs")
    signal = stored["DE"].astype(np.float64) * float(stored["DE_lsb"])
    factor = round(float(stored["fs"]) / RATE_HZ)
    waveform = Waveform(
        name=path.stem,
        acceleration_g=signal if factor == 1 else decimated(signal, factor),
        rate_hz=RATE_HZ,
        speed_rpm=float(line["rpm"]),
        bearing=BEARING,
        fault="none" if line["fault"] == "normal" else line["fault"],
    )
    return Found(waveform=waveform, size_mil=line["fault_mil"])


def _figures(
    actual: tuple[str, ...], told: tuple[str, ...], scores: dict[str, FloatArray]
) -> dict[str, float]:
    return {
        "balanced accuracy": balanced_accuracy(actual, told),
        "macro F1": macro_f1(actual, told),
        "macro AUROC": macro_auroc(actual, scores),
    }
