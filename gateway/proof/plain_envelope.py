"""The plain way to tell a bearing's fault, that a model must beat: peaks of the envelope spectrum.

Nothing is learnt: of inner race, outer race and ball, the one whose frequency and first harmonics
stand highest above their surroundings.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray

ORDERS_6205: Final[Mapping[str, float]] = {"inner": 5.4152, "outer": 3.5848, "ball": 4.7135}
"""Multiples of the shaft's frequency; the ball strikes both races in each of its turns."""
HARMONICS: Final = (1, 2, 3)
SLIP: Final = 0.015
"""Rolling elements slip: the frequencies are only so exact."""
SURROUNDINGS_HZ: Final = 40.0


def envelope_evidence(
    acceleration: FloatArray, *, rate_hz: float, shaft_hz: float, orders: Mapping[str, float]
) -> dict[str, float]:
    """Return for each fault how far its lines stand above their surroundings, as a ratio.

    Args:
        acceleration: Shape (n,), any unit, finite, not constant.
        rate_hz: Samples a second.
        shaft_hz: Turns a second.
        orders: By fault, in multiples of the shaft's frequency.
    """
    centred = acceleration - acceleration.mean()
    spectrum = np.fft.fft(centred)
    half = len(spectrum) // 2
    spectrum[half:] = 0  # what is left is the analytic signal, but for a factor
    envelope = np.abs(np.fft.ifft(spectrum)) ** 2
    amplitude = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope))))
    step_hz = rate_hz / len(envelope)
    around = int(SURROUNDINGS_HZ / step_hz)
    evidence = {}
    for fault, order in orders.items():
        ratios = []
        for harmonic in HARMONICS:
            line_hz = harmonic * order * shaft_hz
            first = int(line_hz * (1 - SLIP) / step_hz)
            last = int(np.ceil(line_hz * (1 + SLIP) / step_hz))
            nearby = amplitude[max(first - around, 1) : last + around + 1]
            if last < len(amplitude):
                ratios.append(amplitude[first : last + 1].max() / np.median(nearby))
        evidence[fault] = float(np.mean(ratios)) if ratios else 0.0
    return evidence
