"""Chance: hidden parameters, noise and slow disturbances, all from the seed."""

import math

import numpy as np

BLOCK_SIZE = 4096


class Normals:
    """Standard normal numbers one at a time, drawn in blocks because single draws are slow."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._block: list[float] = []

    def __call__(self) -> float:
        """Return the next number."""
        if not self._block:
            self._block = self._rng.standard_normal(BLOCK_SIZE).tolist()
        return self._block.pop()


class Wander:
    """A disturbance that drifts about zero: an Ornstein-Uhlenbeck process, exact for any step."""

    def __init__(self, normals: Normals, *, sigma: float, tau_s: float) -> None:
        """Start at a value drawn from the stationary distribution.

        Args:
            normals: Where the numbers come from.
            sigma: Standard deviation in the long run.
            tau_s: Time after which the memory of a value has fallen to 1/e.
        """
        self._normals = normals
        self._sigma = sigma
        self._tau_s = tau_s
        self.value = sigma * normals()

    def step(self, dt_s: float) -> float:
        """Go on by a time and return the new value."""
        memory = math.exp(-dt_s / self._tau_s)
        spread = self._sigma * math.sqrt(1.0 - memory * memory)
        self.value = memory * self.value + spread * self._normals()
        return self.value


class Hidden:
    """Draws the parameters of a machine about their nominal values."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def about(self, nominal: float, share: float) -> float:
        """Return the nominal value changed by up to plus or minus `share` of it."""
        return nominal * (1.0 + share * float(self._rng.uniform(-1.0, 1.0)))

    def between(self, low: float, high: float) -> float:
        """Return a value between two others."""
        return float(self._rng.uniform(low, high))


def approach(value: float, target: float, dt_s: float, tau_s: float) -> float:
    """Return where a first-order lag stands after a time: exact while the target is constant."""
    return target + (value - target) * math.exp(-dt_s / tau_s)
