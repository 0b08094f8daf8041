"""A TCP proxy between a connector and a real server: cuts, freezes, and keeps what passed."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self


class Wire:
    """Listens on a port of its own and forwards to the server's."""

    def __init__(self) -> None:
        self.port = 0
        self.target_port = 0
        self.downstream: list[bytearray] = []
        """What went from the server to the connector, a stretch for each connection."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Close everything: whoever connects now is refused."""
        assert self._server is not None
        self._server.close()
        self.cut()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break the connections that stand."""
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Let connections stand and nothing pass."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let pass what waited."""
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        seen = bytearray()
        self.downstream.append(seen)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._writers.add(far_writer)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._forward(reader, far_writer, _drop))
                    group.create_task(self._forward(far_reader, writer, seen.extend))
            finally:
                far_writer.transport.abort()
                self._writers.discard(far_writer)
        except* (OSError, _EndError, asyncio.CancelledError):
            pass  # the end of a wire, whoever wants it
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        note: Callable[[bytes], None],
    ) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            if not writer.is_closing():
                note(data)
            writer.write(data)
            await writer.drain()
        raise _EndError


class _EndError(Exception):
    """One side has closed."""


def _drop(_: bytes) -> None:
    pass


async def until(condition: Callable[[], bool], *, what: str, deadline_s: float = 40.0) -> None:
    """Wait for a condition."""
    try:
        async with asyncio.timeout(deadline_s):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"did not happen within {deadline_s} s: {what}") from None


async def within(awaitable: Awaitable[object], *, what: str, deadline_s: float = 40.0) -> None:
    """Wait for something that ends by itself."""
    try:
        async with asyncio.timeout(deadline_s):
            await awaitable
    except TimeoutError:
        raise AssertionError(f"did not end within {deadline_s} s: {what}") from None
