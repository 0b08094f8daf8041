"""A fast Modbus TCP server with a thousand values; `python -m gateway.bench.modbus_server`.

It answers any read of holding registers from prepared bytes, so that what is measured is the
client. The registers come in stretches of 125 (as many as a request may have): sixty float32, one
float64 that holds the server's time in ms when it answered, one register of nothing. Several
requests may be in flight. Every value that goes out whole is counted as offered.
"""

import asyncio
import struct
import sys
import time
from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np

from gateway.bench.serving import HOST, serve

STRETCH: Final = 125
FLOATS: Final = 60
CLOCK_AT: Final = 2 * FLOATS
"""First register of a stretch's clock."""
PATTERNS: Final = 16
"""Pictures of all the registers that are shown in turn, so that values change."""
_HEADER: Final = struct.Struct(">HHHBBHH")


class Registers:
    """The values, as bytes on the wire."""

    def __init__(self, tag_count: int) -> None:
        """Lay out so many values; a stretch that is begun is filled."""
        stretches = -(-tag_count // (FLOATS + 1))
        generator = np.random.default_rng(1)
        self.pictures = []
        for _ in range(PATTERNS):
            picture = np.zeros((stretches, STRETCH), dtype=">u2")
            values = generator.normal(50, 5, (stretches, FLOATS)).round(2).astype(">f4")
            picture[:, :CLOCK_AT] = values.view(">u2")
            self.pictures.append(bytearray(picture.tobytes()))
        self.register_count = stretches * STRETCH
        begins = [STRETCH * s + 2 * k for s in range(stretches) for k in range(FLOATS + 1)]
        ends = [b + (4 if b % STRETCH == CLOCK_AT else 2) for b in begins]
        self.begins, self.ends = begins, ends
        self.clocks = [begin for begin in begins if begin % STRETCH == CLOCK_AT]
        self.offered = 0
        self._answers = 0

    def read(self, start: int, count: int) -> bytes:
        """Return registers, their clocks set, and count the values in them."""
        self._answers += 1
        picture = self.pictures[self._answers // 64 % PATTERNS]
        end = start + count
        first = bisect_left(self.begins, start)
        last = bisect_right(self.ends, end)
        self.offered += max(last - first, 0)
        for clock in self.clocks[bisect_left(self.clocks, start) : bisect_left(self.clocks, end)]:
            if clock + 4 <= end:
                struct.pack_into(">d", picture, 2 * clock, time.time_ns() / 1e6)
        return bytes(picture[2 * start : 2 * end])


class Connection(asyncio.Protocol):
    """One client; answers all the requests in the bytes that came, in one write."""

    def __init__(self, registers: Registers) -> None:
        """Serve these."""
        self._registers = registers
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        assert self._transport is not None
        data = self._buffer + data
        answers, position = [], 0
        while len(data) - position >= _HEADER.size:
            transaction, _, _, unit, function, start, count = _HEADER.unpack_from(data, position)
            answers.append(self._answer(transaction, unit, function, start, count))
            position += _HEADER.size
        self._buffer = data[position:]
        self._transport.write(b"".join(answers))

    def _answer(self, transaction: int, unit: int, function: int, start: int, count: int) -> bytes:
        if function != 3 or start + count > self._registers.register_count:
            return struct.pack(">HHHBBB", transaction, 0, 3, unit, function | 0x80, 2)
        payload = self._registers.read(start, count)
        size = len(payload)
        return struct.pack(">HHHBBB", transaction, 0, size + 3, unit, function, size) + payload


def register_map(tag_count: int) -> str:
    """Return the server's register map as a tag list; the clocks are named `clock*`."""
    lines = ["tag,address,type"]
    for number in range(tag_count):
        stretch, place = divmod(number, FLOATS + 1)
        address = f"holding:{STRETCH * stretch + 2 * place}"
        is_clock = place == FLOATS
        lines.append(
            f"clock{stretch},{address},float64" if is_clock else f"t{number:05d},{address},float32"
        )
    return "\n".join(lines) + "\n"


async def _main(tag_count: int) -> None:
    registers = Registers(tag_count)

    async def start() -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(registers), HOST, 0)
        return int(server.sockets[0].getsockname()[1])

    await serve(start, lambda: {"offered": registers.offered})


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
