"""The evidence of a diagnosis for people: frequencies, amplitudes, and what would be expected."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.vibration.diagnosis import Diagnosis
from analytics.vibration.envelope import ModulationSpectrum, band_envelope_spectrum
from analytics.vibration.evidence import LINES, SLIP, line_orders
from analytics.vibration.indicators import Machine
from analytics.vibration.iso20816 import LIMITS_MM_S
from analytics.vibration.kurtogram import Band, best_band
from gateway.core.arrays import FloatArray

SAMPLES_MAX: Final = 2**18
"""Of a longer waveform only the first are looked at."""
LINES_SHOWN_MAX: Final = 8

_SHOWN_DB: Final = 3.0
_FUNDAMENTALS: Final = ("BPFI", "BPFO", "2 BSF", "FTF")
"""Shown always."""
_SHAFT: Final = (
    ("0.5x", 0.5, "shaft_half_mm_s"),
    ("1x", 1.0, "shaft_1x_mm_s"),
    ("2x", 2.0, "shaft_2x_mm_s"),
    ("3x", 3.0, "shaft_3x_mm_s"),
)
_NOISE_KURTOSIS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was measured, beside what would be expected."""

    name: str
    """Such as `BPFO`, `1x` or `velocity_rms`."""
    frequency_hz: float | None
    """Where it was found; None for what has no frequency."""
    order: float | None
    """That over the speed of the shaft."""
    amplitude: float
    """In `unit`."""
    unit: str
    """`g` (peak, in the envelope), `mm/s` (RMS), or empty."""
    expected: float
    """Of a line its background, of a velocity the limit of zone A, in the same unit."""
    ratio: float
    """The one over the other."""
    evidence_db: float | None
    """How clearly a bearing's line stands out over all bands; see `evidence`."""


def findings(
    acceleration_g: FloatArray,
    rate_hz: float,
    speed_hz: float | None,
    machine: Machine,
    diagnosis: Diagnosis,
) -> tuple[Finding, ...]:
    """Return the evidence of a diagnosis, the bearing's first, the clearest line before others.

    The amplitudes of the bearing's lines are those in the envelope of the band that a kurtogram
    finds most impulsive. This takes longer than the diagnosis and is for when someone asks.

    Args:
        acceleration_g: The waveform that was diagnosed, in g.
        rate_hz: Samples in a second.
        speed_hz: Turns of the shaft in a second; None is unknown.
        machine: What is known of it.
        diagnosis: As `diagnose` returned it.
    """
    found: list[Finding] = []
    if diagnosis.indicators.lines is not None:
        assert speed_hz is not None
        found += _of_bearing(acceleration_g[:SAMPLES_MAX], rate_hz, speed_hz, machine, diagnosis)
    limit = LIMITS_MM_S[machine.group, machine.foundation].a
    if speed_hz is not None and speed_hz > 0:
        found += [
            Finding(
                name=name,
                frequency_hz=order * speed_hz,
                order=order,
                amplitude=(rms := diagnosis.indicators.named(indicator)),
                unit="mm/s",
                expected=limit,
                ratio=rms / limit,
                evidence_db=None,
            )
            for name, order, indicator in _SHAFT
        ]
    velocity = diagnosis.indicators.named("velocity_rms_mm_s")
    kurtosis = diagnosis.indicators.named("kurtosis")
    overall = [
        ("velocity_rms", velocity, "mm/s", limit),
        ("kurtosis", kurtosis, "", _NOISE_KURTOSIS),
    ]
    return (
        *found,
        *(
            Finding(
                name=name,
                frequency_hz=None,
                order=None,
                amplitude=amplitude,
                unit=unit,
                expected=expected,
                ratio=amplitude / expected,
                evidence_db=None,
            )
            for name, amplitude, unit, expected in overall
            if np.isfinite(amplitude)
        ),
    )


def demodulation_band(acceleration_g: FloatArray, rate_hz: float, fastest_hz: float) -> Band:
    """Return the most impulsive band that is wide enough for the fastest defect's sidebands.

    Args:
        acceleration_g: In g, shape (n,), n >= 128, finite.
        rate_hz: Samples in a second.
        fastest_hz: The highest modulation that is looked for.
    Raises:
        ValueError: too short, or not finite.
    """
    return best_band(acceleration_g, rate_hz=rate_hz, width_hz_min=2 * fastest_hz)


def _of_bearing(
    acceleration_g: FloatArray,
    rate_hz: float,
    speed_hz: float,
    machine: Machine,
    diagnosis: Diagnosis,
) -> list[Finding]:
    lines = diagnosis.indicators.lines
    assert lines is not None
    assert machine.bearing is not None
    fastest_hz = 2 * machine.bearing.bpfi * speed_hz
    band = demodulation_band(acceleration_g, rate_hz, fastest_hz)
    spectrum = band_envelope_spectrum(
        acceleration_g, rate_hz=rate_hz, low_hz=band.low_hz, high_hz=band.high_hz
    )
    found: list[Finding] = []
    clearest = np.argsort(-lines.evidence_db, kind="stable")
    orders = line_orders(machine.bearing)
    for k in clearest:
        name, evidence_db = LINES[k], float(lines.evidence_db[k])
        is_shown = evidence_db >= _SHOWN_DB and len(found) < LINES_SHOWN_MAX
        if not is_shown and name not in _FUNDAMENTALS:
            continue
        measured = _line(spectrum, float(orders[k]) * speed_hz, speed_hz)
        if measured is None:
            continue
        frequency_hz, amplitude, background = measured
        found.append(
            Finding(
                name=name,
                frequency_hz=frequency_hz,
                order=frequency_hz / speed_hz,
                amplitude=amplitude,
                unit="g",
                expected=background,
                ratio=amplitude / background if background > 0 else 0.0,
                evidence_db=evidence_db,
            )
        )
    return found


def _line(
    spectrum: ModulationSpectrum, frequency_hz: float, speed_hz: float
) -> tuple[float, float, float] | None:
    """Return where a line is highest, its amplitude, and the median beside it."""
    amplitude, bin_hz = spectrum.amplitude, spectrum.bin_hz
    middle = frequency_hz / bin_hz
    near = max(1.0, SLIP * middle)
    first, last = max(1, round(middle - near)), round(middle + near)
    if last >= len(amplitude):
        return None
    half = max(8, round(0.4 * speed_hz / bin_hz))
    beside = amplitude[max(1, first - half) : last + half + 1]
    at = first + int(amplitude[first : last + 1].argmax())
    return at * bin_hz, float(amplitude[at]), float(np.median(beside))
