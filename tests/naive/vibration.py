"""Vibration by definition: sums over samples, one after the other."""

import cmath
import math

import numpy as np

from gateway.core.arrays import FloatArray


def dft(signal: FloatArray) -> list[complex]:
    """Return the discrete Fourier transform, n values, by its definition."""
    count = len(signal)
    return [
        sum(float(signal[n]) * cmath.exp(-2j * math.pi * k * n / count) for n in range(count))
        for k in range(count)
    ]


def idft(spectrum: list[complex]) -> list[complex]:
    """Return the inverse transform by its definition."""
    count = len(spectrum)
    return [
        sum(spectrum[k] * cmath.exp(2j * math.pi * k * n / count) for k in range(count)) / count
        for n in range(count)
    ]


def hann(count: int) -> list[float]:
    """Return the periodic Hann window."""
    return [0.5 - 0.5 * math.cos(2 * math.pi * n / count) for n in range(count)]


def amplitude_spectrum(signal: FloatArray) -> list[float]:
    """Return one-sided peak amplitudes under a Hann window, the mean taken out."""
    count = len(signal)
    mean = sum(signal.tolist()) / count
    window = hann(count)
    moved = np.array([(float(x) - mean) * w for x, w in zip(signal, window, strict=True)])
    spectrum = dft(moved)
    amplitudes = []
    for k in range(count // 2 + 1):
        is_alone = k == 0 or (count % 2 == 0 and k == count // 2)
        amplitudes.append(abs(spectrum[k]) / sum(window) * (1 if is_alone else 2))
    return amplitudes


def envelope(signal: FloatArray) -> list[float]:
    """Return the modulus of the analytic signal: negative frequencies out, positive doubled."""
    count = len(signal)
    spectrum = dft(signal - signal.mean())
    for k in range(count):
        if 0 < k < (count + 1) // 2:
            spectrum[k] *= 2
        elif k > count // 2:
            spectrum[k] = 0
    return [abs(value) for value in idft(spectrum)]


def band_kurtosis(signal: FloatArray, division: int, band: int) -> float:
    """Return the spectral kurtosis of one of so many bands, with raised-cosine edges."""
    spectrum = dft(signal - signal.mean())
    width = len(signal) // 2 // division
    edge = max(1, width // 10)
    part = []
    for k in range(width):
        gain = 1.0
        nearest = min(k, width - 1 - k)
        if nearest < edge:
            gain = 0.5 - 0.5 * math.cos(math.pi * (nearest + 0.5) / edge)
        part.append(spectrum[1 + band * width + k] * gain)
    slow = [abs(value) for value in idft(part)]
    second = sum(a**2 for a in slow) / width
    fourth = sum(a**4 for a in slow) / width
    return fourth / second**2 - 2


def log_envelope_spectrum(signal: FloatArray, frame: int, band_count: int) -> list[float]:
    """Return the amplitude spectrum of the mean log power of the first bands after the offset."""
    hop = frame // 8
    window = hann(frame)
    moved = signal - signal.mean()
    frames = [moved[s : s + frame] for s in range(0, len(moved) - frame + 1, hop)]
    power = []
    for each in frames:
        spectrum = dft(np.array([float(x) * w for x, w in zip(each, window, strict=True)]))
        power.append([abs(spectrum[k]) ** 2 for k in range(1, band_count + 1)])
    means = [sum(row[k] for row in power) / len(power) for k in range(band_count)]
    level = [
        sum(math.log(row[k] / means[k] + 1e-3) for k in range(band_count)) / band_count
        for row in power
    ]
    mean = sum(level) / len(level)
    weights = hann(len(level))
    bins = 2 * (len(signal) // hop)
    padded = np.zeros(bins)
    padded[: len(level)] = [(x - mean) * w for x, w in zip(level, weights, strict=True)]
    return [abs(value) * 4 / len(level) for value in dft(padded)[: bins // 2 + 1]]
