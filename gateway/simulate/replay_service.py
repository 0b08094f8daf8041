"""Replays a recording: serves its columns by OPC UA in its own timing, faster if wanted."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from gateway.core.ports import Clock
from gateway.simulate.books import OfferedBook
from gateway.simulate.opcua import Access, OpcuaServer
from gateway.simulate.replay import CONNECTOR, Play

NS_PER_S = 1_000_000_000
LINGER_S = 2.0
"""After the last row, so that a subscription publishes it."""


class Replay:
    """One recording on one server."""

    def __init__(
        self, recording: Play, *, address: tuple[str, int], book: Path, clock: Clock
    ) -> None:
        """Open the book and prepare the server.

        Args:
            recording: What is replayed.
            address: Where to listen; port 0 takes a free one.
            book: File of the book; the certificate is kept beside it.
            clock: Time.
        """
        self.nodes = recording.nodes()
        self._recording = recording
        self._clock = clock
        self.server = OpcuaServer(
            self.nodes,
            access=Access(host=address[0], port=address[1]),
            book=OfferedBook(book, connector=CONNECTOR, tags=[node.tag for node in self.nodes]),
            state_folder=book.parent,
            clock=clock,
        )

    async def run(self, *, speed: float, on_ready: Callable[["Replay"], None]) -> None:
        """Show every row once, at its time divided by the speed, and stop.

        A row that cannot be shown in time is shown late, with the source time it should have had.
        """
        rows = zip(self._recording.time_s, self._recording.rows, strict=True)
        try:
            await self.server.start(self._recording.rows[0], self._clock.now_ns())
            on_ready(self)
            wall_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
            for time_s, values in rows:
                due_ns = round(time_s / speed * NS_PER_S)
                wait_ns = monotonic_ns + due_ns - self._clock.monotonic_ns()
                await asyncio.sleep(max(0.0, wait_ns / NS_PER_S))
                await self.server.show(values, wall_ns + due_ns)
            await asyncio.sleep(LINGER_S)
        finally:
            await self.server.stop()
            self.server.book.close()
