"""The frame: columns of samples, the one shape in which data moves through the gateway."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray, IndexArray, StatusArray, TimeArray, frozen
from gateway.core.quality import quality_of


class Origin(IntEnum):
    """Where a frame comes from; only a live frame may lead to an action on a machine."""

    LIVE = 0
    """Received from the machine by this process just now."""
    HISTORICAL = 1
    """Read later from the machine's own history."""
    REPLAYED = 2
    """Read back from the log after a restart."""


class ClockSource(IntEnum):
    """Whose clock stamped a frame's samples. The numbers are on disk and in the lake.

    Order is always that of the log; this says how far the times themselves can be relied on.
    """

    SOURCE = 0
    """The source's own, whatever that is worth."""
    GATEWAY = 1
    """Ours."""
    REBASED = 2
    """Ours while it was wrong; moved in the log by what it was wrong by."""
    UNTRUSTED = 3
    """Ours while it could not be relied on; nobody knows by how much it was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """Samples as columns of equal length n; the arrays are read-only.

    A block poll, a subscription's notification and a derived result are all frames.
    """

    tag_index: IndexArray
    """Position of each sample's tag in the `TagTable` of the running epoch, shape (n,)."""
    time_ns: TimeArray
    """Source time of each sample, UTC, shape (n,); receive time where the source has no clock."""
    value: FloatArray
    """Shape (n,); NaN only where the status is Bad."""
    status: StatusArray
    """OPC UA status code of each sample, shape (n,); its top bits are the `quality`."""
    received_ns: int
    """When the gateway had the bytes, wall time in UTC; a derived frame keeps its source's."""
    arrival_ns: int = 0
    """The same instant on the monotonic clock, for latencies; 0 when not live."""
    origin: Origin = Origin.LIVE
    """Live, historical or replayed."""
    is_received: bool = True
    """Whether a server offered these values; false for what the gateway states or computes."""
    clock: ClockSource = ClockSource.SOURCE
    """Whose clock stamped the samples, all of them alike."""
    server_ns: TimeArray | None = None
    """When the server last knew each value to hold, UTC, shape (n,); 0 where it did not say.

    None when no sample has one (Modbus, derived, stated).
    """

    def __post_init__(self) -> None:
        """Check the equal lengths and switch writing off."""
        count = self.tag_index.shape[0]
        assert self.tag_index.shape == (count,)
        assert self.time_ns.shape == (count,)
        assert self.value.shape == (count,)
        assert self.status.shape == (count,)
        for column in (self.tag_index, self.time_ns, self.value, self.status):
            frozen(column)
        if self.server_ns is not None:
            assert self.server_ns.shape == (count,)
            frozen(self.server_ns)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.tag_index)

    @property
    def quality(self) -> NDArray[np.uint8]:
        """Quality of each sample as `Quality`, shape (n,)."""
        return quality_of(self.status)

    @property
    def size_bytes(self) -> int:
        """Bytes that the columns take in memory."""
        return (24 if self.server_ns is None else 32) * len(self)

    def where(self, chosen: BoolArray | NDArray[np.intp]) -> "Frame":
        """Return the samples that a mask of shape (n,) holds for, or those at some places."""
        return replace(
            self,
            tag_index=self.tag_index[chosen],
            time_ns=self.time_ns[chosen],
            value=self.value[chosen],
            status=self.status[chosen],
            server_ns=None if self.server_ns is None else self.server_ns[chosen],
        )


def are_alike(one: Frame, other: Frame) -> bool:
    """Return whether two frames may be joined: one origin, one maker, one clock."""
    return (
        one.origin is other.origin
        and one.is_received is other.is_received
        and one.clock is other.clock
    )


def join_frames(frames: Sequence[Frame]) -> Frame:
    """Return the samples of several frames of one kind as one frame, in their order.

    The arrival is that of the oldest frame, so that a latency measured on the result is never
    flattering.

    Raises:
        AssertionError: there is no frame, or they are not alike.
    """
    assert frames
    first = frames[0]
    if len(frames) == 1:
        return first
    assert all(are_alike(first, frame) for frame in frames)
    return Frame(
        tag_index=np.concatenate([frame.tag_index for frame in frames]),
        time_ns=np.concatenate([frame.time_ns for frame in frames]),
        value=np.concatenate([frame.value for frame in frames]),
        status=np.concatenate([frame.status for frame in frames]),
        received_ns=first.received_ns,
        arrival_ns=min(frame.arrival_ns for frame in frames),
        origin=first.origin,
        is_received=first.is_received,
        clock=first.clock,
        server_ns=join_server_ns(frames),
    )


def join_alike(frames: Iterable[Frame]) -> list[Frame]:
    """Return frames with neighbours that are alike joined, in their order."""
    return [join_frames(run) for run in _runs(frames)]


def split_by_clock(frame: Frame, is_ours: BoolArray) -> list[Frame]:
    """Return a frame as frames of one clock each; the samples of a tag keep their order.

    Args:
        frame: Its own clock does not matter.
        is_ours: Which samples the gateway stamped, shape (n,).
    """
    if not is_ours.any():
        return [replace(frame, clock=ClockSource.SOURCE)]
    if is_ours.all():
        return [replace(frame, clock=ClockSource.GATEWAY)]
    if np.intersect1d(frame.tag_index[is_ours], frame.tag_index[~is_ours]).size:
        # Rare: one tag has both. Only cutting at every change keeps its samples in order.
        ends = np.flatnonzero(np.diff(is_ours)) + 1
        parts = np.split(np.arange(len(frame)), ends)
    else:
        parts = [np.flatnonzero(~is_ours), np.flatnonzero(is_ours)]
    return [
        replace(
            frame.where(part),
            clock=ClockSource.GATEWAY if is_ours[part[0]] else ClockSource.SOURCE,
        )
        for part in parts
    ]


def join_server_ns(frames: Iterable[Frame]) -> TimeArray | None:
    """Return the server's times of several frames one after the other, 0 where there is none.

    Returns:
        One time for each sample of all frames; None when no frame has any.
    """
    columns = [(frame.server_ns, len(frame)) for frame in frames]
    if all(column is None for column, _ in columns):
        return None
    return np.concatenate(
        [np.zeros(count, np.int64) if column is None else column for column, count in columns]
    )


def _runs(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Yield neighbours that are alike."""
    run: list[Frame] = []
    for frame in frames:
        if run and not are_alike(run[0], frame):
            yield run
            run = []
        run.append(frame)
    if run:
        yield run
