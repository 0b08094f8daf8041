"""A Modbus server, pymodbus', that refuses what it is told to, takes its time, and keeps count."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from gateway.core.arrays import index_column
from gateway.wire.clock import SystemClock
from tests.connectors.sessions import in_session
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import until

SIZE = 400
"""Addresses of each area; register n holds n at the start."""


@dataclass
class Device:
    """What the server does."""

    refused: dict[int, set[int]] = field(default_factory=dict)
    """Addresses that make a request be refused, by exception code; in every area."""
    refused_functions: dict[int, int] = field(default_factory=dict)
    """Exception code by function code."""
    count_max: int = 2000
    """Longest request that is not answered with exception 03."""
    request_s: float = 0.0
    register_s: float = 0.0
    requests: list[tuple[int, int, int]] = field(default_factory=list)
    """Function, address and count of all that was asked for."""
    took_s: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    """Time that each answer took, measured here, by address and count."""
    port: int = 0
    server: ModbusTcpServer | None = None

    async def act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        self.requests.append((function, address, count))
        code = self.refused_functions.get(function)
        if code is None and count > self.count_max:
            code = ExcCodes.ILLEGAL_VALUE
        for each, addresses in self.refused.items():
            if code is None and addresses & set(range(address, address + count)):
                code = each
        if code is not None:
            return ExcCodes(code)
        if self.request_s or self.register_s:
            loop = asyncio.get_running_loop()
            begin_s = loop.time()
            await asyncio.sleep(self.request_s + self.register_s * count)
            self.took_s.setdefault((address, count), []).append(loop.time() - begin_s)
        return None

    async def set_registers(self, address: int, words: Sequence[int]) -> None:
        assert self.server is not None
        await self.server.async_setValues(1, 16, address, list(words))

    def reads(self) -> list[tuple[int, int, int]]:
        """Take what was asked for since the last call."""
        requests, self.requests = self.requests, []
        return requests


@asynccontextmanager
async def serving(device: Device) -> AsyncIterator[Device]:
    """Serve until the block ends."""
    words = list(range(SIZE))
    sim = SimDevice(
        1,
        simdata=(
            [SimData(0, values=[True] * SIZE, datatype=DataType.BITS)],
            [SimData(0, values=[True] * SIZE, datatype=DataType.BITS)],
            [SimData(0, values=words, datatype=DataType.REGISTERS)],
            [SimData(0, values=words, datatype=DataType.REGISTERS)],
        ),
        action=device.act,
    )
    device.server = ModbusTcpServer(sim, address=("127.0.0.1", 0))
    await device.server.serve_forever(background=True)
    # pymodbus keeps the listening server where it keeps a connection otherwise.
    listener = cast(asyncio.Server, device.server.transport)
    device.port = listener.sockets[0].getsockname()[1]
    try:
        yield device
    finally:
        await device.server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus'


def connector_to(
    port: int, folder: Path, rows: Sequence[str], **settings: object
) -> ModbusConnector:
    """Return a connector that reads rows of `tag,address,type,group,writable`."""
    text = "\n".join(["tag,address,type,group,writable", *rows]) + "\n"
    (folder / "blower.csv").write_text(text, encoding="utf-8")
    given = {
        "type": "modbus",
        "address": f"127.0.0.1:{port}",
        "tags": "blower.csv",
        "period_ms": 50,
        "timeout_s": 10,
        "retry_first_s": 60,
    }
    config = ModbusConfig.model_validate(given | settings)
    return ModbusConnector("blower", config, folder=folder, clock=SystemClock())


def words(addresses: Sequence[int]) -> list[str]:
    """Return a row for one register at each of some addresses, named after it."""
    return [f"t{address},{address},uint16,," for address in addresses]


@asynccontextmanager
async def polled(connector: ModbusConnector) -> AsyncIterator[KeepingSink]:
    """Run a session until the block ends."""
    sink = KeepingSink()
    async with in_session(connector, sink, index_column(range(len(connector.tags)))):
        yield sink


def values(sink: KeepingSink, connector: ModbusConnector, name: str) -> list[float]:
    """Return the values of a tag so far."""
    return sink.values_of(index_of(connector, name))


def index_of(connector: ModbusConnector, name: str) -> int:
    return [str(tag.id) for tag in connector.tags].index(f"{connector.name}.{name}")


def stated(sink: KeepingSink, connector: ModbusConnector) -> dict[str, list[int]]:
    """Return the status codes that were stated of each tag, in their order."""
    found: dict[str, list[int]] = {}
    for frame in sink.stated:
        for index, status in zip(frame.tag_index.tolist(), frame.status.tolist(), strict=True):
            name = connector.tags[index].id.split(".", 1)[1]
            found.setdefault(name, []).append(status)
    return found


async def scans(sink: KeepingSink, connector: ModbusConnector, name: str, count: int) -> None:
    """Wait for some more values of a tag."""
    target = len(values(sink, connector, name)) + count
    await until(
        lambda: len(values(sink, connector, name)) >= target, what=f"{count} values of {name}"
    )
