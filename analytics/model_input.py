"""What a model reads of the rows of its assets, and whether that can be evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, IndexArray, StatusArray
from gateway.core.errors import ModelError
from gateway.core.quality import Status, is_bad, worst_status
from gateway.core.rows import Rows

WAITING: Final = np.uint32(Status.BAD_WAITING_FOR_INITIAL_DATA)
OUT_OF_SERVICE: Final = np.uint32(Status.BAD_OUT_OF_SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelInput:
    """The columns of a model in the rows of one instant."""

    value: FloatArray
    """Shape (n, m)."""
    worst: StatusArray
    """Of the columns of each row, shape (n,)."""
    is_learning: BoolArray
    """Rows with a residual whose parameters its twin is still learning, shape (n,)."""
    is_usable: BoolArray
    """Rows with a known and learnt number in every column, shape (n,)."""

    def why_none(self, *, is_waiting: BoolArray | bool = False) -> StatusArray:
        """Return why rows that are not taken have no figure, shape (n,).

        Args:
            is_waiting: Rows for which the model is not ready yet; others are in a state that it
                was not trained for.
        """
        reason = np.where(is_waiting | self.is_learning, WAITING, OUT_OF_SERVICE)
        return np.where(is_bad(self.worst), self.worst, reason)


def places_of(needed: Sequence[str], columns: Sequence[str], *, label: str) -> IndexArray:
    """Return where a model's columns stand among those of the rows, shape (m,).

    Raises:
        ModelError: some are not there (named).
    """
    missing = [name for name in needed if name not in columns]
    if missing:
        raise ModelError(
            f"{label} reads the columns {', '.join(missing)}, which its assets do not have here"
        )
    return np.array([columns.index(name) for name in needed])


def model_input(rows: Rows, places: IndexArray) -> ModelInput:
    """Return what a model reads of rows."""
    value, status = rows.value[:, places], rows.status[:, places]
    worst = worst_status(status, axis=1)
    # A twin gives a plain Uncertain to residuals whose parameters it is still learning.
    is_learning = (status == np.uint32(Status.UNCERTAIN)).any(axis=1)
    is_known = ~is_bad(worst) & np.isfinite(value).all(axis=1)
    return ModelInput(
        value=value, worst=worst, is_learning=is_learning, is_usable=is_known & ~is_learning
    )
