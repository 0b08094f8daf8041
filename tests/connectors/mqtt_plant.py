"""A machine that publishes JSON through Mosquitto, as a plant for the contract."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import aiomqtt

from connectors.mqtt.connector import MqttConfig, MqttConnector
from gateway.wire.clock import SystemClock
from tests.connectors.contract import Plant
from tests.connectors.wire import Wire
from tests.interop.mosquitto import Mosquitto

PERIOD_S = 0.02
TAG_LIST = """\
tag,topic,path,time_path,time_format,unit,group,scale,offset,writable,write_topic,write_payload
Flow,plant/P101,/values/0/flow,/ts,ms,m3/h,,,,,,
Speed,plant/P101,/values/0/speed,/ts,ms,rpm,,,,,,
Level,plant/level,,,,m,slow,,,,,
setpoint,plant/setpoint,/sp,,,bar,,0.1,5,yes,plant/set,"{""sp"": {value}}"
unknown,plant/P101,/values/0/nothing,,,,,,,,,
"""


class MqttPlant(Plant):
    """A broker, and a machine behind it: each tick it publishes three messages."""

    def __init__(self, folder: Path, wire: Wire, *, options: Sequence[str] = ()) -> None:
        self.wire = wire
        self.folder = folder
        self.broker = Mosquitto(folder, options=options)
        self.counted = 0
        self.published: list[float] = []
        """Values of Flow whose message the broker has acknowledged."""
        self._is_running = False
        self._setpoint = b'{"sp": 1}'
        self._machine: asyncio.Task[None] | None = None
        (folder / "plant.csv").write_text(TAG_LIST, encoding="utf-8")
        self.connector = self.connector_with()

    def connector_with(self, **settings: object) -> MqttConnector:
        given = {
            "type": "mqtt",
            "broker": f"mqtt://127.0.0.1:{self.wire.port}",
            "tags": "plant.csv",
            "groups": {"slow": {"silence_s_max": 600}},
            "timeout_s": 5,
        }
        config = MqttConfig.model_validate(given | settings)
        return MqttConnector(
            "plant", config, folder=self.folder, gateway="test", clock=SystemClock()
        )

    def impatient(self) -> MqttConnector:
        return self.connector_with(timeout_s=1, keep_alive_s=1)

    async def start_server(self) -> None:
        await self.broker.start()
        self.wire.target_port = self.broker.port
        self._is_running = True
        ready = asyncio.Event()
        self._machine = asyncio.create_task(self._run_machine(ready))
        await ready.wait()

    async def stop_server(self) -> None:
        await self.stop_machine()
        await self.broker.kill()

    async def stop_machine(self) -> None:
        """Let it publish what it has begun to, and no more."""
        assert self._machine is not None
        self._is_running = False
        await asyncio.gather(self._machine, return_exceptions=True)

    async def _run_machine(self, ready: asyncio.Event) -> None:
        async with aiomqtt.Client("127.0.0.1", self.broker.port) as client:
            await client.subscribe("plant/set", qos=1)
            ready.set()
            listening = asyncio.create_task(self._obey(client))
            while self._is_running:
                await self._publish_values(client)
                await asyncio.sleep(PERIOD_S)
        # It ends with the connection; a cancellation could get lost in the library.
        await asyncio.gather(listening, return_exceptions=True)

    async def _publish_values(self, client: aiomqtt.Client) -> None:
        self.counted += 1
        values = {"flow": self.counted, "speed": self.counted * 10.5}
        document = {"ts": 1_767_225_600_000 + self.counted, "values": [values]}
        await client.publish("plant/level", str(self.counted / 4), qos=1)
        await client.publish("plant/P101", json.dumps(document), qos=1)
        self.published.append(float(self.counted))
        await client.publish("plant/setpoint", self._setpoint, qos=1)

    async def _obey(self, client: aiomqtt.Client) -> None:
        """Take setpoints over and report them."""
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            self._setpoint = message.payload
            await client.publish("plant/setpoint", message.payload, qos=1)

    def offered_count(self) -> int:
        raise NotImplementedError("a broker keeps what is not acknowledged: see the tests")
