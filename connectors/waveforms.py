"""Waveforms: many values of one tag that a machine gives at once, as samples evenly spaced in time.

A machine writes a buffer when it is full, so its time is that of the last value, and the others go
back from there. What was handed over already, because the same buffer was read again or the next
one overlaps, is left out: the times of a tag rise.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Final

import numpy as np

from gateway.core.arrays import IndexArray
from gateway.core.frame import ClockSource, Frame
from gateway.core.quality import Status

SAMPLES_MAX: Final = 65_536
"""In one buffer."""
RATE_HZ_MAX: Final = 1_000_000.0

_NS_PER_S: Final = 1_000_000_000


class WaveformTags:
    """Makes frames of the waveforms of one session."""

    def __init__(
        self, rates_hz: Mapping[int, float], indices: IndexArray, ends_ns: MutableMapping[int, int]
    ) -> None:
        """Begin a session.

        Args:
            rates_hz: Sampling rate of each tag that is a waveform, by its position in the list.
            indices: Position in the tag table of each of the connector's tags.
            ends_ns: Time of the last value handed over, by position; outlives the session.
        """
        self._rates_hz = rates_hz
        self._indices = indices
        self._ends_ns = ends_ns

    def __contains__(self, position: int) -> bool:
        """Return whether a tag is a waveform."""
        return position in self._rates_hz

    def frame(
        self,
        position: int,
        numbers: Sequence[float],
        *,
        status: int,
        end_ns: int,
        received_ns: int,
        arrival_ns: int,
        clock: ClockSource,
    ) -> Frame | None:
        """Return the values that are new; None when there are none.

        Args:
            position: Of a tag that is a waveform.
            numbers: At most `SAMPLES_MAX`, the oldest first.
            status: Of all of them; what is no finite number is Bad.
            end_ns: Time of the last value, UTC.
            received_ns: When they came, UTC.
            arrival_ns: The same on the monotonic clock.
            clock: Whose time `end_ns` is.
        """
        last_ns = self._ends_ns.get(position)
        if last_ns == end_ns:
            return None
        value = np.array(numbers, dtype=np.float64)
        back_s = np.arange(len(value) - 1, -1, -1) / self._rates_hz[position]
        time_ns = end_ns - np.round(back_s * _NS_PER_S).astype(np.int64)
        # A clock that was set back begins anew: its times are the gateway's to judge.
        if last_ns is not None and last_ns < end_ns:
            is_new = time_ns > last_ns
            value, time_ns = value[is_new], time_ns[is_new]
        self._ends_ns[position] = end_ns
        is_number = np.isfinite(value)
        codes = np.full(len(value), status, dtype=np.uint32)
        if status < Status.BAD:
            codes[~is_number] = Status.BAD_OUT_OF_RANGE
        value[~is_number | (codes >= Status.BAD)] = np.nan
        return Frame(
            tag_index=np.full(len(value), self._indices[position], dtype=np.int32),
            time_ns=time_ns,
            value=value,
            status=codes,
            received_ns=received_ns,
            arrival_ns=arrival_ns,
            clock=clock,
        )
