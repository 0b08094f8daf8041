"""All sensors of the plant at once: lag, gain, bias, noise, converter, and their own faults."""

from collections.abc import Sequence

import numpy as np

from gateway.core.arrays import FloatArray
from gateway.simulate.faults import Fault, FaultKind
from gateway.simulate.points import Point

NOISE_ROWS = 1024
DRIFT_SPAN_SHARE = 0.12
"""How far a drift of size 1 goes, as a share of the instrument's range."""


class SensorBank:
    """Turns true values into shown ones, for n points in a fixed order."""

    def __init__(self, points: Sequence[Point], rng: np.random.Generator) -> None:
        """Draw the hidden bias and gain of every sensor."""
        sensors = [point.sensor for point in points]
        self._low = np.array([sensor.low for sensor in sensors], dtype=np.float64)
        self._high = np.array([sensor.high for sensor in sensors], dtype=np.float64)
        self._steps = np.array([sensor.steps for sensor in sensors], dtype=np.float64)
        self._lag_s = np.array([sensor.lag_s for sensor in sensors], dtype=np.float64)
        self._sigma = np.array([sensor.noise for sensor in sensors], dtype=np.float64)
        accuracy = np.array([sensor.accuracy for sensor in sensors], dtype=np.float64)
        count = len(sensors)
        self._bias = accuracy * rng.uniform(-1.0, 1.0, count)
        self._gain = 1.0 + 0.003 * rng.uniform(-1.0, 1.0, count)
        self._index = {(point.asset, point.sensor.role): i for i, point in enumerate(points)}
        self._rng = rng
        self._noise = np.empty((0, count), dtype=np.float64)
        self._row = 0
        self._dt_s = 0.0
        self._follow = np.ones(count, dtype=np.float64)
        self._state: FloatArray | None = None
        self._shown = np.zeros(count, dtype=np.float64)

    def step(
        self, true_values: Sequence[float], dt_s: float, faults: Sequence[Fault], elapsed_s: float
    ) -> list[float]:
        """Return what the sensors show after a time, in the order of the points.

        Args:
            true_values: The true values, n of them.
            dt_s: The time since the last step.
            faults: Those of sensors; others must not be in it.
            elapsed_s: The plant's time, for the faults.
        """
        target = np.array(true_values, dtype=np.float64)
        if dt_s != self._dt_s:
            self._dt_s = dt_s
            self._follow = 1.0 - np.exp(-dt_s / self._lag_s)
        if self._state is None:
            self._state = target.copy()  # switched on long ago: no lag to catch up
        self._state += (target - self._state) * self._follow
        shown = self._state * self._gain + self._bias + self._sigma * self._next_noise()
        frozen: list[int] = []
        for fault in faults:
            assert fault.signal is not None
            index = self._index[fault.asset, fault.signal]
            if fault.kind is FaultKind.SENSOR_DRIFT:
                span = self._high[index] - self._low[index]
                shown[index] += DRIFT_SPAN_SHARE * span * fault.size * fault.growth(elapsed_s)
            elif fault.is_present(elapsed_s):
                frozen.append(index)
        shown = np.floor(shown * self._steps + 0.5) / self._steps
        np.clip(shown, self._low, self._high, out=shown)
        shown[frozen] = self._shown[frozen]
        self._shown = shown
        values: list[float] = shown.tolist()
        return values

    def _next_noise(self) -> FloatArray:
        if self._row == len(self._noise):
            self._noise = self._rng.standard_normal((NOISE_ROWS, len(self._bias)))
            self._row = 0
        row: FloatArray = self._noise[self._row]
        self._row += 1
        return row
