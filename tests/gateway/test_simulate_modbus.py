"""The compressor's Modbus server, asked by pymodbus and mbpoll: values, books, failures."""

import asyncio
import shutil
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from gateway.core.errors import ConfigError
from gateway.core.tags import TagId
from gateway.simulate.books import OfferedBook, read_offered
from gateway.simulate.modbus import ModbusServer
from gateway.simulate.points import MODBUS_TAGS, POLL_COUNT_TAG
from gateway.simulate.server import ServerState
from gateway.wire.clock import SystemClock
from tests.gateway.simulate_peers import modbus_server

REQUEST_TIMEOUT_S = 0.3
ILLEGAL_ADDRESS = 2


@asynccontextmanager
async def connected(server: ModbusServer) -> AsyncIterator[AsyncModbusTcpClient]:
    host, _, port = server.endpoint.partition(":")
    client = AsyncModbusTcpClient(
        host, port=int(port), timeout=REQUEST_TIMEOUT_S, retries=0, reconnect_delay=0
    )
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


def as_floats(registers: Sequence[int]) -> list[float]:
    packed = struct.pack(f">{len(registers)}H", *registers)
    return list(struct.unpack(f">{len(registers) // 2}f", packed))


async def test_one_request_takes_everything(tmp_path: Path) -> None:
    async with modbus_server(tmp_path) as server, connected(server) as client:
        answer = await client.read_holding_registers(0, count=103, device_id=1)
        assert as_floats(answer.registers[:18]) == [1.5 * index for index in range(9)]
        assert answer.registers[100:] == [0, 1, 3]
        assert server.book.counts() == dict.fromkeys(MODBUS_TAGS, 1)


@pytest.mark.parametrize(("address", "count"), [(103, 1), (102, 2), (0, 104), (40_000, 1)])
async def test_an_unknown_address_is_exception_2(tmp_path: Path, address: int, count: int) -> None:
    async with modbus_server(tmp_path) as server, connected(server) as client:
        answer = await client.read_holding_registers(address, count=count, device_id=1)
        assert answer.isError()
        assert answer.exception_code == ILLEGAL_ADDRESS
        assert server.book.count == 0
        assert server.poll_count == 0


async def test_nothing_can_be_written(tmp_path: Path) -> None:
    async with modbus_server(tmp_path) as server, connected(server) as client:
        answer = await client.write_register(0, 1, device_id=1)
        assert answer.isError()
        assert answer.exception_code == ILLEGAL_ADDRESS


async def test_offered_is_what_the_client_received(tmp_path: Path) -> None:
    """Reads of all kinds; half a value is none, and only whole poll counts count."""
    async with modbus_server(tmp_path) as server, connected(server) as client:
        poll_counts = []
        for _ in range(20):
            answer = await client.read_holding_registers(0, count=103, device_id=1)
            poll_counts.append(answer.registers[100] << 16 | answer.registers[101])
            await client.read_holding_registers(0, count=4, device_id=1)
            await client.read_holding_registers(1, count=3, device_id=1)
            await client.read_holding_registers(101, count=2, device_id=1)
        counts = server.book.counts()
    assert poll_counts == list(range(1, 21))
    assert counts[MODBUS_TAGS[0]] == 40
    assert counts[MODBUS_TAGS[1]] == 60
    assert counts[MODBUS_TAGS[2]] == 20
    assert counts[POLL_COUNT_TAG] == 20
    assert counts[TagId("compressor.K01.AlarmWord")] == 40
    book = read_offered(tmp_path / "compressor.book")
    assert len(book.tag_index) == sum(counts.values())
    whole = book.poll_count > 0
    assert np.unique(book.poll_count[whole]).tolist() == poll_counts
    assert np.bincount(book.tag_index[whole]).tolist() == [20] * len(MODBUS_TAGS)
    assert (np.diff(book.offered_ns) >= 0).all()
    np.testing.assert_array_equal(book.time_ns, book.offered_ns)


async def test_a_dead_server_counts_anew(tmp_path: Path) -> None:
    async with modbus_server(tmp_path) as server:
        endpoint = server.endpoint
        async with connected(server) as client:
            await client.read_holding_registers(100, count=2, device_id=1)
            await server.fail(ServerState.DEAD)
            with pytest.raises(ModbusIOException):
                await client.read_holding_registers(100, count=2, device_id=1)
        host, _, port = endpoint.partition(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
        await server.restore()
        assert server.endpoint == endpoint
        async with connected(server) as client:
            answer = await client.read_holding_registers(100, count=2, device_id=1)
            assert answer.registers == [0, 1]
        assert server.book.counts()[POLL_COUNT_TAG] == 2


async def test_a_hung_server_accepts_and_never_answers(tmp_path: Path) -> None:
    async with modbus_server(tmp_path) as server, connected(server) as client:
        await server.fail(ServerState.HUNG)
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(0, count=2, device_id=1)
        async with connected(server) as second:
            with pytest.raises(ModbusIOException):
                await second.read_holding_registers(0, count=2, device_id=1)
        assert server.book.count == 0
        await server.restore()
        async with connected(server) as third:
            answer = await third.read_holding_registers(0, count=2, device_id=1)
            assert not answer.isError()


async def test_a_refusing_server_keeps_its_count(tmp_path: Path) -> None:
    async with modbus_server(tmp_path) as server:
        async with connected(server) as client:
            await client.read_holding_registers(100, count=2, device_id=1)
        await server.fail(ServerState.REFUSING)
        host, _, port = server.endpoint.partition(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
        await server.restore()
        async with connected(server) as client:
            answer = await client.read_holding_registers(100, count=2, device_id=1)
            assert answer.registers == [0, 2]


async def test_a_taken_port_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    async with modbus_server(tmp_path) as server:
        port = int(server.endpoint.partition(":")[2])
        book = OfferedBook(tmp_path / "b", connector="compressor", tags=MODBUS_TAGS)
        second = ModbusServer(host="127.0.0.1", port=port, book=book, clock=SystemClock())
        with pytest.raises(ConfigError, match="choose another address"):
            await second.start([0.0] * 10, time.time_ns())
        book.close()


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed")
async def test_mbpoll_reads_the_floats(tmp_path: Path) -> None:
    """A client that was not written here agrees on addresses, types and byte order."""
    async with modbus_server(tmp_path) as server:
        await server.show([*(10.25 * index for index in range(9)), 0.0], time.time_ns())
        port = server.endpoint.partition(":")[2]
        # -B: the register with the high word first (ABCD); -0: addresses count from 0.
        command = ["mbpoll", "-m", "tcp", "-p", port, "-a", "1", "-0", "-r", "0", "-c", "9"]
        command += ["-t", "4:float", "-B", "-1", "-q", "127.0.0.1"]
        answer = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=10, check=False
        )
        lines = [line.split() for line in answer.stdout.splitlines() if line.startswith("[")]
        assert [float(cells[1]) for cells in lines] == [10.25 * index for index in range(9)]
        assert server.book.counts()[MODBUS_TAGS[8]] == 1
