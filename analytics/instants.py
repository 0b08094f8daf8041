"""Times in the data, and how far a source's clock is believed."""

from typing import Final

import numpy as np

from gateway.core.arrays import TimeArray

NS_PER_S: Final = 1_000_000_000

NEVER_NS: Final = np.iinfo(np.int64).min
"""Older than every sample."""

AHEAD_NS_MAX: Final = 60 * NS_PER_S
"""A source time further ahead of its receipt is a clock that lies: it counts as just so far
ahead, because believing it would make every following sample a late one."""


def believed_ns(time_ns: TimeArray, *, received_ns: int) -> TimeArray:
    """Return source times as far as they can be true, same shape."""
    return np.minimum(time_ns, received_ns + AHEAD_NS_MAX)
