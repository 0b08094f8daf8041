"""Finds sensors that show one and the same number while their machine runs: frozen ones.

Every live signal moves by its own noise, sooner or later by a step of its converter. How long each
one stands still between two changes is learnt all the time; a signal is frozen when it has stood
still several times longer than ever before. So a coarse thermometer is given the minutes it needs,
and a signal of which few changes were seen, such as the speed of a motor on the mains, is not
judged at all.

Whether the same number is sent again and again or not at all makes no difference: a source that
reports only changes is silent about a frozen sensor. (A source that is silent altogether is lost,
which is told by its quality; Bad values are no numbers, and no number repeats none.)

Rows count while the machine runs only; at standstill everything may stand still.
"""

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray
from twins.checkpoint import State

RUNS_MAX = 6.0
"""A signal is frozen after so many times its longest standstill so far..."""
FROZEN_ROWS_MIN = 60
"""...but never earlier..."""
CHANGES_MIN = 30
"""...nor before it was seen to change so often."""


class Stillness:
    """How long k signals of n assets have stood still, now and at the longest."""

    def __init__(self, *, count: int, roles: int) -> None:
        """Begin with nothing known.

        Args:
            count: Number n of assets.
            roles: Number k of signals.
        """
        self._value: FloatArray = np.full((count, roles), np.nan)
        self._rows: FloatArray = np.zeros((count, roles))
        self._rows_max: FloatArray = np.zeros((count, roles))
        self._changes: FloatArray = np.zeros((count, roles))
        self.is_frozen: BoolArray = np.zeros((count, roles), dtype=np.bool_)
        """Which signals are frozen, shape (n, k)."""

    @property
    def has_frozen(self) -> BoolArray:
        """Which assets have a frozen signal, shape (n,)."""
        return np.asarray(self.is_frozen.any(axis=1))

    def update(self, value: FloatArray, *, is_running: BoolArray) -> None:
        """Take in the signals of one row.

        Args:
            value: Shape (n, k); NaN where Bad.
            is_running: Which assets run, shape (n,).
        """
        counts = is_running[:, None] & np.isfinite(value)
        is_same = value == self._value
        changes = counts & ~is_same
        # How long a frozen sensor was frozen says nothing about the healthy one; but one that was
        # taken for frozen in error shall not be so again and again.
        limit = np.maximum(RUNS_MAX * self._rows_max, FROZEN_ROWS_MIN)
        ended = np.minimum(self._rows, limit)
        np.maximum(self._rows_max, ended, out=self._rows_max, where=changes)
        self._changes += changes
        self._rows = np.where(counts, (self._rows + 1.0) * is_same, self._rows)
        self.is_frozen = (self._rows > limit) & (self._changes >= CHANGES_MIN)
        self._value = np.where(counts, value, self._value)

    def save(self) -> State:
        """Return all that `load` needs, by name."""
        return {
            "value": self._value,
            "rows": self._rows,
            "rows_max": self._rows_max,
            "changes": self._changes,
            "is_frozen": self.is_frozen,
        }

    def load(self, state: State) -> None:
        """Go on from what `save` returned."""
        self._value = np.array(state["value"], dtype=np.float64)
        self._rows = np.array(state["rows"], dtype=np.float64)
        self._rows_max = np.array(state["rows_max"], dtype=np.float64)
        self._changes = np.array(state["changes"], dtype=np.float64)
        self.is_frozen = np.array(state["is_frozen"], dtype=np.bool_)
