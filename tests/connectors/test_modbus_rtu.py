"""The Modbus connector over RTU: through a converter, and on a serial port with libmodbus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from gateway.wire.clock import SystemClock
from tests.connectors.contract import ConnectorContract, Plant, failure_of, running
from tests.connectors.pty_wire import PtyWire
from tests.connectors.sinks import KeepingSink
from tests.connectors.test_modbus import ModbusPlant
from tests.connectors.wire import Wire, until
from tests.interop.peers import compiled, needs_libmodbus, running_peer

READ_FUNCTIONS = (1, 3)
SERIAL_MAP = """\
tag,address,type,scale,offset,group,writable
poll_count,0,uint32,,,,
fixed,2,uint16,,,,
setpoint,20,int16,0.1,5,,yes
running,coil:3,bool,,,,
slow_one,40,uint16,,,slow,
unknown,9000,float32,,,,
"""


@pytest.fixture(scope="session")
def libmodbus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("modbus_server.c", tmp_path_factory.mktemp("peers"), "modbus")


class ConverterPlant(ModbusPlant):
    """pymodbus behind a converter that passes serial bytes through."""

    framing = "rtu"

    def offered_count(self) -> int:
        tags_by_size = {4 * 2: 2, 3 * 2: 3, 2: 1, 1: 1}
        return sum(values_in(bytes(stretch), tags_by_size) for stretch in self.wire.downstream)


class SerialPlant(Plant):
    """A libmodbus server at the other end of a serial cable."""

    def __init__(self, folder: Path, wire: PtyWire, program: Path) -> None:
        self.wire = wire
        self._far_path = wire.far_path
        self._near_path = wire.near_path
        self._folder = folder
        self._program = program
        self._running = AsyncExitStack()
        (folder / "drive.csv").write_text(SERIAL_MAP, encoding="utf-8")
        self.connector = self.connector_with()

    def connector_with(self, **settings: object) -> ModbusConnector:
        given = {
            "type": "modbus",
            "address": str(self._near_path),
            "tags": "drive.csv",
            "unit": 11,
            "parity": "none",  # a pseudo-terminal has no other
            "period_ms": 30,
            "groups": {"slow": {"period_ms": 100}},
            "timeout_s": 5,
            "gap_registers_max": 4,
        }
        config = ModbusConfig.model_validate(given | settings)
        return ModbusConnector("drive", config, folder=self._folder, clock=SystemClock())

    def impatient(self) -> ModbusConnector:
        return self.connector_with(timeout_s=0.5)

    async def start_server(self) -> None:
        command = [str(self._program), "rtu", self._far_path, "19200", "55", "11"]
        await self._running.enter_async_context(running_peer(command))

    async def stop_server(self) -> None:
        await self._running.aclose()

    def offered_count(self) -> int:
        tags_by_size = {3 * 2: 2, 2: 1, 1: 1}
        return sum(values_in(bytes(stretch), tags_by_size) for stretch in self.wire.downstream)


def open_file_count() -> int:
    """Return how many files and ports this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def values_in(stream: bytes, tags_by_size: dict[int, int]) -> int:
    """Count the tags in the whole RTU responses of a stretch."""
    count = position = 0
    while position + 5 <= len(stream):
        function = stream[position + 1]
        size = 8
        if function & 0x80:
            size = 5
        elif function in READ_FUNCTIONS:
            size = 5 + stream[position + 2]
        if position + size > len(stream):
            break
        if function in READ_FUNCTIONS:
            count += tags_by_size[stream[position + 2]]
        position += size
    return count


class TestModbusThroughAConverter(ConnectorContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[ConverterPlant]:
        async with Wire() as wire:
            plant = ConverterPlant(folder, wire)
            await plant.start_server()
            try:
                yield plant
            finally:
                await plant.stop_server()


@needs_libmodbus
class TestModbusOnASerialPort(ConnectorContract):
    @pytest.fixture(autouse=True)
    def _program(self, libmodbus: Path) -> None:
        self.program = libmodbus

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[SerialPlant]:
        async with PtyWire(folder) as wire:
            plant = SerialPlant(folder, wire, self.program)
            await plant.start_server()
            try:
                yield plant
            finally:
                await plant.stop_server()

    async def test_every_response_is_in_the_books(self, plant: SerialPlant) -> None:
        """The device counts its responses itself: the counts arrive without a hole."""
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 20, what="twenty frames")
        counts = sink.values_of(plant.index("poll_count"))
        assert counts == [float(number) for number in range(1, len(counts) + 1)]

    async def test_a_stop_while_opening_leaves_no_port_open(self, plant: SerialPlant) -> None:
        """The port is opened in a thread, which goes on when the session is cancelled."""
        before = open_file_count()
        for step in range(12):
            async with running(plant, KeepingSink()):
                for _ in range(step):
                    await asyncio.sleep(0)
        await until(lambda: open_file_count() <= before, what="the ports closed")
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 2, what="two frames")

    async def test_what_is_not_plugged_in_is_named(self, plant: SerialPlant) -> None:
        await plant.wire.refuse()
        sink = KeepingSink()
        async with running(plant, sink) as task:
            error = await failure_of(task)
        assert "Check the adapter and its plug" in str(error)
        assert "FileNotFoundError" in str(error) or "No such file" in str(error)
        await plant.wire.listen()


@needs_libmodbus
async def test_a_port_comes_back_when_it_is_plugged_in_again(
    libmodbus: Path, tmp_path: Path
) -> None:
    """With socat as the cable: its end is a port that vanishes, and returns under its name."""
    near, far = tmp_path / "near", tmp_path / "far"
    cable = ["socat", f"pty,raw,echo=0,link={near}", f"pty,raw,echo=0,link={far}"]
    (tmp_path / "drive.csv").write_text("tag,address,type\npoll_count,0,uint32\n")
    config = ModbusConfig.model_validate(
        {
            "type": "modbus",
            "address": str(near),
            "tags": "drive.csv",
            "unit": 11,
            "parity": "none",  # a pseudo-terminal has no other
            "period_ms": 30,
            "timeout_s": 5,
        }
    )
    connector = ModbusConnector("drive", config, folder=tmp_path, clock=SystemClock())
    plant = _Bare(connector)
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(*cable)
        try:
            await until(lambda: near.exists() and far.exists(), what="the cable")
            command = [str(libmodbus), "rtu", str(far.readlink()), "19200", "50", "11"]
            async with running_peer(command):
                sink = KeepingSink()
                async with running(plant, sink) as task:
                    await until(lambda: len(sink.received) >= 3, what="three frames")  # noqa: B023
                    process.terminate()
                    error = await failure_of(task)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        assert "lost its serial port" in str(error)
        near.unlink(missing_ok=True)
        far.unlink(missing_ok=True)
    assert sink.values_of(7)[:3] == [1.0, 2.0, 3.0]


class _Bare(Plant):
    """A connector alone."""

    def __init__(self, connector: ModbusConnector) -> None:
        self.connector = connector
        self.wire = Wire()

    async def stop_server(self) -> None:
        """There is none."""

    async def start_server(self) -> None:
        """There is none."""

    def impatient(self) -> ModbusConnector:
        raise NotImplementedError

    def offered_count(self) -> int:
        return 0
