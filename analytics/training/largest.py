"""How far the few most unusual columns are off: the mean of the largest |z|, as operations.

A fault moves a few of many loosely related columns. The largest alone follows the one column that
is always restless; the mean of all is drowned by the healthy ones; three of 38 rank best on the
metrics of servers, two and four nearly alike. The z are in standard deviations, not in ranks or
robust spreads: heavy tails belong to what is usual for a column.
"""

from typing import Final

import numpy as np

from analytics.training.graph_part import GraphPart, Operation
from gateway.core.arrays import FloatArray

LARGEST_COUNT: Final = 3
"""Columns that count; all where there are fewer."""
STEPS_MAX: Final = 1e4
"""A value further off counts as this, so that nonsense stays finite."""


def largest_part(
    *, rows: str, column_count: int, prefix: str, largest_count: int = LARGEST_COUNT
) -> GraphPart:
    """Return the mean of the largest |z| as operations; the contributions add up to it.

    Of columns that tie for the last place, the first counts.

    Args:
        rows: Name of the input, standardised rows, shape (n, m).
        column_count: m, at least 1.
        prefix: Beginning of every name that the part makes.
        largest_count: At least 1.
    """
    assert column_count >= 1, column_count
    assert largest_count >= 1, largest_count
    count = min(largest_count, column_count)
    part = GraphPart(
        operations=(
            Operation(name="Abs", inputs=(rows,), outputs=("size",)),
            Operation(name="Min", inputs=("size", "size_max"), outputs=("bounded",)),
            Operation(name="Mul", inputs=("bounded", "share"), outputs=("shared",)),
            Operation(
                name="TopK",
                inputs=("shared", "count"),
                outputs=("largest", "place"),
                attributes={"axis": 1},
            ),
            Operation(name="Mul", inputs=("shared", "none"), outputs=("nothing",)),
            Operation(
                name="ScatterElements",
                inputs=("nothing", "place", "largest"),
                outputs=("contribution",),
                attributes={"axis": 1},
            ),
            Operation(
                name="ReduceSum",
                inputs=("largest", "column_axis"),
                outputs=("statistic",),
                attributes={"keepdims": 0},
            ),
        ),
        constants={
            "size_max": np.asarray(STEPS_MAX, dtype=np.float32),
            "share": np.asarray(1.0 / count, dtype=np.float32),
            "none": np.asarray(0.0, dtype=np.float32),
            "count": np.array([count], dtype=np.int64),
            "column_axis": np.array([1], dtype=np.int64),
        },
        statistic="statistic",
        contribution="contribution",
    )
    return part.prefixed(prefix, inputs=[rows])


def largest_mean(rows: FloatArray, *, largest_count: int = LARGEST_COUNT) -> FloatArray:
    """Return the statistic of standardised rows (n, m) in double precision, shape (n,)."""
    count = min(largest_count, rows.shape[1])
    sizes = np.minimum(np.abs(rows), STEPS_MAX)
    mean: FloatArray = np.partition(sizes, -count, axis=1)[:, -count:].mean(axis=1)
    return mean
