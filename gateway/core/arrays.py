"""Array types of the project, and the one way to make an array read-only."""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)

FloatArray = NDArray[np.float64]
"""Values in engineering units."""
Float32Array = NDArray[np.float32]
"""What a model takes and returns."""
IndexArray = NDArray[np.int32]
"""Positions in a `TagTable`."""
TimeArray = NDArray[np.int64]
"""Nanoseconds since 1970-01-01 UTC."""
StatusArray = NDArray[np.uint32]
"""OPC UA status codes."""
BoolArray = NDArray[np.bool_]
"""Masks."""
ByteArray = NDArray[np.uint8]
"""Small codes, such as operating states, and images."""


def frozen(array: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Return the array with writing switched off; it is not copied."""
    array.flags.writeable = False
    return array


def float_column(values: ArrayLike) -> FloatArray:
    """Return the values as a new read-only float64 column."""
    return frozen(np.array(values, dtype=np.float64))


def index_column(values: ArrayLike) -> IndexArray:
    """Return the values as a new read-only int32 column."""
    return frozen(np.array(values, dtype=np.int32))


def time_column(values: ArrayLike) -> TimeArray:
    """Return the values as a new read-only int64 column of nanoseconds."""
    return frozen(np.array(values, dtype=np.int64))


def status_column(values: ArrayLike) -> StatusArray:
    """Return the values as a new read-only uint32 column of status codes."""
    return frozen(np.array(values, dtype=np.uint32))


def rebased(times: TimeArray, shift_ns: int | TimeArray) -> TimeArray:
    """Return the times moved by a step of the clock; what is not positive stands for never.

    Args:
        times: Any shape.
        shift_ns: The same step for all, or one for each, in the shape of `times`.
    """
    return np.where(times > 0, times + shift_ns, times)
