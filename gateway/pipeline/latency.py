"""Decision latency: from the bytes of a response to the alarm published."""

import numpy as np

CAPACITY = 16_384


class LatencyMeter:
    """Keeps the newest latencies in a ring and gives their percentiles when asked."""

    def __init__(self) -> None:
        """Begin without a measurement."""
        self._ring_ms = np.zeros(CAPACITY)
        self._count = 0

    @property
    def count(self) -> int:
        """Measurements since the start, also those that the ring no longer holds."""
        return self._count

    def add(self, latency_ms: float) -> None:
        """Keep one measurement."""
        self._ring_ms[self._count % CAPACITY] = latency_ms
        self._count += 1

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the newest measurements; 0 while there are none."""
        held = self._ring_ms[: min(self._count, CAPACITY)]
        return float(np.percentile(held, percent)) if len(held) else 0.0
