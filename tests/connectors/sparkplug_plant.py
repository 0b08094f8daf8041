"""An edge node behind Mosquitto whose payloads Eclipse Tahu's package makes and reads."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import aiomqtt

from connectors.mqtt.sparkplug import SparkplugConfig, SparkplugConnector
from gateway.wire.clock import SystemClock
from gateway.wire.sparkplug import decode_payload
from tests.connectors.contract import Plant
from tests.connectors.wire import Wire
from tests.interop.mosquitto import Mosquitto
from tests.interop.sparkplug import JsonObject, SparkplugPackage

PERIOD_S = 0.02
GROUP, NODE, DEVICE = "plant", "edge", "P101"
ALIASES = {"Flow": 11, "Speed": 12, "setpoint": 13, "Name": 14}
"""Of the device's metrics; those of the node have none."""
TAG_LIST = """\
tag,edge_node,device,metric,unit,scale,offset,writable
Uptime,edge,,Node Info/Uptime,s,,,
Flow,edge,P101,Flow,m3/h,,,
Speed,edge,P101,Speed,rpm,,,
setpoint,edge,P101,setpoint,bar,0.1,5,yes
unknown,edge,P101,Nothing,,,,
"""


class TahuNode:
    """An edge node with one device; speaks when told to."""

    def __init__(self, package: SparkplugPackage, client: aiomqtt.Client, bd_seq: int) -> None:
        self.package = package
        self.client = client
        self.bd_seq = bd_seq
        self.seq = 0
        self.rebirth_count = 0
        self.setpoint = 1.0
        self.commands: list[JsonObject] = []
        self._voice = asyncio.Lock()
        self.extra: list[JsonObject] = []
        """Metrics of the device beside the usual ones."""

    async def send(self, verb: str, metrics: list[JsonObject], **other: object) -> None:
        """Publish one message with the next sequence number, never amid births."""
        async with self._voice:
            await self._send(verb, metrics, **other)

    async def _send(self, verb: str, metrics: list[JsonObject], **other: object) -> None:
        payload: JsonObject = {"timestamp": now_ms(), "seq": self.seq, "metrics": metrics} | other
        device = f"/{DEVICE}" if verb.startswith("D") else ""
        await self.client.publish(
            f"spBv1.0/{GROUP}/{verb}/{NODE}{device}", self.package.encode(payload), qos=0
        )
        self.seq = (self.seq + 1) % 256

    async def births(self) -> None:
        """Say what there is."""
        async with self._voice:
            await self._births()

    async def _births(self) -> None:
        self.seq = 0
        long = {"long": str(self.bd_seq)}
        await self._send(
            "NBIRTH",
            [
                {"name": "bdSeq", "type": "Int64", "value": long},
                {"name": "Node Control/Rebirth", "type": "Boolean", "value": False},
                {"name": "Node Info/Uptime", "type": "Int64", "value": {"long": "0"}},
            ],
        )
        await self._send("DBIRTH", [*device_metrics(0.0, 0, self.setpoint), *self.extra])

    async def data(self, **values: object) -> None:
        """Report metrics of the device by their aliases."""
        types = {"Flow": "Double", "Speed": "Int32", "setpoint": "Float", "Name": "String"}
        await self.send(
            "DDATA",
            [
                {"alias": ALIASES[name], "type": types[name], "value": value, "timestamp": now_ms()}
                for name, value in values.items()
            ],
        )

    async def obey(self) -> None:
        """Follow commands until the connection ends."""
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            command = self.package.decode(message.payload)
            self.commands.append(command)
            for metric in command["metrics"]:
                if metric.get("name") == "Node Control/Rebirth" and metric["value"] is True:
                    await self.births()
                    self.rebirth_count += 1
                elif int(metric.get("alias", 0)) == ALIASES["setpoint"]:
                    self.setpoint = metric["value"]
                    await self.data(setpoint=self.setpoint)


class SparkplugPlant(Plant):
    """A broker, and an edge node behind it whose flow counts."""

    def __init__(self, folder: Path, wire: Wire, package: SparkplugPackage) -> None:
        self.wire = wire
        self.folder = folder
        self.package = package
        self.broker = Mosquitto(folder)
        self.node: TahuNode | None = None
        self.counted = 0
        self.bd_seq = -1
        self._running: asyncio.Task[None] | None = None
        self._going: asyncio.Event | None = None
        self._is_counting = False
        (folder / "metrics.csv").write_text(TAG_LIST, encoding="utf-8")
        self.connector = self.connector_with()

    def connector_with(self, **settings: object) -> SparkplugConnector:
        given: Mapping[str, object] = {
            "type": "sparkplug",
            "broker": f"mqtt://127.0.0.1:{self.wire.port}",
            "group_id": GROUP,
            "tags": "metrics.csv",
            "timeout_s": 5,
            "reorder_s": 0.2,
            "rebirth_s": 0.3,
        }
        config = SparkplugConfig.model_validate({**given, **settings})
        return SparkplugConnector(
            "site", config, folder=self.folder, gateway="test", clock=SystemClock()
        )

    def impatient(self) -> SparkplugConnector:
        return self.connector_with(timeout_s=1, keep_alive_s=1)

    async def start_server(self) -> None:
        await self.broker.start()
        self.wire.target_port = self.broker.port
        await self.start_node(is_counting=True)

    async def stop_server(self) -> None:
        await self.stop_node()
        await self.broker.kill()

    async def start_node(self, *, is_counting: bool) -> TahuNode:
        """Let the node connect and, if it counts, be born and report."""
        self._is_counting = is_counting
        ready = asyncio.Event()
        self._running = asyncio.create_task(self._run_node(ready))
        await ready.wait()
        assert self.node is not None
        return self.node

    async def stop_node(self) -> None:
        """Let the node go away with its death, as at a lost connection."""
        if self._running is not None and self._going is not None:
            self._going.set()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run_node(self, ready: asyncio.Event) -> None:
        self.bd_seq += 1
        going = self._going = asyncio.Event()
        death = self.package.encode(
            {
                "timestamp": now_ms(),
                "metrics": [
                    {"name": "bdSeq", "type": "Int64", "value": {"long": str(self.bd_seq)}}
                ],
            }
        )
        death_topic = f"spBv1.0/{GROUP}/NDEATH/{NODE}"
        async with aiomqtt.Client(
            "127.0.0.1", self.broker.port, will=aiomqtt.Will(death_topic, death, qos=1)
        ) as client:
            node = self.node = TahuNode(self.package, client, self.bd_seq)
            await client.subscribe(
                [(f"spBv1.0/{GROUP}/{verb}/{NODE}/#", 1) for verb in ("NCMD", "DCMD")]
            )
            obeying = asyncio.create_task(node.obey())
            if self._is_counting:
                await node.births()
            ready.set()
            while not going.is_set():
                if self._is_counting:
                    self.counted += 1
                    await node.data(Flow=float(self.counted), Speed=-self.counted)
                await asyncio.sleep(PERIOD_S)
            # An edge node that leaves in order says so itself (tck-id-...-intentional-...-ndeath).
            await client.publish(death_topic, death, qos=1)
        await asyncio.gather(obeying, return_exceptions=True)

    def offered_count(self) -> int:
        """Count the listed metrics in all messages that the broker sent."""
        return sum(values_in(bytes(stretch)) for stretch in self.wire.downstream)


def device_metrics(flow: float, speed: int, setpoint: float) -> list[JsonObject]:
    """Return the metrics of the device as a birth defines them."""
    return [
        {"name": "Flow", "alias": 11, "type": "Double", "value": flow, "timestamp": now_ms()},
        {"name": "Speed", "alias": 12, "type": "Int32", "value": speed, "timestamp": now_ms()},
        {
            "name": "setpoint",
            "alias": 13,
            "type": "Float",
            "value": setpoint,
            "timestamp": now_ms(),
        },
    ]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def values_in(stream: bytes) -> int:
    """Count the listed metrics in the births and data of a stretch of MQTT."""
    count = position = 0
    is_born = False
    while (packet := next_packet(stream, position)) is not None:
        kind, body, position = packet
        if kind >> 4 != 3:
            continue
        topic_size = int.from_bytes(body[:2], "big")
        topic = body[2 : 2 + topic_size].decode()
        verb = topic.split("/")[2]
        if verb == "NBIRTH":
            is_born = True
        # Behind the topic: no packet identifier with QoS 0, and the empty properties of MQTT 5.
        if verb in ("NBIRTH", "DBIRTH", "DDATA") and is_born:
            payload = decode_payload(body[2 + topic_size + 1 :])
            count += sum(
                metric.name in ("Node Info/Uptime", "Flow", "Speed", "setpoint")
                or (metric.alias in ALIASES.values() and not metric.name)
                for metric in payload.metrics
            )
    return count


def next_packet(stream: bytes, position: int) -> tuple[int, bytes, int] | None:
    """Return the first byte and body of a packet, and where the next begins (MQTT 5.0, 2.1)."""
    size = shift = 0
    for index in range(position + 1, min(position + 5, len(stream))):
        size |= (stream[index] & 0x7F) << shift
        shift += 7
        if stream[index] < 0x80:
            end = index + 1 + size
            if end <= len(stream):
                return stream[position], stream[index + 1 : end], end
            return None
    return None
