"""One session with an MQTT broker: connect, subscribe, take what came, acknowledge, publish.

Theory. A message with QoS 1 is acknowledged by whoever takes it (`acknowledge`), not when it
arrives: until then the broker keeps it, and sends it again in the next session under the same
packet identifier, marked as repeated (MQTT 5.0, 4.4). So

- what is not acknowledged at the end of a session is not lost, if the session is kept;
- the broker sends no more than `receive_max` messages ahead (MQTT 5; its own limit with 3.1.1):
  whoever does not acknowledge holds the sender back;
- a message with QoS 0 can only be lost: when the queue is full the new one is dropped and counted.

aiomqtt makes and keeps the connection. It would acknowledge at arrival, pass over the mark of a
repetition and begin a task for each message; therefore messages are taken from paho-mqtt, which
lies under it. `PRIVATE_NAMES` lists what that needs, and a test fails when one of them moves.
"""

import asyncio
import math
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeAlias, cast

import aiomqtt
from paho.mqtt import client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.core.ports import Clock
from gateway.wire.broker import Broker, MqttVersion, client_for
from gateway.wire.broker_error import connect_error, lost_error, silent_error
from gateway.wire.mqtt_properties import (
    NO_PROPERTIES,
    PACKET_TOO_LARGE,
    MessageProperties,
    Publication,
    from_library,
    packet_size_bytes,
    to_library,
)

PRIVATE_NAMES: Final = {
    "aiomqtt.Client": ("_client", "_disconnected"),
    "paho.mqtt.client.Client": ("_sock_close",),
}
"""What is used inside of the libraries."""

IN_FLIGHT_MAX: Final = 20
"""Messages of ours that wait for the broker's acknowledgement, unless it allows fewer."""

_NS_PER_S = 1_000_000_000
_TAKEN: Final = Publication(code=0, text="Success")
_ConnectCallback: TypeAlias = Callable[
    [mqtt.Client, object, mqtt.ConnectFlags, ReasonCode, Properties | None], None
]
"""Of the kinds that paho knows, the one that aiomqtt asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it came."""

    topic: str
    payload: bytes
    qos: int
    is_retained: bool
    """Whether the broker had kept it from before the subscription."""
    is_repeated: bool
    """Whether the broker sent it before, and got no acknowledgement."""
    packet_id: int
    """The same for a repetition; 0 with QoS 0."""
    received_ns: int
    """UTC."""
    arrival_ns: int
    """Monotonic."""
    properties: MessageProperties = NO_PROPERTIES


class MqttSession:
    """A session; as a context, once."""

    def __init__(self, broker: Broker, *, clock: Clock) -> None:
        """Prepare a connection; needs a running loop."""
        self._broker = broker
        self._clock = clock
        self._queue: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._client = client_for(broker)
        self._paho = self._client._client  # noqa: SLF001 - see PRIVATE_NAMES
        self._paho.manual_ack_set(on=True)
        self._paho.connect_timeout = broker.timeout_s
        self._connect_callback = cast(_ConnectCallback, self._paho.on_connect)
        self._paho.on_connect = self._on_connect
        self._paho.on_message = self._on_message
        self._paho.on_publish = self._on_publish
        self._published: dict[int, asyncio.Future[Publication]] = {}
        self._places = asyncio.Semaphore(IN_FLIGHT_MAX)
        self.packet_size_bytes_max: int | None = None
        """Largest packet that the broker takes; None is any."""
        self.is_resumed = False
        """Whether the broker had kept the session from before."""
        self.dropped_count = 0
        """Messages that could not be kept."""

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            BrokerError: it cannot be reached, refuses, or does not answer in time.
        """
        opening = asyncio.create_task(self._client.__aenter__(), name="mqtt-connect")
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # A thread connects: it cannot be stopped, only waited for, as long as its time-outs.
            await asyncio.wait([opening])
            if opening.exception() is None:
                await self._disconnect()
            self._close()
            raise
        except aiomqtt.MqttError as error:
            self._close()
            raise connect_error(error, self._broker) from error
        # From now on the time-outs are ours: those of the library can swallow a cancellation.
        self._client.timeout = math.inf
        self._lost = self._client._disconnected  # noqa: SLF001 - see PRIVATE_NAMES
        self._lost.add_done_callback(self._on_lost)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect; a kept session stays at the broker."""
        try:
            await self._disconnect()
        finally:
            self._close()

    @property
    def certificate_expires_ns(self) -> int | None:
        """When the broker's certificate expires, UTC; None in the clear."""
        socket = self._paho.socket()
        if not isinstance(socket, ssl.SSLSocket):
            return None
        expires = (socket.getpeercert() or {}).get("notAfter")
        return ssl.cert_time_to_seconds(expires) * _NS_PER_S if isinstance(expires, str) else None

    async def subscribe(self, filters: Sequence[str], *, qos: int) -> tuple[str, ...]:
        """Ask for topics and return why each was refused; empty where it was granted.

        Raises:
            BrokerError: no answer in time, or the session is lost.
        """
        async with self._answered():
            codes = await self._client.subscribe([(each, qos) for each in filters])
        return tuple(
            str(code) if isinstance(code, ReasonCode) and code.is_failure else "" for code in codes
        )

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Want no more of these topics: when it returns, all that was sent before has come.

        Raises:
            BrokerError: no answer in time, or the session is lost.
        """
        async with self._answered():
            await self._client.unsubscribe(list(filters))

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        is_retained: bool = False,
        properties: MessageProperties = NO_PROPERTIES,
        timeout_s: float | None = None,
    ) -> Publication:
        """Publish, and with QoS 1 wait for the acknowledgement.

        Args:
            topic: Where to.
            payload: What.
            qos: 0 or 1.
            is_retained: Whether the broker keeps it for whoever subscribes later.
            properties: Sent with MQTT 5.
            timeout_s: Longest wait, for a long message on a slow line; else that of the broker.
        Returns:
            What the broker said. A message that it has said to be too large is not sent.
        Raises:
            BrokerError: no answer in time, or the session is lost.
        """
        packed = None
        if self._broker.version is MqttVersion.V5:
            packed = to_library(properties)
            limit = self.packet_size_bytes_max
            if limit is not None and packet_size_bytes(topic, payload, packed) > limit:
                return Publication(code=PACKET_TOO_LARGE, text=f"the broker takes {limit} bytes")
        async with self._answered(timeout_s), self._places:
            info = self._paho.publish(topic, payload, qos, is_retained, packed)
            if info.rc != mqtt.MQTT_ERR_SUCCESS:
                raise aiomqtt.MqttCodeError(info.rc, "Could not publish")
            if info.is_published():
                return _TAKEN
            published: asyncio.Future[Publication] = asyncio.get_running_loop().create_future()
            self._published[info.mid] = published
            try:
                return await published
            finally:
                del self._published[info.mid]

    async def more(self, *, wait_s: float) -> None:
        """Wait until a message is there, at most some seconds.

        Raises:
            BrokerError: the session is lost, and all that came before was taken.
        """
        if not self._queue:
            self._check()
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
        if not self._queue:
            self._check()

    def take(self) -> list[Message]:
        """Return all messages that wait, the oldest first."""
        messages = list(self._queue)
        self._queue.clear()
        return messages

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Tell the broker that it need not keep these any longer; never waits, never fails."""
        for message in messages:
            if message.qos:
                self._paho.ack(message.packet_id, message.qos)

    @asynccontextmanager
    async def _answered(self, timeout_s: float | None = None) -> AsyncIterator[None]:
        """Give the broker its time to answer, and word it when it does not."""
        loop = asyncio.get_running_loop()
        wait_s = self._broker.timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(wait_s) as deadline:

                def give_up(_: asyncio.Future[None]) -> None:
                    # The library lets a call wait whose connection is gone.
                    if not deadline.expired():
                        deadline.reschedule(loop.time())

                self._lost.add_done_callback(give_up)
                try:
                    yield
                finally:
                    self._lost.remove_done_callback(give_up)
        except aiomqtt.MqttError as error:
            raise lost_error(error) from error
        except TimeoutError as error:
            self._check()
            raise silent_error(wait_s) from error

    def _on_connect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.is_resumed = bool(flags.session_present)
        self.packet_size_bytes_max = getattr(properties, "MaximumPacketSize", None)
        in_flight = min(getattr(properties, "ReceiveMaximum", IN_FLIGHT_MAX), IN_FLIGHT_MAX)
        self._places = asyncio.Semaphore(in_flight)
        self._connect_callback(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        is_full = len(self._queue) >= self._broker.queue_messages_max
        topic = _topic_of(message)
        if is_full or topic is None or len(message.payload) > self._broker.payload_bytes_max:
            self.dropped_count += 1
            client.ack(message.mid, message.qos)
        else:
            self._queue.append(
                Message(
                    topic=topic,
                    payload=bytes(message.payload),
                    qos=message.qos,
                    is_retained=message.retain,
                    is_repeated=message.dup,
                    packet_id=message.mid,
                    received_ns=self._clock.now_ns(),
                    arrival_ns=self._clock.monotonic_ns(),
                    properties=from_library(message.properties),
                )
            )
        self._wake.set()

    def _on_publish(
        self,
        client: mqtt.Client,
        userdata: object,
        packet_id: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        published = self._published.get(packet_id)
        if published is not None and not published.done():
            published.set_result(Publication(code=reason_code.value, text=str(reason_code)))

    def _on_lost(self, lost: asyncio.Future[None]) -> None:
        if not lost.cancelled():
            lost.exception()  # looked at: else asyncio complains about it at a stop
        self._wake.set()

    async def _disconnect(self) -> None:
        """Say good-bye, if there is still somebody to hear it."""
        with suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(self._broker.timeout_s):
                await self._client.__aexit__(None, None, None)

    def _close(self) -> None:
        """Let go of the socket, whatever state the library left it in."""
        self._paho._sock_close()  # noqa: SLF001 - see PRIVATE_NAMES

    def _check(self) -> None:
        if self._lost.done():
            raise lost_error(self._lost.exception())


def _topic_of(message: mqtt.MQTTMessage) -> str | None:
    """Return the topic; None when it is not UTF-8, which MQTT forbids."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return None
