"""Orders: a signal sampled anew at equal steps of the shaft's angle, so that speed cancels out."""

from typing import Final

import numpy as np

from analytics.vibration.spectrum import amplitude_spectrum, checked
from gateway.core.arrays import FloatArray

SAMPLES_A_TURN_MAX: Final = 4096
TURNS_MIN: Final = 2.0


def by_angle(
    signal: FloatArray, *, rate_hz: float, speed_hz: FloatArray, samples_a_turn: int
) -> FloatArray:
    """Return the signal at equal steps of the angle of the shaft.

    Args:
        signal: Any unit, shape (n,), evenly sampled, finite, n >= 16.
        rate_hz: Samples in a second.
        speed_hz: Turns in a second at each sample, shape (n,), all above 0.
        samples_a_turn: Samples of the result for each turn, 2 to 4096; orders from half of it are
            taken out before, as far as the mean speed tells them.
    Returns:
        Shape (turns * samples_a_turn,), whole turns from the first sample on; mean taken out.
    Raises:
        ValueError: not finite, too short, fewer than 2 turns, or a speed that is not above 0.
    Source:
        Fyfe and Munck (1997), computed order tracking; the angle is the integral of the speed by
        trapezoids, the signal is interpolated with straight lines on a fourfold finer grid.
    """
    moved = checked(signal)
    if speed_hz.shape != moved.shape or not np.all(speed_hz > 0):
        raise ValueError("the speed must be known, and above 0, at every sample")
    if not 2 <= samples_a_turn <= SAMPLES_A_TURN_MAX:
        raise ValueError(f"{samples_a_turn} samples a turn; from 2 to {SAMPLES_A_TURN_MAX}")
    steps = (speed_hz[1:] + speed_hz[:-1]) / (2 * rate_hz)
    angle = np.concatenate(([0.0], np.cumsum(steps)))
    turns = int(angle[-1])
    if turns < TURNS_MIN:
        raise ValueError(f"{angle[-1]:.1f} turns; at least {TURNS_MIN:g}")
    cut_hz = samples_a_turn / 2 * float(speed_hz.mean())
    count = len(moved)
    spectrum = np.fft.rfft(moved)
    spectrum[int(cut_hz * count / rate_hz) + 1 :] = 0
    fine = np.fft.irfft(spectrum, 4 * count) * 4
    positions = np.arange(turns * samples_a_turn) / samples_a_turn
    at = np.interp(positions, angle, np.arange(count))
    return np.asarray(np.interp(at, np.arange(4 * count) / 4, fine))


def at_constant_speed(
    signal: FloatArray, *, rate_hz: float, speed_hz: FloatArray
) -> tuple[FloatArray, float, float]:
    """Return the signal as if the shaft had turned evenly, its rate, and that even speed.

    Args:
        signal: Any unit, shape (n,), evenly sampled, finite.
        rate_hz: Samples in a second.
        speed_hz: Turns in a second at each sample, shape (n,), all above 0.
    Returns:
        As many samples a turn as there are on average; whole turns only.
    Raises:
        ValueError: as `by_angle`.
    """
    mean_hz = float(speed_hz.mean())
    if not mean_hz > 0:
        raise ValueError("the speed must be known, and above 0, at every sample")
    samples_a_turn = int(np.clip(round(rate_hz / mean_hz), 2, SAMPLES_A_TURN_MAX))
    turned = by_angle(signal, rate_hz=rate_hz, speed_hz=speed_hz, samples_a_turn=samples_a_turn)
    return turned, samples_a_turn * mean_hz, mean_hz


def order_spectrum(
    signal: FloatArray, *, rate_hz: float, speed_hz: FloatArray, order_max: float
) -> tuple[FloatArray, float]:
    """Return the amplitude spectrum over orders, and the orders between two bins.

    Args:
        signal: Any unit, shape (n,).
        rate_hz: Samples in a second.
        speed_hz: Turns in a second at each sample, shape (n,).
        order_max: Highest order that is wanted.
    Returns:
        Peak amplitudes in the unit of the signal, up to `order_max`; bin i is at i times the
        second value.
    Raises:
        ValueError: as `by_angle`, or `order_max` is not between 0 and 800.
    """
    samples_a_turn = int(np.ceil(2.56 * order_max))
    turned = by_angle(
        signal, rate_hz=rate_hz, speed_hz=speed_hz, samples_a_turn=max(2, samples_a_turn)
    )
    step = samples_a_turn / len(turned)
    return amplitude_spectrum(turned)[: int(order_max / step) + 1], step
