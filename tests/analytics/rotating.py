"""Vibration of machines that never were: blows of a defect with slip, resonance, load and noise."""

from typing import Final

import numpy as np

from analytics.vibration.bearings import Bearing
from gateway.core.arrays import FloatArray
from gateway.core.vibration_manifest import FaultLabel

RESONANCES: Final = (0.13, 0.24, 0.33)
"""Of the structure, over the rate."""
G_M_S2: Final = 9.80665


def noise(count: int, *, seed: int, g: float = 0.1) -> FloatArray:
    """What a healthy bearing sounds like: noise with a falling colour and the turning shaft."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=count)
    return np.asarray(g * (white + 0.5 * np.roll(white, 1) + 0.2 * np.roll(white, 2)))


def bearing_waveform(
    fault: FaultLabel,
    bearing: Bearing,
    *,
    rate_hz: float,
    speed_hz: float,
    turns: float,
    seed: int,
    blow_g: float = 1.0,
    slip: float = 0.008,
) -> FloatArray:
    """A bearing with a defect, in g; `none`, `inner`, `outer`, `ball` or `cage`.

    Blows come at the defect's order, a little late and each a little off, ring at the resonances
    and are as strong as the load lets them be: once a turn for the inner ring, with the cage for
    a ball. A broken cage lets the whole noise swell and fade.
    """
    rng = np.random.default_rng(seed)
    count = int(turns * rate_hz / speed_hz)
    time_s = np.arange(count) / rate_hz
    signal = noise(count, seed=seed + 1)
    # Half a millimetre a second at the speed of the shaft: a well balanced machine.
    radian_s = 2 * np.pi * speed_hz
    signal += 0.5 * radian_s / 1000 / G_M_S2 * np.sin(radian_s * time_s)
    cage_hz = bearing.ftf * speed_hz
    if fault == "cage":
        return np.asarray(signal * (1 + 0.9 * np.cos(2 * np.pi * cage_hz * time_s)))
    order = {"inner": bearing.bpfi, "outer": bearing.bpfo, "ball": 2 * bearing.bsf}.get(fault)
    if order is None:
        return signal
    period_s = 1 / (order * speed_hz * (1 - slip))
    steps = period_s * (1 + 0.01 * rng.normal(size=int(count / rate_hz / period_s) + 2))
    times = np.cumsum(steps)
    load_hz = {"inner": speed_hz, "ball": cage_hz}.get(fault, 0.0)
    strength = 1 + (0.8 * np.cos(2 * np.pi * load_hz * times) if load_hz else 0.0)
    blows = np.zeros(count)
    at = np.round(times * rate_hz).astype(int)
    is_in = at < count
    np.add.at(blows, at[is_in], blow_g * np.broadcast_to(strength, at.shape)[is_in])
    ring = np.arange(200)
    for part in RESONANCES:
        response = np.exp(-ring / 15) * np.sin(2 * np.pi * part * ring)
        signal = signal + np.convolve(blows, response)[:count]
    return np.asarray(signal)


def shaft_waveform(
    velocity_mm_s: dict[float, float], *, rate_hz: float, speed_hz: float, turns: float, seed: int
) -> FloatArray:
    """A shaft whose orders shake with these RMS velocities, over the noise of a healthy bearing."""
    rng = np.random.default_rng(seed)
    count = int(turns * rate_hz / speed_hz)
    time_s = np.arange(count) / rate_hz
    signal = noise(count, seed=seed, g=0.005)
    for order, rms in velocity_mm_s.items():
        radian_s = 2 * np.pi * order * speed_hz
        peak_g = rms * np.sqrt(2) * radian_s / 1000 / G_M_S2
        signal = signal + peak_g * np.sin(radian_s * time_s + rng.uniform(0, 2 * np.pi))
    return np.asarray(signal)
