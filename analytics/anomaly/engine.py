"""What runs one model for n assets: the part that all methods share."""

from dataclasses import dataclass
from typing import Protocol

from gateway.core.arrays import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessed:
    """What a model says of the rows of one instant."""

    score: FloatArray
    """Above 1 is anomalous, shape (n,); NaN for rows that do not count, for assets with too few
    rows, and where the model gave no number."""
    is_waiting: BoolArray
    """Assets for which this row decides nothing: too few are before it, or it is a part of a mean
    that goes on, shape (n,)."""
    is_begun: BoolArray
    """Assets that this row could have alarmed for, shape (n,)."""


class Engine(Protocol):
    """One model at work; its state is that of n assets."""

    def update(self, time_ns: int, value: FloatArray, counts: BoolArray) -> Assessed:
        """Take in the rows of one instant.

        Args:
            time_ns: Later than that of the call before.
            value: In the columns' units, shape (n, m).
            counts: Which rows count, shape (n,); those are finite.
        Raises:
            ModelError: the graph fails on them.
        """

    def shares(self) -> FloatArray:
        """Return each column's part of each asset's score, shape (n, m), 0 to 1.

        A row sums to 1, or to 0 where the model attributed nothing.
        """

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""

    def checkpoint(self) -> str:
        """Return all that was remembered, as text."""

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint of the same model for as many assets.

        Raises:
            ValueError: it is damaged, or of another model; the state is unchanged.
        """
