"""Frames on their way into the sink: a cancelled hand-over loses none of them."""

from collections import deque

from gateway.core.frame import Frame
from gateway.core.ports import Sink


class Outbox:
    """Keeps each frame until the sink has taken it.

    `Sink.emit` takes a frame or is cancelled before it took it; so a frame that is still here
    after a cancellation was not taken, and `flush` may be called again to hand it over.
    """

    def __init__(self, sink: Sink) -> None:
        """Begin empty."""
        self._sink = sink
        self._frames: deque[Frame] = deque()

    def put(self, *frames: Frame) -> None:
        """Add frames behind the others; an empty one is dropped."""
        self._frames += [frame for frame in frames if len(frame)]

    async def flush(self) -> None:
        """Hand over all frames in their order; waits while the sink is full."""
        while self._frames:
            await self._sink.emit(self._frames[0])
            self._frames.popleft()

    @property
    def sample_count(self) -> int:
        """Samples that the sink has not taken yet."""
        return sum(len(frame) for frame in self._frames)
