"""A Modbus line with one unit, against a device that answers as it is told to."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from connectors.modbus.exchange import Request
from connectors.modbus.line import Lines
from connectors.modbus.line_settings import LineSettings
from connectors.modbus.unit_client import UnitClient
from gateway.core.errors import DeviceError
from gateway.wire.clock import SystemClock
from tests.connectors.wire import within

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
UNIT = 3


def read(address: int) -> Request:
    """Ask for one holding register."""
    return Request(struct.pack(">BHH", 3, address, 1), 2)


def answer_to(adu: bytes, value: int) -> bytes:
    """Return the right answer to a request for one register."""
    return adu[:4] + struct.pack(">HBBBH", 5, UNIT, 3, 2, value)


@asynccontextmanager
async def client_of(handler: Handler, *, in_flight_max: int) -> AsyncIterator[UnitClient]:
    handlers = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        try:
            await handler(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = LineSettings(address=f"127.0.0.1:{port}", requests_in_flight_max=in_flight_max)
    line = Lines(SystemClock()).line("blower", settings)
    client = line.client(device="blower", unit=UNIT, timeout_s=0.5)
    await client.connect()
    try:
        yield client
    finally:
        client.close()
        server.close()
        await asyncio.gather(*filter(None, handlers), return_exceptions=True)


async def test_answers_in_any_order_find_their_requests() -> None:
    """Four in flight, answered backwards and a byte at a time."""

    async def backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        adus = [await reader.readexactly(12) for _ in range(4)]
        for adu in reversed(adus):
            (address,) = struct.unpack_from(">H", adu, 8)
            for byte in answer_to(adu, address + 100):
                writer.write(bytes([byte]))
                await writer.drain()

    async with client_of(backwards, in_flight_max=4) as client:
        exchange = client.submit([read(address) for address in range(4)], priority=1)
        answers: dict[int, bytes] = {}
        while not exchange.is_complete:
            await exchange.more()
            answers |= {place: answer.payload for place, answer in exchange.take()}
    assert answers == {place: struct.pack(">H", place + 100) for place in range(4)}


@pytest.mark.parametrize("in_flight_max", [1, 3])
async def test_no_more_are_in_flight_than_allowed(in_flight_max: int) -> None:
    most = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        while head := await reader.read(4096):
            adus = [head[start : start + 12] for start in range(0, len(head), 12)]
            most = max(most, len(adus))
            for adu in adus:
                writer.write(answer_to(adu, 0))

    async with client_of(counting, in_flight_max=in_flight_max) as client:
        exchange = client.submit([read(address) for address in range(30)], priority=1)
        while not exchange.is_complete:
            await exchange.more()
            exchange.take()
    assert most == in_flight_max


async def test_the_urgent_goes_first_and_the_withdrawn_not_at_all() -> None:
    seen = []

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while adu := await reader.read(12):
            seen.append(struct.unpack_from(">H", adu, 8)[0])
            writer.write(answer_to(adu, 0))

    async with client_of(noting, in_flight_max=1) as client:
        slow = client.submit([read(1), read(2), read(3)], priority=1000)
        fast = client.submit([read(50)], priority=10)
        urgent = client.submit([read(99)], priority=0)
        client.withdraw(slow)
        for exchange in (slow, fast, urgent):
            while not exchange.is_complete:
                await exchange.more()
                exchange.take()
    assert seen == [1, 99, 50]


async def test_an_exception_is_a_value() -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        adu = await reader.readexactly(12)
        writer.write(adu[:4] + struct.pack(">HBBB", 3, UNIT, 0x83, 2))
        await reader.read()

    async with client_of(refusing, in_flight_max=1) as client:
        exchange = client.submit([read(0)], priority=1)
        await exchange.more()
        [(_, answer)] = exchange.take()
    assert (answer.exception_code, answer.payload) == (2, b"")


async def test_what_came_before_the_end_is_kept() -> None:
    """Two answers, then the device closes: both can be taken, then the failure is told."""

    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        adus = [await reader.readexactly(12) for _ in range(3)]
        writer.write(answer_to(adus[0], 7) + answer_to(adus[1], 8))
        await writer.drain()

    async with client_of(dying, in_flight_max=3) as client:
        exchange = client.submit([read(0), read(1), read(2)], priority=1)
        with pytest.raises(DeviceError, match="closed the connection"):
            await within(client.ended(), what="the connection")
        await exchange.more()
        assert [place for place, _ in exchange.take()] == [0, 1]
        assert not exchange.is_complete
        with pytest.raises(DeviceError, match="closed the connection"):
            await exchange.more()
        with pytest.raises(DeviceError, match="closed the connection"):
            client.submit([read(0)], priority=1)


async def test_the_oldest_request_decides_the_timeout() -> None:
    """A device that answers all but one is lost all the same."""

    async def forgetful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while adu := await reader.read(12):
            if struct.unpack_from(">H", adu, 8)[0] != 1:
                writer.write(answer_to(adu, 0))

    async with client_of(forgetful, in_flight_max=2) as client:
        forgotten = client.submit([read(1)], priority=1)
        answered = 0

        async def keep_asking() -> None:
            nonlocal answered
            while True:
                exchange = client.submit([read(5)], priority=1)
                await exchange.more()
                answered += len(exchange.take())

        with pytest.raises(DeviceError, match=r"does not answer within 0\.5 s"):
            await within(keep_asking(), what="a lost answer")
        assert answered
        with pytest.raises(DeviceError):
            await forgotten.more()


async def test_a_cancelled_owner_may_ask_again() -> None:
    release = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        adu = await reader.readexactly(12)
        await release.wait()
        writer.write(answer_to(adu, 9))
        await reader.read()

    async with client_of(late, in_flight_max=1) as client:
        exchange = client.submit([read(0)], priority=1)
        task = asyncio.create_task(exchange.more())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        release.set()
        await exchange.more()
        assert [answer.payload for _, answer in exchange.take()] == [b"\x00\x09"]
        assert exchange.is_complete


async def test_the_first_answer_of_a_slow_scan_does_not_wait_for_the_last() -> None:
    release = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, second = await reader.readexactly(12), await reader.readexactly(12)
        writer.write(answer_to(first, 1))
        await release.wait()
        writer.write(answer_to(second, 2))
        await reader.read()

    async with client_of(slow, in_flight_max=2) as client:
        exchange = client.submit([read(0), read(1)], priority=1)
        await exchange.more()
        assert [place for place, _ in exchange.take()] == [0]
        release.set()
        await exchange.more()
        assert [place for place, _ in exchange.take()] == [1]


async def test_no_answer_no_connection() -> None:
    line = Lines(SystemClock()).line("blower", LineSettings(address="127.0.0.1:1"))
    client = line.client(device="blower (127.0.0.1:1 unit 3)", unit=UNIT, timeout_s=0.5)
    with pytest.raises(DeviceError, match=r"blower .* cannot be reached"):
        await client.connect()
    client.close()
