"""A cloud behind a real broker whose every answer the test decides, and the uplink to it."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from pydantic import SecretStr

from cloud_sync.edge.mqtt import MqttUplink, MqttUplinkConfig
from gateway.core.records import GatewayId
from gateway.wire.batches import decode_batch
from gateway.wire.broker import Broker, MqttVersion
from gateway.wire.broker_error import BrokerError
from gateway.wire.clock import SystemClock
from gateway.wire.mqtt import Message, MqttSession
from gateway.wire.mqtt_properties import MessageProperties
from tests.cloud_sync.uplink_contract import FarEnd
from tests.interop.mosquitto import Mosquitto

GATEWAY = GatewayId("pumphouse-1")
PREFIX = "edgewright/v1"
Answer = Callable[[Message], str | None]
"""Returns what is said; None is nothing."""


def take_all(message: Message) -> str:
    """The answer of a good cloud."""
    count = len(decode_batch(message.payload).records)
    return json.dumps({"accepted": count, "sample_count": 0, "duplicate_count": 0})


def say_nothing(_message: Message) -> None:
    """The answer of a cloud that hangs."""


def broker_at(port: int, *, client_id: str, user: str = "", password: str = "") -> Broker:
    """Return how a test reaches a broker on loopback."""
    return Broker(
        host="127.0.0.1",
        port=port,
        version=MqttVersion.V5,
        tls=None,
        user=user,
        password=SecretStr(password),
        client_id=client_id,
        session_expiry_s=0,
        keep_alive_s=5,
        timeout_s=10,
        receive_max=100,
        queue_messages_max=1000,
        payload_bytes_max=64 * 1024 * 1024,
    )


class ScriptedCloud:
    """Subscribes to all batches and answers them; `answer` may change at any time."""

    def __init__(self, port: int, *, answer: Answer = take_all) -> None:
        self.answer = answer
        self.messages: list[Message] = []
        self._broker = broker_at(port, client_id="cloud")
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when it is subscribed."""
        subscribed = asyncio.Event()
        self._running = asyncio.create_task(self._run(subscribed))
        async with asyncio.timeout(30):
            await subscribed.wait()

    async def stop(self) -> None:
        """Leave the broker."""
        assert self._running is not None
        self._running.cancel()
        await asyncio.wait([self._running])

    async def _run(self, subscribed: asyncio.Event) -> None:
        with suppress(BrokerError):
            async with MqttSession(self._broker, clock=SystemClock()) as link:
                await link.subscribe([f"{PREFIX}/+/batches"], qos=1)
                subscribed.set()
                while True:
                    await link.more(wait_s=60)
                    messages = link.take()
                    for message in messages:
                        self.messages.append(message)
                        said = self.answer(message)
                        if said is not None:
                            await link.publish(
                                message.properties.response_topic,
                                said.encode(),
                                qos=1,
                                properties=MessageProperties(
                                    correlation=message.properties.correlation
                                ),
                            )
                    link.acknowledge(messages)


def uplink_to(port: int, *, timeout_s: float = 10.0, **more: object) -> MqttUplink:
    """Return an uplink that delivers through a broker on loopback."""
    config = MqttUplinkConfig.model_validate(
        {
            "broker": f"mqtt://127.0.0.1:{port}",
            "login_in_clear": "accept",
            "timeout_s": timeout_s,
            **more,
        }
    )
    return MqttUplink("cloud", config, gateway=GATEWAY, clock=SystemClock())


class MqttFarEnd(FarEnd):
    """Implements `FarEnd` with a broker and a cloud behind it."""

    def __init__(self, mosquitto: Mosquitto, *, timeout_s: float) -> None:
        self.mosquitto = mosquitto
        self.cloud = ScriptedCloud(mosquitto.port)
        self.uplink: MqttUplink = uplink_to(mosquitto.port, timeout_s=timeout_s)

    @property
    def received(self) -> list[bytes]:
        return [message.payload for message in self.cloud.messages]

    def take_all(self) -> None:
        self.cloud.answer = take_all

    def confirm(self, text: str) -> None:
        self.cloud.answer = lambda _: text

    def refuse(self, status: int, *, retry_after_s: int | None = None) -> None:
        refusal = {
            "error": "record 1/2 is damaged",
            "remedy": "send it no more",
            "code": status,
            "retry_after_s": retry_after_s,
        }
        self.cloud.answer = lambda _: json.dumps(refusal)

    def hang(self) -> None:
        self.cloud.answer = say_nothing

    async def stop(self) -> None:
        await self.mosquitto.kill()

    async def start(self) -> None:
        await self.cloud.stop()
        await self.mosquitto.start()
        await self.cloud.start()
