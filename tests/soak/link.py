"""A link of the network that can be cut, swallow everything, or be slow."""

import asyncio

PIECE_BYTES = 16 * 1024
CONNECT_S = 10.0
LOOK_S = 0.05
"""How often a link that stands still looks whether it may go on."""


class Link:
    """Passes bytes between a port of its own and a far end; both ends keep their addresses."""

    def __init__(self, name: str, host: str, port: int) -> None:
        """Name the far end; nothing is opened."""
        self.name = name
        self.address = ""
        """Host and port to connect to instead of the far end's."""
        self._far = (host, port)
        self._is_cut = False
        self._is_still = False
        self._bytes_per_s: float | None = None
        self._server: asyncio.Server | None = None
        self._roads: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Break everything for good."""
        await self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def cut(self) -> None:
        """Break every connection; new ones are refused as soon as they come."""
        self._is_cut = True
        roads = list(self._roads)
        for road in roads:
            road.cancel()
        await asyncio.gather(*roads, return_exceptions=True)

    def swallow(self) -> None:
        """Let nothing through, and break nothing: as a cable that was pulled."""
        self._is_still = True

    def slow_down(self, bytes_per_s: float) -> None:
        """Let only so much through, in each direction of each connection."""
        self._bytes_per_s = bytes_per_s

    def heal(self) -> None:
        """Be a good link again."""
        self._is_cut = self._is_still = False
        self._bytes_per_s = None

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        road = asyncio.current_task()
        assert road is not None
        self._roads.add(road)
        try:
            if self._is_cut:
                return
            while self._is_still:
                await asyncio.sleep(LOOK_S)
            far_reader, far_writer = await self._far_end()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, far_writer))
                    group.create_task(self._pump(far_reader, writer))
            finally:
                far_writer.transport.abort()
        except* (OSError, _EndError, asyncio.CancelledError):
            pass  # an end is gone, or the link is cut: either way the connection ends here
        finally:
            writer.transport.abort()
            self._roads.discard(road)

    async def _far_end(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(CONNECT_S):
            return await asyncio.open_connection(*self._far)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on until an end is gone."""
        while data := await reader.read(PIECE_BYTES):
            while self._is_still:
                await asyncio.sleep(LOOK_S)
            if self._bytes_per_s is not None:
                await asyncio.sleep(len(data) / self._bytes_per_s)
            writer.write(data)
            await writer.drain()
        raise _EndError


class _EndError(Exception):
    """One end has closed its side."""
