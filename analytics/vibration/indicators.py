"""What is kept of a waveform: one row of named indicators, each of which can be trended."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from analytics.vibration.bearings import Bearing
from analytics.vibration.evidence import (
    FEATURES,
    LineEvidence,
    bearing_evidence,
    is_measurable,
)
from analytics.vibration.iso20816 import HIGH_HZ, Foundation, Group, low_hz
from analytics.vibration.spectrum import (
    G_M_S2,
    amplitude_spectrum,
    band_rms,
    checked,
    row_medians,
)
from gateway.core.arrays import FloatArray, frozen

Axis = Literal["radial", "axial"]
"""Of the sensor, against the shaft."""

TIME_NAMES: Final = ("rms_g", "peak_g", "crest", "kurtosis", "skewness")
BAND_NAMES: Final = ("velocity_rms_mm_s", "impact_ratio_db")
SHAFT_NAMES: Final = (
    "shaft_half_mm_s",
    "shaft_1x_mm_s",
    "shaft_2x_mm_s",
    "shaft_3x_mm_s",
    "shaft_higher_mm_s",
    "shaft_harmonics",
)
DEFECT_NAMES: Final = tuple(f"{name}_db" for name in FEATURES)
NAMES: Final = (*TIME_NAMES, *BAND_NAMES, *SHAFT_NAMES, *DEFECT_NAMES)
"""Of all indicators, in the order of the row."""

IMPACT_HZ: Final = (2000.0, 5000.0)
"""Where blows ring in most machines, against the band of the velocity."""
HARMONICS_MAX: Final = 10

_CLEAR_RATIO: Final = 6.0
"""A harmonic of the shaft stands out when it is so many times its background."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What has to be known of a machine to understand its vibration."""

    bearing: Bearing | None = None
    """At the sensor; None when it is not known."""
    group: Group = 2
    """Of ISO 20816-3."""
    foundation: Foundation = "rigid"
    """Of ISO 20816-3."""
    axis: Axis = "radial"
    """Direction of the sensor."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Indicators:
    """One waveform in numbers."""

    value: FloatArray
    """Shape (25,), in the order of `NAMES`; NaN where speed or bearing would be needed, or the
    waveform is too slow or too short for it. Read-only."""
    lines: LineEvidence | None
    """The bearing's lines; None without speed or bearing."""
    window_count: int = 1
    """Of how many windows these are the means."""

    def named(self, name: str) -> float:
        """Return one of the values."""
        return float(self.value[NAMES.index(name)])


def indicators(
    acceleration_g: FloatArray, rate_hz: float, speed_hz: float | None, machine: Machine
) -> Indicators:
    """Return the indicators of one waveform.

    Args:
        acceleration_g: In g, shape (k,), k >= 16, evenly sampled, finite; offset is taken out.
        rate_hz: Samples in a second.
        speed_hz: Turns of the shaft in a second; None, or not above 0, is unknown.
        machine: What is known of it.
    Returns:
        One row. A constant waveform has amplitudes 0, crest, kurtosis and skewness NaN.
    Raises:
        ValueError: too short, or a sample is not finite.
    Source:
        Kurtosis is that of Pearson, 3 for noise (ISO 13373-2); shaft orders after ISO 13373-1.
    """
    moved = checked(acceleration_g)
    speed = speed_hz if speed_hz is not None and speed_hz > 0 else None
    value = np.full(len(NAMES), np.nan)
    value[: len(TIME_NAMES)] = _of_time(moved)
    bin_hz = rate_hz / len(moved)
    amplitude = amplitude_spectrum(moved)
    velocity = _velocity(amplitude, bin_hz, low_hz(speed))
    at = len(TIME_NAMES)
    value[at] = band_rms(velocity, bin_hz=bin_hz, low_hz=low_hz(speed), high_hz=HIGH_HZ)
    value[at + 1] = _impact_ratio_db(amplitude, bin_hz)
    lines = None
    if speed is not None:
        at += len(BAND_NAMES)
        value[at : at + len(SHAFT_NAMES)] = _of_shaft(amplitude, bin_hz, speed)
        bearing = machine.bearing
        if bearing is not None and is_measurable(len(moved), rate_hz, speed, bearing):
            lines = bearing_evidence(moved, rate_hz=rate_hz, speed_hz=speed, bearing=bearing)
            value[-len(FEATURES) :] = lines.features
    return Indicators(value=frozen(value), lines=lines)


def _of_time(moved: FloatArray) -> FloatArray:
    square = moved * moved
    power = float(square.mean())
    peak = float(np.abs(moved).max())
    if power <= np.finfo(np.float64).tiny:
        return np.array([0.0, 0.0, np.nan, np.nan, np.nan])
    rms = np.sqrt(power)
    kurtosis = float((square @ square) / len(moved)) / power**2
    skewness = float((square @ moved) / len(moved)) / rms**3
    return np.array([rms, peak, peak / rms, kurtosis, skewness])


def _velocity(amplitude: FloatArray, bin_hz: float, from_hz: float) -> FloatArray:
    """Return peak velocities in mm/s for peak accelerations in g, 0 below the band."""
    frequency_hz = np.arange(len(amplitude)) * bin_hz
    is_in = frequency_hz >= from_hz
    factor = np.where(is_in, 1000 * G_M_S2 / (2 * np.pi * np.where(is_in, frequency_hz, 1.0)), 0)
    return np.asarray(amplitude * factor)


def _impact_ratio_db(amplitude: FloatArray, bin_hz: float) -> float:
    """Return the band where blows ring over that of the velocity; NaN when sampled too slowly."""
    low, high = IMPACT_HZ
    if bin_hz * len(amplitude) < high:
        return np.nan
    ringing = band_rms(amplitude, bin_hz=bin_hz, low_hz=low, high_hz=high)
    turning = band_rms(amplitude, bin_hz=bin_hz, low_hz=10.0, high_hz=HIGH_HZ)
    if ringing <= 0 or turning <= 0:
        return np.nan
    return float(20 * np.log10(ringing / turning))


def _of_shaft(amplitude: FloatArray, bin_hz: float, speed_hz: float) -> FloatArray:
    """Return RMS velocities of 0.5x, 1x, 2x, 3x and 4x to 10x, and how many stand out.

    One that does not stand out of its background is 0: noise alone has a velocity, too.
    """
    orders = np.array([0.5, *range(1, HARMONICS_MAX + 1)])
    middle = np.rint(orders * speed_hz / bin_hz).astype(int)
    # The speed is known to a per cent, and half an order further is the neighbour.
    reach = np.maximum(2, np.rint(0.01 * middle)).astype(int)
    room = max(3, int(0.45 * speed_hz / bin_hz))
    offsets = np.arange(-room, room + 1)
    bins = middle[:, None] + offsets
    is_there = (bins >= 1) & (bins < len(amplitude))
    around = np.where(is_there, amplitude[np.clip(bins, 0, len(amplitude) - 1)], np.nan)
    is_near = is_there & (np.abs(offsets) <= reach[:, None])
    line = np.where(is_near, around, 0.0)
    beside = row_medians(np.where(is_near, np.nan, around))
    is_known = (reach <= room) & (middle + room < len(amplitude))
    is_clear = is_known & (line.max(axis=1) > _CLEAR_RATIO * beside)
    velocity = line * (1000 * G_M_S2 / (2 * np.pi * bin_hz * np.maximum(bins, 1)))
    rms = np.sqrt(np.einsum("ij,ij->i", velocity, velocity) / (2 * 1.5)) * is_clear
    higher = float(np.sqrt(rms[4:] @ rms[4:]))
    return np.array([rms[0], rms[1], rms[2], rms[3], higher, float(is_clear[1:].sum())])
