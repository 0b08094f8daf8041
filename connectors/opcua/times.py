"""Which time a value of OPC UA gets. Pure.

A value may come with the time of its source and the time of its server. The source's is the better
one: the server may sit far from the machine. Where the source gave none, the server's is taken,
else the time when the value came here; nothing is wrong then.

A source's clock can be plainly wrong: controllers that lost their battery begin at 1970, 1984 or
1990, and one that runs on local time is hours ahead. Such a time is not used; the value keeps
coming, with the next best time, and is marked: what was Good becomes Uncertain. A clock that is
somewhat behind or ahead is kept as it is: only the source knows better.
"""

from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import BoolArray, StatusArray, TimeArray
from gateway.core.quality import Status, is_good

NS_PER_S = 1_000_000_000
TIME_NS_MAX = (1 << 63) - 1
PLAUSIBLE_NS_MIN = 662_688_000 * NS_PER_S
"""1991-01-01 UTC: behind the dates that clocks without a battery begin with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleTimes:
    """Times of n values."""

    time_ns: TimeArray
    """Shape (n,), UTC; above 0."""
    is_wrong: BoolArray
    """Where the source gave a time that cannot be, shape (n,)."""
    is_missing: BoolArray
    """Where the source gave none, shape (n,)."""
    is_ours: BoolArray
    """Where neither source nor server gave a usable one, so that it is the arrival, shape (n,)."""


def sample_times(
    source_ns: TimeArray, server_ns: TimeArray, *, received_ns: int, ahead_ns_max: int | None
) -> SampleTimes:
    """Return the best time of each value.

    Args:
        source_ns: Time of the source, UTC, shape (n,); 0 is none.
        server_ns: Time of the server, alike.
        received_ns: When the values came, UTC.
        ahead_ns_max: How far ahead of that a time may be; None while our own clock is in doubt,
            so that it cannot judge another.
    """
    last_ns = TIME_NS_MAX if ahead_ns_max is None else received_ns + ahead_ns_max
    is_missing = source_ns == 0
    is_right = (source_ns >= PLAUSIBLE_NS_MIN) & (source_ns <= last_ns)
    if is_right.all():
        return SampleTimes(
            time_ns=source_ns, is_wrong=is_missing, is_missing=is_missing, is_ours=is_missing
        )
    has_server = (server_ns >= PLAUSIBLE_NS_MIN) & (server_ns <= last_ns)
    second = np.where(has_server, server_ns, received_ns)
    return SampleTimes(
        time_ns=np.where(is_right, source_ns, second),
        is_wrong=~is_right & ~is_missing,
        is_missing=is_missing,
        is_ours=~is_right & ~has_server,
    )


def marked(status: StatusArray, is_wrong: BoolArray) -> StatusArray:
    """Return the status with Good made Uncertain where the source's time was wrong."""
    if not is_wrong.any():
        return status
    return np.where(
        is_wrong & is_good(status), np.uint32(Status.UNCERTAIN_CONFIGURATION_ERROR), status
    )
