"""What the simulator's tests share: waiting, books to compare with, and servers to talk to."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.common.subscription import DataChangeNotif
from pydantic import SecretStr

from gateway.core.tags import TagId
from gateway.simulate.books import OfferedBook, read_offered
from gateway.simulate.modbus import ModbusServer
from gateway.simulate.opcua import Access, OpcuaServer
from gateway.simulate.opcua_wire import to_ns
from gateway.simulate.plant_config import plant_nodes
from gateway.simulate.points import COMPRESSOR_CONNECTOR, MODBUS_TAGS, PUMP_CONNECTOR
from gateway.wire.clock import SystemClock

DEADLINE_S = 20.0


async def until(condition: Callable[[], bool], *, what: str) -> None:
    """Wait until the condition holds; fail with `what` after the deadline."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE_S:.0f} s for {what}"
        await asyncio.sleep(0.01)


def offered(path: Path) -> Counter[tuple[TagId, int]]:
    """Return what a book says: how often each (tag, source time) was offered."""
    book = read_offered(path)
    pairs = zip(book.tag_index.tolist(), book.time_ns.tolist(), strict=True)
    return Counter((book.tags[index], time_ns) for index, time_ns in pairs)


@asynccontextmanager
async def opcua_server(
    folder: Path, *, user: str = "", password: str = ""
) -> AsyncIterator[OpcuaServer]:
    """Run the pumps' OPC UA server on a free port; its book is `pumps.book`."""
    nodes = plant_nodes()
    server = OpcuaServer(
        nodes,
        access=Access(host="127.0.0.1", port=0, user=user, password=SecretStr(password)),
        book=OfferedBook(
            folder / "pumps.book", connector=PUMP_CONNECTOR, tags=[node.tag for node in nodes]
        ),
        state_folder=folder,
        clock=SystemClock(),
    )
    await server.start([2000.0] * len(nodes), time.time_ns())
    try:
        yield server
    finally:
        await server.stop()
        server.book.close()


@asynccontextmanager
async def modbus_server(folder: Path) -> AsyncIterator[ModbusServer]:
    """Run the compressor's Modbus server on a free port; its book is `compressor.book`."""
    book = OfferedBook(folder / "compressor.book", connector=COMPRESSOR_CONNECTOR, tags=MODBUS_TAGS)
    server = ModbusServer(host="127.0.0.1", port=0, book=book, clock=SystemClock())
    await server.start([*(1.5 * i for i in range(9)), 3.0], time.time_ns())
    try:
        yield server
    finally:
        await server.stop()
        book.close()


class Subscriber:
    """An asyncua client's handler that keeps what it is notified of."""

    def __init__(self) -> None:
        self.received: Counter[tuple[TagId, int]] = Counter()
        self.values: dict[TagId, float] = {}

    def datachange_notification(self, node: Node, value: float, data: DataChangeNotif) -> None:
        """Take one notification; asyncua calls this."""
        tag = TagId(f"{PUMP_CONNECTOR}.{node.nodeid.Identifier!s}")
        source_time = data.monitored_item.Value.SourceTimestamp
        assert source_time is not None
        self.received[tag, to_ns(source_time)] += 1
        self.values[tag] = value

    def status_change_notification(self, status: object) -> None:
        """Take the end of the subscription; asyncua calls this."""

    async def subscribe(self, client: Client, *, period_ms: float = 20.0) -> None:
        """Subscribe to all the pumps' variables."""
        subscription = await client.create_subscription(period_ms, self)
        nodes = [client.get_node(f"ns=2;s={node.identifier}") for node in plant_nodes()]
        await subscription.subscribe_data_change(nodes)
