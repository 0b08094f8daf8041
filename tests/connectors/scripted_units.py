"""Units on one line that answer, are slow, refuse or are silent as a test says."""

import asyncio
import struct
import time
from types import TracebackType
from typing import Self

from pymodbus.framer import FramerRTU


class ScriptedUnits:
    """Serves any number of units on one port; register i of unit u reads 1000 x u + i."""

    def __init__(self, framing: str = "tcp") -> None:
        self.port = 0
        self.silent: set[int] = set()
        self.delay_s: dict[int, float] = {}
        self.refusal: dict[int, int] = {}
        """Exception code of each unit that refuses."""
        self.asked: list[tuple[float, int, int]] = []
        """When, which unit, which address."""
        self.connected_s: list[float] = []
        self.open_count = 0
        self.at_once_max = 0
        self._at_once = 0
        self._framing = framing
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything and refuse what comes."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def asked_of(self, unit: int) -> int:
        """Return how many requests a unit got."""
        return sum(each == unit for _, each, _ in self.asked)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._note_task()
        self._writers.add(writer)
        self.connected_s.append(time.monotonic())
        self.open_count += 1
        try:
            while True:
                number = 0
                if self._framing == "tcp":
                    number, _, size, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                    pdu = await reader.readexactly(size - 1)
                else:
                    adu = await reader.readexactly(8)
                    unit, pdu = adu[0], adu[1:-2]
                _, address, count = struct.unpack(">BHH", pdu)
                self.asked.append((time.monotonic(), unit, address))
                self._at_once += 1
                self.at_once_max = max(self.at_once_max, self._at_once)
                answering = self._answer(writer, number, unit, address, count)
                self._tasks.add(asyncio.create_task(answering, name="unit"))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the end of a connection, whoever wants it
        finally:
            self.open_count -= 1
            writer.transport.abort()
            self._writers.discard(writer)

    async def _answer(
        self, writer: asyncio.StreamWriter, number: int, unit: int, address: int, count: int
    ) -> None:
        is_silent = unit in self.silent
        await asyncio.sleep(self.delay_s.get(unit, 0.0))
        self._at_once -= 1
        if is_silent or writer.is_closing():
            return
        if code := self.refusal.get(unit):
            pdu = bytes([0x83, code])
        else:
            words = [1000 * unit + address + index for index in range(count)]
            pdu = struct.pack(f">BB{count}H", 3, 2 * count, *words)
        writer.write(self.adu(number, unit, pdu))

    def adu(self, number: int, unit: int, pdu: bytes) -> bytes:
        """Return the bytes of an answer."""
        if self._framing == "tcp":
            return struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu
        body = bytes([unit]) + pdu
        return body + struct.pack(">H", FramerRTU.compute_CRC(body))

    def _note_task(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
