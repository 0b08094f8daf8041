"""From residuals to a health between 0 and 1.

Each residual is counted in standard deviations of the healthy asset and smoothed with a first-order
lag (`health_smoothing_s`). Health follows from the largest of them, u:

    health = 1 / (1 + (max(u - 3, 0) / 6)²)          u = 3: 1.0     u = 9: 0.5     u = 21: 0.1

A frozen sensor (`stillness.py`) counts as `FROZEN_SIGMAS`.

While the asset stands still or starts, health keeps its last value.
"""

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, TimeArray
from twins.checkpoint import State
from twins.state import NEVER_NS

NORMAL_SIGMAS = 3.0
"""Up to here a residual is normal; also the half width of the tolerance shown."""
HALF_SIGMAS = 6.0
"""So far above normal, health is a half."""
FROZEN_SIGMAS = NORMAL_SIGMAS + HALF_SIGMAS
"""What a frozen sensor counts as: health is a half at the most."""
SIGMAS_MAX = 50.0
"""A residual counts for no more, so that smoothing forgets a wild value soon."""
ROW_WEIGHT_MAX = 0.1
"""What one row counts for in the smoothed residual, at the most."""


def health_of(sigmas: FloatArray) -> FloatArray:
    """Return the health that belongs to the largest smoothed residual.

    Args:
        sigmas: Not negative, any shape.
    Returns:
        1 up to `NORMAL_SIGMAS`, falling towards 0; same shape.
    """
    over = np.maximum(sigmas - NORMAL_SIGMAS, 0.0) / HALF_SIGMAS
    return np.asarray(1.0 / (1.0 + over**2))


class Health:
    """Smoothed residuals of n assets with r relations."""

    def __init__(self, *, count: int, relations: int, smoothing_s: FloatArray) -> None:
        """Begin without a sign.

        Args:
            count: Number n of assets.
            relations: Number r of relations.
            smoothing_s: Time constant of each asset, shape (n,).
        """
        self._smoothing_s = smoothing_s[:, None]
        self._sigmas: FloatArray = np.zeros((count, relations))
        self._is_known: BoolArray = np.zeros(count, dtype=np.bool_)
        self._judged_ns: TimeArray = np.full((count, 1), NEVER_NS, dtype=np.int64)
        self._has_frozen: BoolArray = np.zeros(count, dtype=np.bool_)

    @property
    def sigmas(self) -> FloatArray:
        """Smoothed residuals in standard deviations, signed, shape (n, r)."""
        return self._sigmas

    @property
    def value(self) -> FloatArray:
        """Health of each asset, shape (n,); NaN while it cannot be told."""
        worst = np.abs(self._sigmas).max(axis=1, initial=0.0)
        worst = np.maximum(worst, FROZEN_SIGMAS * self._has_frozen)
        return np.where(self._is_known, health_of(worst), np.nan)

    def judge(
        self, sigmas: FloatArray, is_valid: BoolArray, *, has_frozen: BoolArray, time_ns: int
    ) -> None:
        """Take in the residuals of one instant.

        Args:
            sigmas: Residuals in standard deviations, shape (n, r); anything where not valid.
            is_valid: Running, usable and commissioned, shape (n, r).
            has_frozen: Whether a sensor of the asset is frozen, shape (n,).
            time_ns: The instant; never before the last one.
        """
        judged = is_valid.any(axis=1)
        elapsed_s = (time_ns - self._judged_ns) / 1e9
        weight = -np.expm1(-elapsed_s / self._smoothing_s)
        # After a pause the weight is near 1, and one row must not decide alone.
        weight = np.minimum(weight, ROW_WEIGHT_MAX) * is_valid
        bounded = np.maximum(np.minimum(np.where(is_valid, sigmas, 0.0), SIGMAS_MAX), -SIGMAS_MAX)
        self._sigmas = self._sigmas + weight * (bounded - self._sigmas)
        self._judged_ns[judged] = time_ns
        self._is_known = self._is_known | judged
        self._has_frozen = has_frozen

    def save(self) -> State:
        """Return all that `load` needs, by name."""
        return {
            "sigmas": self._sigmas,
            "is_known": self._is_known,
            "judged_ns": self._judged_ns,
            "has_frozen": self._has_frozen,
        }

    def load(self, state: State) -> None:
        """Go on from what `save` returned."""
        self._sigmas = np.array(state["sigmas"], dtype=np.float64)
        self._is_known = np.array(state["is_known"], dtype=np.bool_)
        self._judged_ns = np.array(state["judged_ns"], dtype=np.int64)
        self._has_frozen = np.array(state["has_frozen"], dtype=np.bool_)
