"""What the work on single recordings cost, taken together."""

from collections.abc import Iterable

import numpy as np


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of what is known; None without any."""
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def largest(values: Iterable[float | None]) -> float | None:
    """Return the largest of what is known; None without any."""
    return max((value for value in values if value is not None), default=None)
