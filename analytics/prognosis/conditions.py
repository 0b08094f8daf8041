"""Operating conditions: what a machine is set to, told apart from how it wears.

A machine that runs at one of a few settings shows a few levels in some columns, and every other
column depends on them far more than on wear. Each condition has its own centre and spread of every
column; measured in these, rows of different conditions are alike, and what is left is wear.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, Float32Array, FloatArray, frozen

STEPS_MAX: Final = 50.0
"""Standardised values beyond it are cut, so that one wild reading does not own an average."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """The k conditions of rows with m columns; the arrays are read-only."""

    selecting: NDArray[np.intp]
    """Positions of the columns that tell the conditions apart, shape (s,); s may be 0."""
    levels: FloatArray
    """Value of each such column in each condition, shape (k, s)."""
    tolerance: FloatArray
    """How far a row may be from a level and still belong to it, shape (s,), above 0."""
    measured: NDArray[np.intp]
    """Positions of the columns that may show wear, shape (p,)."""
    center: FloatArray
    """Usual value of each of them in each condition, shape (k, p)."""
    spread: FloatArray
    """Spread of each of them in each condition, shape (k, p); infinite where it never varies."""

    def __post_init__(self) -> None:
        """Check the shapes and switch writing off."""
        assert self.levels.shape == (len(self.center), len(self.selecting))
        assert self.tolerance.shape == self.selecting.shape
        assert self.center.shape == self.spread.shape == (len(self.levels), len(self.measured))
        for array in (self.levels, self.tolerance, self.center, self.spread):
            frozen(array)

    def of(self, rows: FloatArray) -> tuple[NDArray[np.intp], BoolArray]:
        """Return the condition of each row and whether it is one that was seen in training.

        Args:
            rows: Shape (n, m); a NaN in a selecting column belongs to no condition.
        """
        if not len(self.selecting):
            return np.zeros(len(rows), dtype=np.intp), np.ones(len(rows), dtype=np.bool_)
        # Rows meet one level after the other: k is small, and (n, k, s) need not be held.
        off = np.stack(
            [
                np.abs((rows[:, self.selecting] - level) / self.tolerance).max(axis=1)
                for level in self.levels
            ],
            axis=1,
        )
        off = np.where(np.isnan(off), np.inf, off)
        nearest = off.argmin(axis=1)
        return nearest, np.asarray(off[np.arange(len(rows)), nearest] <= 1.0)

    def standardise(self, rows: FloatArray) -> tuple[Float32Array, BoolArray]:
        """Return the measured columns in spreads, shape (n, p), and which rows can be used.

        A spread is compressed as asinh does it: small ones stay as they are, a tenfold vibration
        counts as three and not as ten. Rows of an unknown condition, or with a measured column
        that is no number, cannot be used and are 0.

        Args:
            rows: Shape (n, m).
        """
        condition, is_seen = self.of(rows)
        steps = (rows[:, self.measured] - self.center[condition]) / self.spread[condition]
        is_usable = is_seen & np.isfinite(steps).all(axis=1)
        if not is_usable.all():
            steps[~is_usable] = 0.0
        bounded = np.arcsinh(np.minimum(np.maximum(steps, -STEPS_MAX), STEPS_MAX))
        return bounded.astype(np.float32), is_usable
