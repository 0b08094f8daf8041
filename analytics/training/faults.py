"""Known faults made from healthy rows: what every version of a model must find.

A fault is a pattern of directions, such as "flow falls, suction pressure falls", laid over a
stretch of healthy rows in steps of the columns' own spread. A pattern of one column is a step, as
when a sensor shifts; one of several columns grows over a third of the stretch, as faults do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray

GROWTH_SHARE: Final = 1 / 3
"""Part of the stretch over which a pattern of several columns grows to its full size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPattern:
    """Directions in which a fault moves columns."""

    name: str
    """For a person, such as `suction filter clogged`."""
    signs: Mapping[str, float]
    """Direction of each column it moves, in spreads for a fault of size 1; never empty."""

    def __post_init__(self) -> None:
        """Check that it moves something."""
        assert self.signs, self.name


def single_patterns(columns: Sequence[str]) -> tuple[FaultPattern, ...]:
    """Return the patterns that move one column up or down."""
    return tuple(
        FaultPattern(name=f"{column} {direction}", signs={column: sign})
        for column in columns
        for direction, sign in (("too high", 1.0), ("too low", -1.0))
    )


def with_fault(
    rows: FloatArray,
    pattern: FaultPattern,
    *,
    size: float,
    columns: Sequence[str],
    spread: FloatArray,
) -> FloatArray:
    """Return healthy rows with a fault laid over them.

    Args:
        rows: Shape (r, m), in time order.
        pattern: Its columns are among `columns`.
        size: How many spreads the fault moves its columns in the end.
        columns: Names of the m columns.
        spread: Standard deviation of each healthy column, shape (m,).
    Returns:
        Shape (r, m), a new array.
    """
    direction = np.array([pattern.signs.get(column, 0.0) for column in columns])
    growing = max(1, round(len(rows) * GROWTH_SHARE)) if len(pattern.signs) > 1 else 1
    extent = np.minimum(np.arange(1, len(rows) + 1) / growing, 1.0)
    return rows + extent[:, np.newaxis] * (size * direction * spread)
