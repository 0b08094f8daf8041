"""The server's time of each sample as bytes: how far it is behind the sample's own time.

An OPC UA server says beside the time of a value when it last knew that the value held. Often both
are equal, or a sampling period apart: differences cost next to nothing where the times would cost
bytes. A sample without the server's time is told apart by a column of its own, so that every
time comes back to the nanosecond, however far from the sample's.
"""

from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import BoolArray, TimeArray
from gateway.core.errors import CorruptRecordError
from gateway.wire.columns import ByteReader, get_integers, put_integers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServerLags:
    """The server's times of n samples, as differences."""

    is_given: BoolArray
    """Whether the server said a time, shape (n,)."""
    lag_ns: TimeArray
    """The server's time minus the sample's, shape (n,); may wrap around; 0 where not given."""

    def server_ns(self, time_ns: TimeArray) -> TimeArray:
        """Return the server's times, shape (n,), 0 where none was given.

        Args:
            time_ns: The samples' own times, shape (n,).
        """
        return np.where(self.is_given, time_ns + self.lag_ns, 0)


def lags_of(server_ns: TimeArray, *, time_ns: TimeArray) -> ServerLags:
    """Return the server's times as differences to the samples' own times, both of shape (n,)."""
    is_given = server_ns != 0
    return ServerLags(is_given=is_given, lag_ns=np.where(is_given, server_ns - time_ns, 0))


def put_lags(lags: ServerLags) -> bytes:
    """Return the columns as `get_lags` reads them."""
    return put_integers(lags.is_given.astype(np.int64)) + put_integers(lags.lag_ns)


def get_lags(reader: ByteReader, count: int) -> ServerLags:
    """Return the next `count` differences.

    Raises:
        CorruptRecordError: they are cut short, of an unknown form, or contradict themselves.
    """
    is_given = get_integers(reader, count)
    if ((is_given != 0) & (is_given != 1)).any():
        raise CorruptRecordError("a sample neither has the server's time nor lacks it")
    return ServerLags(is_given=is_given != 0, lag_ns=get_integers(reader, count))
