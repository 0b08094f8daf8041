"""The kurtogram: in which band the envelope is most impulsive, and so where to look for blows."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from analytics.vibration.spectrum import SAMPLES_MIN, checked
from gateway.core.arrays import FloatArray, frozen

LEVEL_MAX: Final = 5
"""The narrowest bands are the whole over 2 to this power."""
ENVELOPE_SAMPLES_MIN: Final = 64
"""Kurtosis of fewer samples says nothing; levels that leave fewer are not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A band and how impulsive it is."""

    low_hz: float
    """Lower edge."""
    high_hz: float
    """Upper edge."""
    kurtosis: float
    """Spectral kurtosis: 0 for stationary noise, -1 for a steady line, above 0 for impulses."""


def kurtogram(signal: FloatArray, *, rate_hz: float, width_hz_min: float = 0.0) -> list[Band]:
    """Return all bands of a dyadic and triadic division, widest first.

    Args:
        signal: Any unit, shape (n,), evenly sampled, finite, n >= 128.
        rate_hz: Samples in a second.
        width_hz_min: Narrower bands are left out.
    Returns:
        Bands of 1/1, 1/2, 1/3, 1/4, 1/6, 1/8, ... of the whole; a constant signal has kurtosis 0.
    Raises:
        ValueError: too short, or not finite.
    Source:
        Antoni (2007), the fast kurtogram; the filters are cut out of one Fourier spectrum with
        smooth edges, instead of a tree of short filters. Kurtosis of the complex envelope,
        E|x|⁴ / E²|x|² - 2.
    """
    moved = checked(signal, samples_min=max(SAMPLES_MIN, 2 * ENVELOPE_SAMPLES_MIN))
    spectrum = np.fft.rfft(moved)
    half = len(moved) // 2
    bands: list[Band] = []
    for division in divisions():
        width = half // division
        width_hz = width * rate_hz / len(moved)
        if width < ENVELOPE_SAMPLES_MIN or (division > 1 and width_hz < width_hz_min):
            continue
        parts = spectrum[1 : 1 + width * division].reshape(division, width) * _edges(width)
        slow = np.fft.ifft(parts, axis=1)
        power = slow.real**2 + slow.imag**2
        mean = power.mean(axis=1)
        fourth = np.einsum("ij,ij->i", power, power) / width
        square = mean * mean
        is_loud = square > 0
        kurtosis = np.where(is_loud, fourth / np.where(is_loud, square, 1.0) - 2, 0.0)
        bands += [
            Band(low_hz=k * width_hz, high_hz=(k + 1) * width_hz, kurtosis=float(each))
            for k, each in enumerate(kurtosis)
        ]
    return bands


def best_band(signal: FloatArray, *, rate_hz: float, width_hz_min: float) -> Band:
    """Return the most impulsive band that is wide enough to hold a modulation.

    Args:
        signal: As in `kurtogram`.
        rate_hz: Samples in a second.
        width_hz_min: At least twice the modulation that is looked for.
    Raises:
        ValueError: too short, or not finite.
    """
    bands = kurtogram(signal, rate_hz=rate_hz, width_hz_min=width_hz_min)
    return max(bands, key=lambda band: band.kurtosis)


def divisions() -> tuple[int, ...]:
    """Return into how many bands the whole is divided, level by level."""
    both = {2**level for level in range(LEVEL_MAX + 1)} | {
        3 * 2**level for level in range(LEVEL_MAX - 1)
    }
    return tuple(sorted(both))


@lru_cache(maxsize=32)
def _edges(width: int) -> FloatArray:
    """Return a window over the bins of a band with raised-cosine edges of a tenth on each side."""
    edge = max(1, width // 10)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    window = np.ones(width)
    window[:edge] = rise
    window[-edge:] = rise[::-1]
    return frozen(window)
