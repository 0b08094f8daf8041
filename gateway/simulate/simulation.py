"""The plant, its servers, and what is wrong with them: stepped, shown and broken together.

Source times are the present also when the plant runs faster (`speed`): a controller stamps with
its own clock. A tick that comes too late is not made up for on the wire: the plant is stepped as
often as it should have been, and the newest values are shown.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import Field, SecretStr

from gateway.core.errors import ConfigError
from gateway.core.ports import Clock
from gateway.core.settings import Settings
from gateway.core.tags import TagId
from gateway.simulate.books import OfferedBook
from gateway.simulate.faults import SERVER_FAULTS, SERVERS, Fault
from gateway.simulate.modbus import ModbusServer
from gateway.simulate.opcua import Access, OpcuaServer
from gateway.simulate.plant import Plant
from gateway.simulate.plant_config import plant_nodes
from gateway.simulate.points import (
    COMPRESSOR_CONNECTOR,
    MODBUS_TAGS,
    PUMP_CONNECTOR,
    PUMP_POINTS,
    PUMPS,
    setpoint_tag,
)
from gateway.simulate.scenario import Scenario
from gateway.simulate.server import STATE_OF_FAULT, ServerState, SimulatedServer

NS_PER_S = 1_000_000_000
SUBSTEP_S_MAX = 2.0
CATCH_UP_TICKS_MAX = 600
"""After a longer sleep of the computer the plant has slept too."""
STATE_FOLDER_MODE = 0o700

log = structlog.get_logger()


class SimulatorSettings(Settings):
    """How the plant is simulated and served."""

    opcua: str = "127.0.0.1:4840"
    """Where the OPC UA server listens, `host:port`; port 0 is a free one."""
    modbus: str = "127.0.0.1:5020"
    """Where the Modbus TCP server listens, `host:port`; port 0 is a free one."""
    state: Path
    """Folder for the certificate, the books and the control socket; made when absent."""
    seed: int = 1
    """The same number is the same plant."""
    speed: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Seconds of the plant's time that pass in a second."""
    period_s: Annotated[float, Field(ge=0.05, le=60)] = 1.0
    """Time between two scans of the controllers, in real time."""
    user: str = ""
    """OPC UA user; empty lets anonymous clients in."""
    password: SecretStr = SecretStr("")
    """Password of the OPC UA user."""
    scenario: Scenario = Scenario()
    """What goes wrong."""


class Simulation:
    """The plant, its servers, and what is wrong with them now."""

    def __init__(self, settings: SimulatorSettings, *, clock: Clock) -> None:
        """Open the books and prepare the servers; connects to nothing.

        Raises:
            ConfigError: an address or the state folder is wrong.
            StoreError: a book in the state folder belongs to another plant.
        """
        self.settings = settings
        self._clock = clock
        opcua_host, opcua_port = parse_address("opcua", settings.opcua)
        modbus_host, modbus_port = parse_address("modbus", settings.modbus)
        state = make_state_folder(settings.state)
        faults = settings.scenario.plan()
        self.plant = Plant(settings.seed, faults, start_ns=clock.now_ns())
        nodes = plant_nodes()
        pumps = OfferedBook(
            book_path(state, PUMP_CONNECTOR),
            connector=PUMP_CONNECTOR,
            tags=[node.tag for node in nodes],
        )
        compressor = OfferedBook(
            book_path(state, COMPRESSOR_CONNECTOR),
            connector=COMPRESSOR_CONNECTOR,
            tags=MODBUS_TAGS,
        )
        access = Access(
            host=opcua_host, port=opcua_port, user=settings.user, password=settings.password
        )
        self._opcua = OpcuaServer(
            nodes,
            access=access,
            book=pumps,
            state_folder=state,
            clock=clock,
            on_write=self._take_setpoint,
        )
        self._modbus = ModbusServer(
            host=modbus_host, port=modbus_port, book=compressor, clock=clock
        )
        self._server_faults = [fault for fault in faults if fault.kind in SERVER_FAULTS]
        self._lock = asyncio.Lock()

    @property
    def servers(self) -> Mapping[str, SimulatedServer]:
        """The servers by the name that a fault calls them by."""
        return dict(zip(SERVERS, (self._opcua, self._modbus), strict=True))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Everything that is or will be wrong."""
        return (*self.plant.faults, *self._server_faults)

    async def start(self) -> None:
        """Begin to serve."""
        pumps, compressor = self._values()
        await self._opcua.start(pumps, self._clock.now_ns())
        await self._modbus.start(compressor, self._clock.now_ns())

    async def stop(self) -> None:
        """Stop the servers and close the books."""
        for server in self.servers.values():
            await server.stop()
            server.book.close()

    async def play(self) -> None:
        """Step the plant and show it, until cancelled."""
        dt_s = self.settings.period_s * self.settings.speed
        parts = math.ceil(dt_s / SUBSTEP_S_MAX)
        async for count, time_ns in ticks(self.settings.period_s, self._clock):
            for _ in range(min(count, CATCH_UP_TICKS_MAX) * parts):
                self.plant.step(dt_s / parts)
            await self.apply_server_faults()
            await self._show(time_ns)

    async def inject(self, fault: Fault) -> None:
        """Let something go wrong; its onset counts in the plant's time."""
        if fault.kind in SERVER_FAULTS:
            self._server_faults.append(fault)
            await self.apply_server_faults()
        else:
            self.plant.inject(fault)
        log.info("fault_injected", kind=fault.kind, asset=fault.asset, onset_s=fault.onset_s)

    async def repair(self) -> None:
        """Remove every fault."""
        self.plant.repair()
        self._server_faults.clear()
        await self.apply_server_faults()
        log.info("faults_repaired")

    async def restore(self, server: str) -> None:
        """Remove the faults of one server."""
        self._server_faults = [fault for fault in self._server_faults if fault.asset != server]
        await self.apply_server_faults()

    async def apply_server_faults(self) -> None:
        """Bring every server into the state that the newest of its present faults asks for."""
        async with self._lock:
            elapsed_s = self.plant.elapsed_s
            for name, server in self.servers.items():
                present = [
                    fault
                    for fault in self._server_faults
                    if fault.asset == name and fault.is_present(elapsed_s)
                ]
                newest = max(present, key=lambda fault: fault.onset_s, default=None)
                wanted = STATE_OF_FAULT[newest.kind] if newest else ServerState.SERVING
                if server.state is wanted:
                    continue
                if wanted is ServerState.SERVING:
                    await server.restore()
                else:
                    await server.fail(wanted)
                log.info("server_state_changed", server=name, state=wanted)

    async def _show(self, time_ns: int) -> None:
        pumps, compressor = self._values()
        await self._opcua.show(pumps, time_ns)
        await self._modbus.show(compressor, time_ns)

    def _values(self) -> tuple[list[float], list[float]]:
        """Return what each server shows, in its order."""
        plant, shown = self.plant, self.plant.shown()
        count = len(PUMP_POINTS)
        setpoints = [plant.setpoint_rpm(pump) for pump in PUMPS]
        return [*shown[:count], *setpoints], [*shown[count:], float(plant.alarm_word)]

    def _take_setpoint(self, tag: TagId, value: float) -> None:
        pump = next(pump for pump in PUMPS if setpoint_tag(pump) == tag)
        self.plant.set_setpoint_rpm(pump, value)
        log.info("setpoint_written", tag=tag, value=value)


async def ticks(period_s: float, clock: Clock) -> AsyncIterator[tuple[int, int]]:
    """Yield once a period: how many periods have passed, and the wall time of the newest one."""
    period_ns = round(period_s * NS_PER_S)
    offset_ns = clock.now_ns() - clock.monotonic_ns()
    last_ns = clock.monotonic_ns()
    while True:
        due_ns = last_ns + period_ns
        await asyncio.sleep(max(0.0, (due_ns - clock.monotonic_ns()) / NS_PER_S))
        count = max(1, (clock.monotonic_ns() - last_ns) // period_ns)
        last_ns += count * period_ns
        yield count, last_ns + offset_ns


def parse_address(name: str, text: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
        ConfigError: it is not `host:port`.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"{name}: {text!r} is not host:port, such as 127.0.0.1:4840")
    return host, int(port)


def make_state_folder(path: Path) -> Path:
    """Return the folder, made when absent.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        path.mkdir(mode=STATE_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"state: {path} cannot be made: {error.strerror}") from error
    return path


def book_path(state: Path, connector: str) -> Path:
    """Return where the book of a connector's server is kept."""
    return state / f"offered-{connector}.book"
