"""What was said of the remaining lives, kept until it shows whether it was true.

Theory. The truth of a prognosis is known when the machine has come to its end. Of each machine a
bounded number of intervals is kept, evenly over the time in which its wear showed. One of them is
judged, the middle one: rows of one machine say the same thing many times, and only one interval a
machine lets chance be told from a model whose intervals are too narrow (`Coverage`).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import FloatArray

PROMISES_MAX: Final = 100
"""Intervals kept of an asset, the newest; about as many as fit into the model's cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLife:
    """How the intervals of one machine did; times in the model's unit."""

    low: float
    high: float
    """Ends of the interval that is judged."""
    truth: float
    """What was left when it was told, at most the cap."""
    count: int
    """Intervals that were kept of this life."""
    held: int
    """Those of them that held the truth."""

    @property
    def is_held(self) -> bool:
        """Whether the interval that is judged held the truth."""
        return self.low <= self.truth <= self.high


class Promises:
    """The intervals told of n assets, one for each hundredth of the cap."""

    def __init__(self, asset_count: int, *, cap: float) -> None:
        """Begin with nothing told.

        Args:
            asset_count: n.
            cap: Of the model, above 0: no truth counts for more.
        """
        self._cap = cap
        self._spacing = cap / PROMISES_MAX
        self._newest = np.full(asset_count, np.nan)
        self._told: list[list[tuple[float, float, float]]] = [[] for _ in range(asset_count)]

    def note(self, at: NDArray[np.intp], time: float, low: FloatArray, high: FloatArray) -> None:
        """Keep the intervals of some assets at one time, where the last is long enough ago.

        Args:
            at: Which assets, each once, shape (r,).
            time: Later than all before.
            low: Lower ends, shape (r,), finite.
            high: Upper ends, shape (r,), finite.
        """
        is_due = ~(time - self._newest[at] < self._spacing)
        for k in np.flatnonzero(is_due).tolist():
            told = self._told[at[k]]
            told.append((time, float(low[k]), float(high[k])))
            del told[:-PROMISES_MAX]
        self._newest[at[is_due]] = time

    def judge(self, position: int, *, end: float) -> JudgedLife | None:
        """Return how the intervals of an asset did whose life ended; None when none was told."""
        told = [
            (low, high, min(end - time, self._cap))
            for time, low, high in self._told[position]
            if time < end
        ]
        if not told:
            return None
        low, high, truth = told[len(told) // 2]
        return JudgedLife(
            low=low,
            high=high,
            truth=truth,
            count=len(told),
            held=sum(low <= truth <= high for low, high, truth in told),
        )

    def forget(self, position: int) -> None:
        """Begin anew with an asset."""
        self._told[position] = []
        self._newest[position] = np.nan

    def rebase(self, shift: float) -> None:
        """Move every remembered time."""
        self._newest += shift
        self._told = [
            [(time + shift, low, high) for time, low, high in told] for told in self._told
        ]

    def save(self) -> dict[int, list[tuple[float, float, float]]]:
        """Return all that `load` needs; assets of which nothing is kept are left out."""
        return {k: list(told) for k, told in enumerate(self._told) if told}

    def load(self, saved: dict[int, list[tuple[float, float, float]]]) -> None:
        """Go on from what `save` returned for as many assets."""
        self._newest[:] = np.nan
        self._told = [[] for _ in self._told]
        for k, told in saved.items():
            assert all(one[0] < other[0] for one, other in pairwise(told))
            self._told[k] = [(time, low, high) for time, low, high in told]
            self._newest[k] = told[-1][0]
