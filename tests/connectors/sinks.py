"""Sinks that keep what they are given, as the supervisor's would."""

import asyncio

import numpy as np

from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.gaps import NO_GAPS, Gaps, Healing


class KeepingSink:
    """Implements `Sink`; can be full."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.connected_count = 0
        self.frames_before_connected = 0
        self.skipped_sample_count = 0
        self.events: list[Event] = []
        self.open_gaps = NO_GAPS
        self.healings: list[Healing] = []
        self._copies: list[tuple[bytes, ...]] = []
        self._room = asyncio.Event()
        self._room.set()

    async def emit(self, frame: Frame) -> None:
        await self._room.wait()
        assert len(frame)
        self.frames.append(frame)
        self._copies.append(_bytes(frame))
        if not self.connected_count:
            self.frames_before_connected += 1

    def connected(self) -> None:
        self.connected_count += 1

    def skipped(self, *, from_ns: int, to_ns: int, count: int) -> None:
        assert from_ns < to_ns
        assert count > 0
        self.skipped_sample_count += count

    def note(self, event: Event) -> None:
        self.events.append(event)

    def gaps(self) -> Gaps:
        return self.open_gaps

    def healed(self, healing: Healing) -> None:
        self.healings.append(healing)
        self.open_gaps = self.open_gaps.where(self.open_gaps.number > healing.number)

    def fill(self) -> None:
        """Let `emit` wait."""
        self._room.clear()

    def drain(self) -> None:
        """Let `emit` go on."""
        self._room.set()

    @property
    def received(self) -> list[Frame]:
        return [frame for frame in self.frames if frame.is_received]

    @property
    def stated(self) -> list[Frame]:
        return [frame for frame in self.frames if not frame.is_received]

    @property
    def sample_count(self) -> int:
        """Samples that a server offered."""
        return sum(len(frame) for frame in self.received)

    def values_of(self, index: int) -> list[float]:
        """Values of one tag, in their order."""
        return [
            float(value)
            for frame in self.received
            for value in frame.value[frame.tag_index == index]
        ]

    def assert_untouched(self) -> None:
        """Fail when a frame was changed after it was handed over."""
        assert [_bytes(frame) for frame in self.frames] == self._copies

    def assert_in_order(self) -> None:
        """Fail when a tag's samples do not come in the order of their times."""
        newest: dict[int, int] = {}
        for frame in self.received:
            for index, time_ns in zip(frame.tag_index, frame.time_ns, strict=True):
                assert time_ns >= newest.get(int(index), 0)
                newest[int(index)] = int(time_ns)

    def assert_sound(self) -> None:
        """Fail when a frame is not what the port promises."""
        for frame in self.frames:
            assert frame.received_ns > 0
            assert frame.arrival_ns > 0
            assert (frame.time_ns > 0).all()
            assert (frame.quality[np.isnan(frame.value)] == 2).all()


def _bytes(frame: Frame) -> tuple[bytes, ...]:
    columns = (frame.tag_index, frame.time_ns, frame.value, frame.status)
    return tuple(column.tobytes() for column in columns)
