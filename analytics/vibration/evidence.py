"""How clearly the frequencies of a bearing's defects stand out of an envelope, in decibels.

Theory. Whoever decides sees no hertz and no g: each line is looked for at its order times the
speed, and measured against the background right beside it. What noise alone would show as the
highest of the bins searched is taken off, so 0 dB is "nothing there"; above 20 dB a line is
certain and says no more, so there it is cut. Both make a small defect look like a large one,
and one machine like another.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.vibration.bearings import Bearing
from analytics.vibration.envelope import (
    ModulationSpectrum,
    frame_length,
    log_envelope_spectrum,
)
from analytics.vibration.spectrum import row_medians
from gateway.core.arrays import FloatArray, frozen

SLIP: Final = 0.015
"""A line is looked for so far to both sides of where rolling without slip would have it."""
EVIDENCE_DB_MAX: Final = 20.0
WINDOW_TURNS: Final = 10
"""Turns of the shaft in the window that one spectrum is made of, as near as a power of two is."""
TURNS_MIN: Final = 2.4
"""With fewer, neighbouring lines run into one; ten and more are better."""
SAMPLES_A_BLOW_MIN: Final = 8.0
"""With fewer samples between two blows, their ringing cannot be told from the blows."""
WINDOWS_MAX: Final = 64
"""Of a longer recording, so many windows, evenly spread, are looked at."""

_BACKGROUND_ORDERS: Final = 0.4
_BACKGROUND_BINS_MIN: Final = 8
_BINS_A_LINE: Final = 3.0
"""Bins that one independent value covers: a Hann window on a spectrum spaced twice as finely."""

LINES: Final = (
    "BPFI",
    "2 BPFI",
    "BPFI - 1x",
    "BPFI + 1x",
    "BPFI - 2x",
    "BPFI + 2x",
    "BPFO",
    "2 BPFO",
    "2 BSF",
    "4 BSF",
    "BSF",
    "2 BSF - FTF",
    "2 BSF + FTF",
    "4 BSF - FTF",
    "4 BSF + FTF",
    "FTF",
)
"""Lines in the envelope: an inner defect passes the load once a turn, a ball's with the cage."""

LINE_FEATURES: Final = (
    ("inner", (0,)),
    ("inner_second", (1,)),
    ("inner_sidebands", (2, 3)),
    ("inner_far_sidebands", (4, 5)),
    ("outer", (6,)),
    ("outer_second", (7,)),
    ("ball", (8,)),
    ("ball_second", (9,)),
    ("ball_half", (10,)),
    ("ball_sidebands", (11, 12)),
    ("ball_second_sidebands", (13, 14)),
    ("cage", (15,)),
)
"""Name of each feature, and the lines of which it is the mean."""

FEATURES: Final = tuple(name for name, _ in LINE_FEATURES)
MIXING: Final = frozen(
    np.array([[(k in lines) / len(lines) for k in range(len(LINES))] for _, lines in LINE_FEATURES])
)
"""Features of lines, shape (12, 16)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineEvidence:
    """What an envelope shows at the lines of a bearing; arrays are read-only, shape (16,)."""

    evidence_db: FloatArray
    """From 0 to 20; 0 where the line lies beyond the spectrum."""
    frequency_hz: FloatArray
    """Where the line was found highest."""
    ratio: FloatArray
    """Highest amplitude over the background; NaN beyond the spectrum."""

    @property
    def features(self) -> FloatArray:
        """As `FEATURES` names them, in decibels, shape (12,)."""
        return np.asarray(np.einsum("ij,j->i", MIXING, self.evidence_db))


def line_orders(bearing: Bearing) -> FloatArray:
    """Return the orders of `LINES`, shape (16,)."""
    inner, outer, ball, cage = bearing.bpfi, bearing.bpfo, 2 * bearing.bsf, bearing.ftf
    inner_side = [inner - 1, inner + 1, inner - 2, inner + 2]
    ball_side = [ball - cage, ball + cage, 2 * ball - cage, 2 * ball + cage]
    orders = [inner, 2 * inner, *inner_side, outer, 2 * outer, ball, 2 * ball, ball / 2]
    return np.asarray(np.abs([*orders, *ball_side, cage]))


def line_evidence(
    spectrum: ModulationSpectrum, *, bearing: Bearing, speed_hz: float
) -> LineEvidence:
    """Measure the lines of a bearing in one spectrum.

    Args:
        spectrum: Of a log envelope, spaced twice as finely as it is long.
        bearing: Whose lines.
        speed_hz: Turns of the shaft in a second, above 0.
    Source:
        Smith and Randall (2015) judge CWRU by eye in this way; the highest of m squared Rayleigh
        values lies on average at the m-th harmonic number over ln 2 above their median.
    """
    amplitude = spectrum.amplitude
    center = line_orders(bearing) * speed_hz / spectrum.bin_hz
    reach = np.maximum(1, np.rint(SLIP * center)).astype(int)
    half = max(_BACKGROUND_BINS_MIN, round(_BACKGROUND_ORDERS * speed_hz / spectrum.bin_hz))
    offsets = np.arange(-max(half, int(reach.max())), max(half, int(reach.max())) + 1)
    middle = np.rint(center).astype(int)
    bins = middle[:, None] + offsets
    is_there = (bins >= 1) & (bins < len(amplitude))
    around = np.where(is_there, amplitude[np.clip(bins, 0, len(amplitude) - 1)], np.nan)
    is_near = np.abs(offsets) <= reach[:, None]
    known = middle + reach < len(amplitude)
    near = np.where(is_near & is_there, around, -1.0)
    highest = near.max(axis=1)
    beside = row_medians(np.where(np.abs(offsets) <= half, around, np.nan))
    usable = known & (beside > 0) & (highest > 0)
    ratio = np.where(usable, highest / np.where(usable, beside, 1.0), np.nan)
    searched = np.maximum(1.0, (2 * reach + 1) / _BINS_A_LINE)
    harmonic = np.log(searched) + np.euler_gamma + 0.5 / searched
    noise_db = 10 * np.log10(np.maximum(harmonic, 1.0) / np.log(2))
    evidence = 20 * np.log10(np.where(usable, ratio, 1.0)) - noise_db
    return LineEvidence(
        evidence_db=frozen(np.where(usable, np.clip(evidence, 0.0, EVIDENCE_DB_MAX), 0.0)),
        frequency_hz=frozen((middle + offsets[near.argmax(axis=1)]) * spectrum.bin_hz),
        ratio=frozen(ratio),
    )


def window_length(rate_hz: float, speed_hz: float) -> int:
    """Return the samples of one window: the power of two nearest to ten turns."""
    return int(2 ** round(np.log2(WINDOW_TURNS * rate_hz / speed_hz)))


def windows(signal: FloatArray, *, rate_hz: float, speed_hz: float) -> list[FloatArray]:
    """Return the windows of a signal, the whole of it where it is shorter than one."""
    length = window_length(rate_hz, speed_hz)
    count = len(signal) // length
    if count <= 1:
        return [signal[:length]]
    chosen = np.linspace(0, count - 1, min(count, WINDOWS_MAX)).astype(int)
    return [signal[k * length : (k + 1) * length] for k in chosen]


def is_measurable(count: int, rate_hz: float, speed_hz: float, bearing: Bearing) -> bool:
    """Whether so many samples at that rate can tell the lines of a bearing apart."""
    return is_long_enough(count, rate_hz, speed_hz) and is_fast_enough(rate_hz, speed_hz, bearing)


def is_long_enough(count: int, rate_hz: float, speed_hz: float) -> bool:
    """Whether so many samples are turns enough."""
    return count * speed_hz / rate_hz >= TURNS_MIN


def is_fast_enough(rate_hz: float, speed_hz: float, bearing: Bearing) -> bool:
    """Whether that rate leaves samples enough between the blows of the fastest defect."""
    return rate_hz >= SAMPLES_A_BLOW_MIN * bearing.bpfi * speed_hz


def bearing_evidence(
    signal: FloatArray, *, rate_hz: float, speed_hz: float, bearing: Bearing
) -> LineEvidence:
    """Measure the lines of a bearing in one window of a signal.

    Args:
        signal: Acceleration in any unit, shape (n,), evenly sampled, finite.
        rate_hz: Samples in a second.
        speed_hz: Turns of the shaft in a second, above 0.
        bearing: Whose lines.
    Raises:
        ValueError: not finite, or shorter than four blows of the inner ring.
    """
    frame = frame_length(rate_hz, bearing.bpfi * speed_hz)
    spectrum = log_envelope_spectrum(signal, rate_hz=rate_hz, frame=frame)
    return line_evidence(spectrum, bearing=bearing, speed_hz=speed_hz)
