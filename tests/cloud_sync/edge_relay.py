"""A link that can be cut: passes bytes between a fixed port and a far end that may move."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit


class Relay:
    """Stands for the network; while cut, connections break and new ones are refused at once."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.url = ""
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def connect(self, url: str) -> None:
        """Let new connections through to a far end."""
        parts = urlsplit(url)
        self.target = (str(parts.hostname), int(parts.port or 0))

    async def cut(self) -> None:
        """Break every connection, and let none through."""
        self.target = None
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def stop(self) -> None:
        """Cut for good."""
        await self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            if self.target is None:
                return
            far_reader, far_writer = await asyncio.open_connection(*self.target)
            try:
                await asyncio.wait(
                    [
                        asyncio.ensure_future(pump(reader, far_writer)),
                        asyncio.ensure_future(pump(far_reader, writer)),
                    ],
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                far_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()
            self._links.discard(link)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until an end is gone."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
