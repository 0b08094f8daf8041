"""An OPC UA server of asyncua as a plant for the contract."""

import asyncio
import gc
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from asyncua import ua
from asyncua.common.node import Node
from asyncua.common.utils import Buffer
from asyncua.server.server import Server
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from connectors.opcua.connector import OpcuaConfig, OpcuaConnector
from gateway.wire.clock import SystemClock
from tests.connectors.contract import Plant
from tests.connectors.ua_values import data_value
from tests.connectors.wire import Wire

NAMESPACE = "urn:edgewright:plant"
PERIOD_S = 0.02
NODE_LIST = f"""\
tag,node,unit,group,dead_band,scale,offset,writable
Flow,ns=2;s=P101.Flow,m3/h,,,,,
Speed,nsu={NAMESPACE};s=P101.Speed,rpm,,,,,
Setpoint,ns=2;s=P101.Setpoint,bar,,,,,
setpoint,ns=2;s=P101.Written,bar,,,0.1,5,yes
Vibration,ns=2;s=P101.Vibration,mm/s,fast,,,,
unknown,ns=2;s=P101.Nothing,,,,,,
"""


class OpcuaPlant(Plant):
    """A server with a few variables; two of them count."""

    def __init__(self, folder: Path, wire: Wire) -> None:
        self.wire = wire
        self.folder = folder
        self.server: Server | None = None
        self.nodes: dict[str, Node] = {}
        self._ticker: asyncio.Task[None] | None = None
        self.counted = 0
        (folder / "pumps.csv").write_text(NODE_LIST, encoding="utf-8")
        self.connector = self.connector_with()

    def connector_with(self, **settings: object) -> OpcuaConnector:
        return OpcuaConnector(
            "pumps",
            self.connector_config(**settings),
            folder=self.folder,
            state_folder=self.folder / "state",
            clock=SystemClock(),
        )

    def connector_config(self, **settings: object) -> OpcuaConfig:
        given = {
            "type": "opcua",
            "endpoint": f"opc.tcp://127.0.0.1:{self.wire.port}",
            "security": "None",
            "tags": "pumps.csv",
            "sampling_ms": 10,
            "publishing_ms": 50,
            "groups": {"fast": {"sampling_ms": 10, "publishing_ms": 20}},
            "timeout_s": 15,
        }
        merged = given | settings
        return OpcuaConfig.model_validate(
            {name: value for name, value in merged.items() if value is not None}
        )

    def impatient(self) -> OpcuaConnector:
        return self.connector_with(timeout_s=1.5, keep_alive_s=0.4, silence_s_max=1.5)

    async def start_server(self) -> None:
        server = Server()
        server.iserver.disabled_clock = True  # a node of its own, which takes a second to stop
        gc.disable()  # else it costs two thirds of making the server's address space
        await server.init()
        gc.enable()
        await self.prepare(server)
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.wire.target_port}")
        index = await server.register_namespace(NAMESPACE)
        assert index == 2
        for name in ("Flow", "Speed", "Setpoint", "Written", "Vibration"):
            node_id = ua.NodeId.from_string(f"ns=2;s=P101.{name}")
            self.nodes[name] = await server.nodes.objects.add_variable(node_id, name, 0.0)
        await self.nodes["Written"].set_writable()
        await server.start()
        self.server = server
        assert server.bserver is not None
        self.wire.target_port = server.bserver.port
        self._ticker = asyncio.create_task(self._tick())

    async def prepare(self, server: Server) -> None:
        """Set security; none here."""
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])

    async def stop_server(self) -> None:
        assert self.server is not None
        assert self._ticker is not None
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)
        await self.server.stop()

    async def write(self, name: str, value: ua.DataValue) -> None:
        """Set a variable as the machine does."""
        assert self.server is not None
        await self.server.write_attribute_value(self.nodes[name].nodeid, value)

    async def _tick(self) -> None:
        while True:
            self.counted += 1
            for name in ("Flow", "Vibration"):
                await self.write(name, data_value(self.counted, source=datetime.now(UTC)))
            await asyncio.sleep(PERIOD_S)

    def offered_count(self) -> int:
        return sum(values_in(bytes(stretch)) for stretch in self.wire.downstream)


class PolledPlant(OpcuaPlant):
    """The same server, whose values are asked for."""

    def connector_with(self, **settings: object) -> OpcuaConnector:
        polled = {
            "read": "poll",
            "period_ms": 20,
            "groups": {"fast": {"read": "poll", "period_ms": 20}},
            "sampling_ms": None,
            "publishing_ms": None,
        }
        return super().connector_with(**(polled | settings))

    def offered_count(self) -> int:
        return sum(polled_values_in(bytes(stretch)) for stretch in self.wire.downstream)


def values_in(stream: bytes) -> int:
    """Count the values in the publish responses of an open connection, with asyncua's decoder."""
    count = 0
    for body in messages_in(stream):
        if nodeid_from_binary(Buffer(body)).Identifier == 829:
            response = struct_from_binary(ua.PublishResponse, Buffer(body))
            for data in response.Parameters.NotificationMessage.NotificationData or ():
                if isinstance(data, ua.DataChangeNotification):
                    count += len(data.MonitoredItems)
    return count


def polled_values_in(stream: bytes) -> int:
    """Count the values in the responses to scans, which are those with several numbers.

    What the connector asks about the server itself is text, or alone.
    """
    count = 0
    for body in messages_in(stream):
        if nodeid_from_binary(Buffer(body)).Identifier == 634:
            results = struct_from_binary(ua.ReadResponse, Buffer(body)).Results or []
            values = [data.Value for data in results if not is_unknown(data)]
            kinds = {value.VariantType for value in values if value is not None}
            if len(values) > 1 and kinds == {ua.VariantType.Double}:
                count += len(values)
    return count


def is_unknown(data: ua.DataValue) -> bool:
    """Tell whether a value is none, because the server does not know the node."""
    return data.StatusCode is not None and data.StatusCode.value == StatusCodes.BadNodeIdUnknown


def messages_in(stream: bytes) -> Iterator[bytes]:
    """Yield the messages of an open connection, from their type id on."""
    position = 0
    while position + 8 <= len(stream):
        kind = stream[position : position + 4]
        (size,) = struct.unpack_from("<I", stream, position + 4)
        if position + size > len(stream):
            break
        if kind == b"MSGF":
            yield stream[position + 24 : position + size]
        position += size
