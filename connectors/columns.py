"""Samples that come one by one, gathered into frames; and what we state where none come."""

from collections.abc import Sequence

import numpy as np

from gateway.core.arrays import (
    FloatArray,
    IndexArray,
    StatusArray,
    float_column,
    index_column,
    status_column,
)
from gateway.core.frame import ClockSource, Frame, Origin, split_by_clock
from gateway.core.ports import Clock
from gateway.core.quality import Status


class Columns:
    """Gathers received samples until they become one frame."""

    def __init__(self, indices: IndexArray, *, origin: Origin = Origin.LIVE) -> None:
        """Begin empty.

        Args:
            indices: Position in the tag table of each of the connector's tags.
            origin: Of the frames.
        """
        self._indices = indices
        self._origin = origin
        self._positions: list[int] = []
        self._times_ns: list[int] = []
        self._values: list[float] = []
        self._statuses: list[int] = []
        self._is_ours: list[bool] = []
        self._received_ns = 0
        self._arrival_ns = 0

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._positions)

    def add(
        self,
        position: int,
        *,
        time_ns: int | None,
        value: float,
        status: int,
        received_ns: int,
        arrival_ns: int,
    ) -> None:
        """Add a sample of the tag at a position; the frame arrived with its first sample.

        Without a time of its source, it has that of its arrival.
        """
        if not self._positions:
            self._received_ns, self._arrival_ns = received_ns, arrival_ns
        self._positions.append(position)
        self._times_ns.append(received_ns if time_ns is None else time_ns)
        self._is_ours.append(time_ns is None)
        self._values.append(value)
        self._statuses.append(status)

    def take(self) -> list[Frame]:
        """Return all samples as frames of one clock each, none when there is none; begin anew."""
        frame = Frame(
            tag_index=self._indices[np.array(self._positions, dtype=np.intp)],
            time_ns=np.array(self._times_ns, dtype=np.int64),
            value=np.array(self._values, dtype=np.float64),
            status=np.array(self._statuses, dtype=np.uint32),
            received_ns=self._received_ns,
            arrival_ns=self._arrival_ns,
            origin=self._origin,
        )
        is_ours = np.array(self._is_ours, dtype=np.bool_)
        self._positions, self._times_ns, self._values, self._statuses = [], [], [], []
        self._is_ours = []
        return split_by_clock(frame, is_ours) if len(frame) else []


def stated_frame(
    tag_index: IndexArray,
    *,
    status: StatusArray | int,
    received_ns: int,
    arrival_ns: int,
    value: FloatArray | None = None,
    time_ns: int | None = None,
) -> Frame:
    """Return what we ourselves say of some tags.

    Args:
        tag_index: Shape (n,).
        status: Shape (n,), or that of all of them.
        received_ns: When we found it out, UTC.
        arrival_ns: The same on the monotonic clock.
        value: Shape (n,), NaN where the status is Bad; None where all are.
        time_ns: Of the samples, UTC; None is when we found it out.
    """
    count = len(tag_index)
    return Frame(
        tag_index=tag_index,
        time_ns=np.full(count, received_ns if time_ns is None else time_ns, dtype=np.int64),
        value=np.full(count, np.nan) if value is None else value,
        status=np.full(count, status, dtype=np.uint32),
        received_ns=received_ns,
        arrival_ns=arrival_ns,
        is_received=False,
        clock=ClockSource.GATEWAY if time_ns is None else ClockSource.SOURCE,
    )


class LastKnown:
    """The last that is known of each tag of a connector, and what we state in its place."""

    def __init__(self, indices: IndexArray, *, clock: Clock) -> None:
        """Begin with nothing known, from now on.

        Args:
            indices: Position in the tag table of each of the connector's tags, shape (n,).
            clock: Time.
        """
        count = len(indices)
        self._indices = indices
        self._clock = clock
        self._value = np.full(count, np.nan)
        self._heard_ns = np.full(count, clock.monotonic_ns(), dtype=np.int64)

    def note(self, position: int, value: float, *, arrival_ns: int) -> None:
        """Note a sample of the tag at a position; NaN when it is no usable value."""
        self._value[position] = value
        self._heard_ns[position] = arrival_ns

    def silence_s(self) -> FloatArray:
        """Return how long nothing was heard of each tag, since the session began, shape (n,)."""
        return np.asarray((self._clock.monotonic_ns() - self._heard_ns) / 1e9, dtype=np.float64)

    def bad(self, position: int, status: int) -> Frame:
        """State that a tag is Bad; its last value is forgotten."""
        self._value[position] = np.nan
        return stated_frame(
            index_column([self._indices[position]]),
            status=status,
            received_ns=self._clock.now_ns(),
            arrival_ns=self._clock.monotonic_ns(),
        )

    def stale(self, positions: Sequence[int], *, time_ns: int | None = None) -> Frame:
        """State that what was last known of some tags is not news any longer.

        A tag keeps its last value as Uncertain (`UncertainLastUsableValue`); one without a value
        is Bad (`BadNoCommunication`).

        Args:
            positions: Those of the tags.
            time_ns: Since when, UTC; None is now.
        """
        value = self._value[list(positions)]
        status = np.where(
            np.isnan(value), Status.BAD_NO_COMMUNICATION, Status.UNCERTAIN_LAST_USABLE_VALUE
        )
        return stated_frame(
            index_column(self._indices[list(positions)]),
            value=float_column(value),
            status=status_column(status),
            received_ns=self._clock.now_ns(),
            arrival_ns=self._clock.monotonic_ns(),
            time_ns=time_ns,
        )
