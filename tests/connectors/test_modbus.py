"""The Modbus connector against pymodbus' server."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from pydantic import ValidationError
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from gateway.core.errors import CommandError, ConfigError, DeviceError
from gateway.core.quality import Status
from gateway.wire.clock import SystemClock
from tests.connectors.contract import ConnectorContract, Plant, failure_of, running
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import Wire, until

SPEED_RPM = 2960.5
FLOW_M3H = 12.25
REGISTER_MAP = """\
tag,address,type,order,scale,offset,unit,group,writable
speed,0,float32,ABCD,,,rpm,,
flow,2,float32,CDAB,,,m3/h,,
poll_count,10,uint32,,,,,,
alarm_word,12,uint16,,,,,,
tripped,12,bit2,,,,,,
setpoint,20,int16,,0.1,5,bar,,yes
running,coil:3,bool,,,,,,yes
counter,30,uint16,,,,,slow,
unknown,9000,float32,,,,,,
"""


class ModbusPlant(Plant):
    """A device with a few registers, the rest refused."""

    framing = "tcp"

    def __init__(self, folder: Path, wire: Wire) -> None:
        self.wire = wire
        self._folder = folder
        self._server: ModbusTcpServer | None = None
        (folder / "blower.csv").write_text(REGISTER_MAP, encoding="utf-8")
        self.connector = self.connector_with()

    def connector_with(self, **settings: object) -> ModbusConnector:
        given = {
            "type": "modbus",
            "address": f"127.0.0.1:{self.wire.port}",
            "tags": "blower.csv",
            "period_ms": 30,
            "groups": {"slow": {"period_ms": 100}},
            "timeout_s": 5,
            "gap_registers_max": 4,
            "framing": self.framing,
        }
        config = ModbusConfig.model_validate(given | settings)
        return ModbusConnector("blower", config, folder=self._folder, clock=SystemClock())

    def impatient(self) -> ModbusConnector:
        return self.connector_with(timeout_s=0.5)

    async def start_server(self) -> None:
        polled = 0

        async def action(
            function: int,
            start: int,
            address: int,
            count: int,
            registers: list[int],
            values: list[int] | list[bool] | None,
        ) -> None:
            nonlocal polled
            if function == 3 and values is None and address <= 10 < address + count:
                polled += 1
                registers[10 - start : 12 - start] = struct.unpack(">2H", struct.pack(">I", polled))

        speed = struct.unpack(">2H", struct.pack(">f", SPEED_RPM))
        flow = struct.unpack(">2H", struct.pack(">f", FLOW_M3H))[::-1]
        words = [0] * 40
        words[0:4] = [*speed, *flow]
        words[12] = 0b0110
        device = SimDevice(
            1,
            simdata=(
                [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
                [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
                [SimData(0, values=words, datatype=DataType.REGISTERS)],
                [SimData(0, values=words, datatype=DataType.REGISTERS)],
            ),
            action=action,
        )
        framer = FramerType.RTU if self.framing == "rtu" else FramerType.SOCKET
        address = ("127.0.0.1", self.wire.target_port)
        self._server = ModbusTcpServer(device, framer=framer, address=address)
        await self._server.serve_forever(background=True)
        # pymodbus keeps the listening server where it keeps a connection otherwise.
        listener = cast("asyncio.Server", self._server.transport)
        self.wire.target_port = listener.sockets[0].getsockname()[1]

    async def stop_server(self) -> None:
        assert self._server is not None
        await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus'

    def offered_count(self) -> int:
        return sum(values_in(bytes(stretch)) for stretch in self.wire.downstream)


def values_in(stream: bytes) -> int:
    """Count the tags of the register map in the whole responses of a connection."""
    tags_by_size = {4 * 2: 2, 3 * 2: 3, 2: 1}  # speed and flow; counter and alarms; one each
    count = position = 0
    while position + 6 <= len(stream):
        (length,) = struct.unpack_from(">H", stream, position + 4)
        function = stream[position + 7]
        if position + 6 + length > len(stream):
            break
        if function == 3:
            count += tags_by_size[stream[position + 8]]
        elif function == 1:
            count += 1
        position += 6 + length
    return count


class TestModbusConnector(ConnectorContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[ModbusPlant]:
        async with Wire() as wire:
            plant = ModbusPlant(folder, wire)
            await plant.start_server()
            yield plant
            await plant.stop_server()


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[ModbusPlant]:
    async with TestModbusConnector().opened(tmp_path) as plant:
        yield plant


async def test_values_are_those_of_the_device(plant: ModbusPlant) -> None:
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(plant.index("counter"))) > 1, what="all groups")
    assert set(sink.values_of(plant.index("speed"))) == {SPEED_RPM}
    assert set(sink.values_of(plant.index("flow"))) == {FLOW_M3H}
    assert set(sink.values_of(plant.index("alarm_word"))) == {6.0}
    assert set(sink.values_of(plant.index("tripped"))) == {1.0}
    assert set(sink.values_of(plant.index("running"))) == {0.0}


async def test_every_response_is_in_the_books(plant: ModbusPlant) -> None:
    """The device counts its responses itself: the counts arrive without a hole."""
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) >= 20, what="twenty frames")
    counts = sink.values_of(plant.index("poll_count"))
    assert counts == [float(number) for number in range(1, len(counts) + 1)]


async def test_a_coil_is_written_and_read_back(plant: ModbusPlant) -> None:
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="a frame")
        assert await plant.connector.write(plant.tag("running"), 1.0) == 1.0
        assert await plant.connector.write(plant.tag("running"), 0.0) == 0.0
        for value in (4000.0, float("nan")):
            with pytest.raises(CommandError):
                await plant.connector.write(plant.tag("setpoint"), value)


async def test_a_refused_block_comes_back(plant: ModbusPlant) -> None:
    """Bad is stated once at the falling edge; the value itself is the rising edge."""
    await plant.stop_server()
    (plant._folder / "blower.csv").write_text(
        "tag,address,type\na,0,float32\nb,500,float32\nsetpoint,20,int16\nunknown,9000,bool\n",
        encoding="utf-8",
    )
    plant.connector = plant.connector_with(groups={}, retry_first_s=0.05)
    is_refused = True

    async def action(
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        return ExcCodes.DEVICE_FAILURE if is_refused and address == 500 else None

    device = SimDevice(
        1,
        simdata=[SimData(0, values=[0] * 600, datatype=DataType.REGISTERS)],
        action=action,
    )
    server = ModbusTcpServer(device, address=("127.0.0.1", plant.wire.target_port))
    plant._server = server
    await server.serve_forever(background=True)
    sink = KeepingSink()
    index = plant.index("b")
    async with running(plant, sink):
        await until(lambda: len(sink.received) >= 5, what="frames while refused")
        assert sink.values_of(index) == []
        is_refused = False
        await until(lambda: len(sink.values_of(index)) >= 2, what="values when back")
        is_refused = True
        await until(lambda: len(sink.stated) >= 3, what="refused again")
    statuses = [int(frame.status[0]) for frame in sink.stated if list(frame.tag_index) == [index]]
    assert statuses == [Status.BAD_DEVICE_FAILURE] * 2


async def test_not_a_number_is_bad_and_counts_as_received(plant: ModbusPlant) -> None:
    (plant._folder / "blower.csv").write_text(
        "tag,address,type\nspeed,0,float32\nodd,4,float32\nunknown,9000,bool\nsetpoint,20,int16\n",
        encoding="utf-8",
    )
    plant.connector = plant.connector_with(groups={})
    assert plant._server is not None
    await plant._server.async_setValues(1, 16, 4, [0x7FC0, 0])
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(plant.index("odd"))) > 0, what="the value")
    frame = next(frame for frame in sink.received if plant.index("odd") in frame.tag_index)
    [position] = np.flatnonzero(frame.tag_index == plant.index("odd"))
    assert np.isnan(frame.value[position])
    assert frame.status[position] == Status.BAD_OUT_OF_RANGE
    sink.assert_sound()


async def test_a_scan_that_cannot_keep_up_is_skipped_and_counted(plant: ModbusPlant) -> None:
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) >= 2, what="two frames")
        sink.fill()
        await asyncio.sleep(0.4)
        sink.drain()
        await until(lambda: sink.skipped_sample_count > 0, what="skipped scans")
    # The fast group has 8 tags at 30 ms, the slow one 1 at 100 ms: 400 ms are 12 x 8 + 3.
    assert 60 <= sink.skipped_sample_count <= 8 * 40


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x01\x00\x00\x00\x00\x01\x03",  # a length of nothing
        b"\x00\x01\x00\x05\x00\x05\x01\x03\x02\x00\x00",  # another protocol
        b"\x00\x63\x00\x00\x00\x05\x01\x03\x02\x00\x00",  # nobody's transaction
        b"\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x00",  # too short for what was asked
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
async def test_what_is_not_modbus_ends_the_session(plant: ModbusPlant, answer: bytes) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(12)
        writer.write(answer)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    plant.wire.target_port, port = server.sockets[0].getsockname()[1], plant.wire.target_port
    sink = KeepingSink()
    async with running(plant, sink) as task:
        error = await failure_of(task)
    assert "what is not Modbus TCP" in str(error)
    assert sink.frames == []
    server.close()
    plant.wire.target_port = port


def test_every_mistake_in_a_register_map_is_told(tmp_path: Path) -> None:
    (tmp_path / "blower.csv").write_text(
        "tag,address,type,group\na,0,float32,fast\nb,1,int16,\n", encoding="utf-8"
    )
    config = ModbusConfig.model_validate(
        {"type": "modbus", "address": "10.0.4.17", "tags": "blower.csv"}
    )
    with pytest.raises(ConfigError, match=r'blower\.csv:3: address 1 overlaps "a" \(0, float32\)'):
        ModbusConnector("blower", config, folder=tmp_path, clock=SystemClock())


@pytest.mark.parametrize("address", ["", "host:0", "host:70000", "dev/ttyUSB0", "a b", "h:x"])
def test_an_address_is_host_and_port_or_a_path(address: str) -> None:
    with pytest.raises(ValidationError, match="host:port"):
        ModbusConfig.model_validate({"type": "modbus", "address": address, "tags": "x.csv"})


async def test_a_write_to_a_device_that_dies_is_a_device_error(plant: ModbusPlant) -> None:
    plant.connector = plant.impatient()
    sink = KeepingSink()
    async with running(plant, sink) as task:
        await until(lambda: bool(sink.received), what="a frame")
        plant.wire.freeze()
        with pytest.raises(DeviceError, match="does not answer"):
            await plant.connector.write(plant.tag("setpoint"), 6.0)
        await failure_of(task)
