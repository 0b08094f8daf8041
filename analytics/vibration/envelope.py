"""Envelopes: what strikes a machine again and again, read from how its resonances swell and fade.

Two of them. The envelope of one band, whose spectrum has the unit of the signal and is what a
specialist wants to see; and the log envelope of all bands at once, which has no unit and on which
decisions are made. The logarithm makes each band count alike, however loud it is, and single
blows from elsewhere hardly at all.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.vibration.spectrum import amplitude_spectrum, checked, hann
from gateway.core.arrays import FloatArray

FRAME_MIN: Final = 16
FRAME_MAX: Final = 1024
HOPS: Final = 8
"""Steps in the length of a frame."""
BAND_HZ_MAX: Final = 12_500.0
"""Bands above it are left out: usual accelerometers no longer follow there."""

_EMPTY: Final = 1e-9
"""A band below this part of the loudest one holds nothing but rounding."""
_FLOOR: Final = 1e-3
"""Added to a band's power, over its mean, before the logarithm: silence is not minus infinity."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModulationSpectrum:
    """Spectrum of an envelope."""

    amplitude: FloatArray
    """Peak amplitudes, shape (k,)."""
    bin_hz: float
    """Bin i is at i times this."""


def envelope(signal: FloatArray) -> FloatArray:
    """Return the amplitude of the analytic signal, shape (n,).

    Args:
        signal: Any unit, shape (n,), evenly sampled, finite, n >= 16; its mean is taken out.
    Raises:
        ValueError: too short, or not finite.
    Source:
        Feldman (2011): negative frequencies set to zero, positive ones doubled.
    """
    moved = checked(signal)
    count = len(moved)
    spectrum = np.zeros(count, dtype=np.complex128)
    spectrum[: count // 2 + 1] = np.fft.rfft(moved)
    spectrum[1 : (count + 1) // 2] *= 2
    return np.abs(np.fft.ifft(spectrum))


def band_envelope_spectrum(
    signal: FloatArray, *, rate_hz: float, low_hz: float, high_hz: float
) -> ModulationSpectrum:
    """Return the amplitude spectrum of the envelope of one band.

    Args:
        signal: Any unit u, shape (n,), evenly sampled, finite, n >= 16.
        rate_hz: Samples in a second.
        low_hz: Lower edge of the band.
        high_hz: Upper edge; the envelope is sampled no faster than the band is wide.
    Returns:
        Peak amplitudes in u, up to half the width of the band.
    Raises:
        ValueError: too short, not finite, or fewer than 16 bins in the band.
    Source:
        Randall and Antoni (2011), section 3.3: shift the band to zero, keep one side.
    """
    moved = checked(signal)
    count = len(moved)
    first = max(1, int(np.ceil(low_hz * count / rate_hz)))
    last = min(count // 2 + 1, int(np.floor(high_hz * count / rate_hz)) + 1)
    if last - first < FRAME_MIN:
        raise ValueError(f"no band between {low_hz:g} and {high_hz:g} Hz at {rate_hz:g} Hz")
    slow = np.abs(np.fft.ifft(np.fft.rfft(moved)[first:last])) * (2 * (last - first) / count)
    return ModulationSpectrum(amplitude=amplitude_spectrum(slow), bin_hz=rate_hz / count)


def frame_length(rate_hz: float, fastest_hz: float) -> int:
    """Return how many samples a frame of the log envelope has: a power of two.

    A frame as long as the time between two blows smears them into one, a shorter one has fewer
    bands to average over: it is the longest that fits between the fastest blows.
    """
    room = max(rate_hz / fastest_hz, 1.0)
    return int(np.clip(2 ** int(np.log2(room)), FRAME_MIN, FRAME_MAX))


def log_envelope_spectrum(signal: FloatArray, *, rate_hz: float, frame: int) -> ModulationSpectrum:
    """Return the amplitude spectrum of the mean log power of all bands.

    Args:
        signal: Any unit, shape (n,), evenly sampled, finite, at least 4 frames.
        rate_hz: Samples in a second.
        frame: Samples of a frame, a power of two from 16; sets the width of the bands.
    Returns:
        Amplitudes without a unit, twice as finely spaced as the signal is long; all 0 for a
        constant signal.
    Raises:
        ValueError: too short, or not finite.
    Source:
        Borghesani and Antoni (2018), the log-envelope; here of each band of a short-time spectrum
        over its mean, which whitens as Randall and Sawalhi's (2011) pre-whitening does.
    """
    hop = frame // HOPS
    moved = checked(signal, samples_min=4 * frame)
    frames = np.lib.stride_tricks.sliding_window_view(moved, frame)[::hop]
    # One band at each end is left out: they hold the offset and the edge of the filter.
    last = min(frame // 2, max(2, int(BAND_HZ_MAX * frame / rate_hz) + 1))
    bands = np.fft.rfft(frames * hann(frame))[:, 1:last]
    power = bands.real**2 + bands.imag**2
    mean = power.mean(axis=0)
    loud = mean > _EMPTY * mean.max()
    bins = 2 * (len(signal) // hop)
    if not loud.any():
        return ModulationSpectrum(amplitude=np.zeros(bins // 2 + 1), bin_hz=rate_hz / hop / bins)
    level = np.log(power[:, loud] / mean[loud] + _FLOOR).mean(axis=1)
    level -= level.mean()
    amplitude = np.abs(np.fft.rfft(level * hann(len(level)), n=bins)) * (4 / len(level))
    return ModulationSpectrum(amplitude=amplitude, bin_hz=rate_hz / hop / bins)
