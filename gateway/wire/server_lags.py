"""The server's time of each sample as bytes: how far it is behind the sample's own time.

An OPC UA server says beside the time of a value when it last knew that the value held. Often both
are equal, or a sampling period apart: differences cost next to nothing where the times would cost
bytes. Other servers say one time for all values of a notification whose own times differ: there
the difference to the time of the frame costs next to nothing, so both are tried. A sample without
the server's time is told apart by a column of its own, so that every time comes back to the
nanosecond, however far from the sample's.
"""

from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import BoolArray, TimeArray
from gateway.core.errors import CorruptRecordError
from gateway.wire.columns import ByteReader, compress, get_integers, put_integers

_TO_SAMPLE, _TO_FRAME = 1, 2
"""What the difference is to, in the column that says whether there is one; 0 is not given."""
_LEVEL = 1


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


def put_lags(lags: ServerLags, *, offset_ns: TimeArray) -> bytes:
    """Return the columns as `get_lags` reads them, against the times that make them smaller.

    Args:
        lags: Of n samples.
        offset_ns: How far the samples' own times are from those of their frames, shape (n,).
    """
    own = _columns(lags.is_given, _TO_SAMPLE, lags.lag_ns)
    if not lags.is_given.any() or (lags.lag_ns == lags.lag_ns[0]).all():
        return own
    to_frame_ns = np.where(lags.is_given, lags.lag_ns + offset_ns, 0)
    shared = _columns(lags.is_given, _TO_FRAME, to_frame_ns)
    return min(own, shared, key=lambda columns: len(compress(columns, level=_LEVEL)))


def get_lags(reader: ByteReader, *, offset_ns: TimeArray) -> ServerLags:
    """Return the next differences, one for each sample.

    Args:
        reader: At their beginning.
        offset_ns: As they were written with.
    Raises:
        CorruptRecordError: they are cut short, of an unknown form, or contradict themselves.
    """
    count = len(offset_ns)
    forms = get_integers(reader, count)
    if ((forms < 0) | (forms > _TO_FRAME)).any():
        raise CorruptRecordError("a sample neither has the server's time nor lacks it")
    lag_ns = get_integers(reader, count)
    lag_ns = np.where(forms == _TO_FRAME, lag_ns - offset_ns, lag_ns)
    return ServerLags(is_given=forms != 0, lag_ns=lag_ns)


def _columns(is_given: BoolArray, form: int, lag_ns: TimeArray) -> bytes:
    return put_integers(np.where(is_given, form, 0)) + put_integers(lag_ns)
