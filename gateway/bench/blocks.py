"""How many blocks of 125 registers a second three clients read; `python -m gateway.bench.blocks`.

A bare blocking socket asks as a plain C program does, one request at a time, and looks at nothing;
with as many requests in flight as ours it is what machine and server allow at the most.
"""

import asyncio
import json
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass
from typing import Final

from pymodbus.client import AsyncModbusTcpClient

from connectors.modbus.exchange import Request
from connectors.modbus.line import Lines
from connectors.modbus.line_settings import LineSettings
from connectors.modbus.registers import Area, payload_size, read_pdu
from gateway.bench.modbus_server import STRETCH
from gateway.bench.serving import HOST, say
from gateway.wire.clock import SystemClock

IN_FLIGHT: Final = 16
ANSWER_BYTES: Final = 9 + 2 * STRETCH
BATCH: Final = 64
"""Requests that are submitted to our client together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRates:
    """Blocks a second."""

    here: float
    pymodbus: float
    raw_socket: float
    """One request at a time."""
    raw_socket_in_flight: float
    """As many as ours."""


async def read_here(port: int, seconds: float) -> float:
    """Read with our client."""
    settings = LineSettings(address=f"{HOST}:{port}", requests_in_flight_max=IN_FLIGHT)
    line = Lines(SystemClock()).line("bench", settings)
    client = line.client(device="bench", unit=1, timeout_s=5.0)
    await client.connect()
    pdu = read_pdu(Area.HOLDING_REGISTER, start=0, count=STRETCH)
    requests = [Request(pdu, payload_size(Area.HOLDING_REGISTER, count=STRETCH))] * BATCH
    count, begun_s = 0, time.monotonic()
    while time.monotonic() - begun_s < seconds:
        exchange = client.submit(requests, priority=1)
        while not exchange.is_complete:
            await exchange.more()
            count += len(exchange.take())
    rate = count / (time.monotonic() - begun_s)
    client.close()
    return rate


async def read_with_pymodbus(port: int, seconds: float) -> float:
    """Read with the library's client."""
    client = AsyncModbusTcpClient(HOST, port=port, timeout=5)
    await client.connect()
    count, begun_s = 0, time.monotonic()
    while time.monotonic() - begun_s < seconds:
        response = await client.read_holding_registers(0, count=STRETCH)
        assert not response.isError()
        count += 1
    rate = count / (time.monotonic() - begun_s)
    client.close()
    return rate


def read_with_socket(port: int, seconds: float, *, in_flight: int) -> float:
    """Read with a blocking socket that looks at nothing."""
    request = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, STRETCH)
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request * in_flight)
        size, begun_s = 0, time.monotonic()
        left = 0
        while time.monotonic() - begun_s < seconds:
            received = len(connection.recv(1 << 16))
            size += received
            answers, left = divmod(left + received, ANSWER_BYTES)
            connection.sendall(request * answers)
        return size / ANSWER_BYTES / (time.monotonic() - begun_s)


async def _main(port: int, seconds: float) -> None:
    rates = BlockRates(
        here=await read_here(port, seconds),
        pymodbus=await read_with_pymodbus(port, seconds),
        raw_socket=read_with_socket(port, seconds, in_flight=1),
        raw_socket_in_flight=read_with_socket(port, seconds, in_flight=IN_FLIGHT),
    )
    say(asdict(rates))


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    asyncio.run(_main(order["port"], order["seconds"]))
