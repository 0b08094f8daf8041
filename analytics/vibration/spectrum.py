"""Spectra of a vibration signal, and its velocity.

All spectra are one-sided. A sine of amplitude A that falls on a bin has A there, whatever the
window and the length; noise is read from power densities.
"""

from functools import lru_cache
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray, frozen

SAMPLES_MIN: Final = 16
G_M_S2: Final = 9.80665
"""Standard gravity (ISO 80000-3)."""


@lru_cache(maxsize=16)
def hann(count: int) -> FloatArray:
    """Return the periodic Hann window, shape (count,), read-only; its mean is one half."""
    return frozen(np.asarray(0.5 - 0.5 * np.cos(2 * np.pi / count * np.arange(count))))


def checked(signal: FloatArray, *, samples_min: int = SAMPLES_MIN) -> FloatArray:
    """Return the signal without its mean.

    Raises:
        ValueError: it is not one-dimensional, shorter than `samples_min`, or has a value that is
            not finite; says which.
    """
    if signal.ndim != 1 or len(signal) < samples_min:
        raise ValueError(f"a signal of shape {signal.shape}; at least {samples_min} samples")
    mean = float(signal.mean())
    if not np.isfinite(mean):
        bad = np.flatnonzero(~np.isfinite(signal))
        if len(bad):
            raise ValueError(f"sample {bad[0]} is no finite number: {signal[bad[0]]}")
        raise ValueError("the samples are too large to be averaged")
    return np.asarray(signal - mean)


def amplitude_spectrum(signal: FloatArray) -> FloatArray:
    """Return the amplitude spectrum under a Hann window, mean taken out.

    Args:
        signal: Any unit, shape (n,), evenly sampled, finite, n >= 16.
    Returns:
        Peak amplitudes in that unit, shape (n // 2 + 1,); bin i is at i * rate / n.
    Raises:
        ValueError: too short, or not finite.
    Source:
        Heinzel, Rüdiger and Schilling (2002): scaled by the sum of the window.
    """
    moved = checked(signal)
    count = len(moved)
    amplitude = np.abs(np.fft.rfft(moved * hann(count))) * (4 / count)
    amplitude[0] /= 2
    if count % 2 == 0:
        amplitude[-1] /= 2
    return np.asarray(amplitude)


def welch_density(signal: FloatArray, *, rate_hz: float, segment: int) -> FloatArray:
    """Return the power density, averaged over half-overlapping segments under a Hann window.

    Args:
        signal: Any unit u, shape (n,), finite, n >= segment.
        rate_hz: Samples in a second.
        segment: Samples of a segment, at least 16.
    Returns:
        Densities in u²/Hz, shape (segment // 2 + 1,); bin i is at i * rate_hz / segment.
    Raises:
        ValueError: too short, or not finite.
    Source:
        Welch (1967); the mean of the whole signal is taken out once.
    """
    if segment < SAMPLES_MIN:
        raise ValueError(f"segments of {segment} samples; at least {SAMPLES_MIN}")
    moved = checked(signal, samples_min=segment)
    window = hann(segment)
    pieces = np.lib.stride_tricks.sliding_window_view(moved, segment)[:: segment // 2]
    power = np.mean(np.abs(np.fft.rfft(pieces * window)) ** 2, axis=0)
    density = power * (2 / (rate_hz * np.sum(window * window)))
    density[0] /= 2
    if segment % 2 == 0:
        density[-1] /= 2
    return np.asarray(density)


def velocity_spectrum(acceleration: FloatArray, *, rate_hz: float, low_hz: float) -> FloatArray:
    """Return the amplitude spectrum of the velocity, integrated in the frequency domain.

    Args:
        acceleration: In m/s², shape (n,), finite, n >= 16.
        rate_hz: Samples in a second.
        low_hz: Below it the result is 0: integration would raise drift and offset without bound.
    Returns:
        Peak amplitudes in mm/s, shape (n // 2 + 1,).
    Raises:
        ValueError: too short, not finite, or `low_hz` is not above 0.
    Source:
        v = a / (2 pi f); ISO 20816-1 judges the broad-band velocity of a limited band.
    """
    if low_hz <= 0:
        raise ValueError(f"a lower limit of {low_hz} Hz; it must be above 0")
    amplitude = amplitude_spectrum(acceleration)
    frequency_hz = np.arange(len(amplitude)) * (rate_hz / len(acceleration))
    is_in = frequency_hz >= low_hz
    divisor = np.where(is_in, 2 * np.pi * frequency_hz, 1.0)
    return np.asarray(np.where(is_in, amplitude * (1000.0 / divisor), 0.0))


def band_rms(amplitude: FloatArray, *, bin_hz: float, low_hz: float, high_hz: float) -> float:
    """Return the RMS of a band of an amplitude spectrum under a Hann window.

    Args:
        amplitude: Peak amplitudes as `amplitude_spectrum` returns them, shape (k,).
        bin_hz: Hertz between bins.
        low_hz: First frequency of the band.
        high_hz: Last frequency of the band; 0 is returned where no bin lies between.
    """
    first = max(0, int(np.ceil(low_hz / bin_hz - 1e-9)))
    last = int(np.floor(high_hz / bin_hz + 1e-9))
    part = amplitude[first : last + 1]
    # A Hann window widens each line over 1.5 bins in power.
    return float(np.sqrt(part @ part / (2 * 1.5)))


def acceleration_of(velocity_mm_s: FloatArray, *, rate_hz: float) -> FloatArray:
    """Return the acceleration in g of a velocity in mm/s, by central differences, shape (n,).

    Differences fade towards half the rate, where velocities hold nothing but noise.

    Args:
        velocity_mm_s: Shape (n,), evenly sampled, n >= 16, finite.
        rate_hz: Samples in a second.
    Raises:
        ValueError: too short, or not finite.
    """
    moved = checked(velocity_mm_s)
    return np.asarray(np.gradient(moved) * (rate_hz / 1000 / G_M_S2))


def row_medians(rows: FloatArray) -> FloatArray:
    """Return the median of each row without its NaN, the lower of two; 0 where all are NaN.

    Args:
        rows: Shape (n, m).
    """
    ordered = np.sort(rows, axis=1)  # NaN stand last
    count = np.isfinite(ordered).sum(axis=1)
    middle = ordered[np.arange(len(rows)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, np.nan_to_num(middle), 0.0)
