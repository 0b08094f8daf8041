"""One session of the MQTT uplink: batches go out, answers find the one who waits for them.

Several batches may be under way at once; each has correlation data of its own, and an answer
without it is nobody's. A task takes what comes for as long as the session stands.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Final

from gateway.core.errors import CorruptRecordError
from gateway.core.ports import Clock
from gateway.wire.batch_topics import (
    TOKEN_PROPERTY,
    BatchTopics,
    GatewayState,
    decode_state,
    encode_state,
)
from gateway.wire.batches import MEDIA_TYPE
from gateway.wire.broker import Broker
from gateway.wire.broker_error import BrokerError
from gateway.wire.mqtt import Message, MqttSession
from gateway.wire.mqtt_properties import MessageProperties, Publication

LISTEN_S: Final = 60.0
"""The session is looked at this often while nothing comes; its end is noticed at once."""
FAREWELL_S: Final = 2.0
"""For the broker to take that the gateway goes offline."""


class BatchSession:
    """Opened once, closed once."""

    def __init__(
        self, broker: Callable[[bytes], Broker], topics: BatchTopics, *, clock: Clock
    ) -> None:
        """Prepare a session; needs a running loop.

        Args:
            broker: Makes what the session is made from, with this will.
            topics: Those of the gateway.
            clock: For the time of the connection.
        """
        self._topics = topics
        session, since_ns = secrets.token_hex(8), clock.now_ns()
        self._online, offline = (
            encode_state(GatewayState(is_online=each, session=session, since_ns=since_ns))
            for each in (True, False)
        )
        self._offline = offline
        self._link = MqttSession(broker(offline), clock=clock)
        self._stack = AsyncExitStack()
        self._listening: asyncio.Task[None] | None = None
        self._waiting: dict[bytes, asyncio.Future[bytes | None]] = {}
        """By correlation data; None says that the session is lost."""
        self._lost: BrokerError | None = None

    @property
    def is_lost(self) -> bool:
        """Whether it is of no more use."""
        return self._lost is not None

    async def open(self) -> None:
        """Connect, listen to answers, and say that the gateway is online.

        Raises:
            BrokerError: the broker cannot be reached, or refuses something of it.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._link)
            wanted = [self._topics.answers, self._topics.state]
            for topic, why in zip(wanted, await self._link.subscribe(wanted, qos=1), strict=True):
                if why:
                    raise BrokerError(
                        f"does not let us listen on {topic}",
                        check="Check what this user may read.",
                        detail=f"SUBACK {why}",
                    )
            await self._tell(self._online)
            self._stack = stack.pop_all()
        self._listening = asyncio.create_task(
            self._listen(), name=f"answers[{self._topics.batches}]"
        )

    async def ask(
        self, payload: bytes, *, token: str, expiry_s: int, timeout_s: float
    ) -> bytes | Publication:
        """Publish a batch and return the answer to it.

        Returns:
            The answer, or what the broker said where it hands the batch to nobody.
        Raises:
            BrokerError: the session is lost, or the broker is silent.
            TimeoutError: the broker has it, and no answer came in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        correlation = secrets.token_bytes(16)
        answered: asyncio.Future[bytes | None] = loop.create_future()
        self._waiting[correlation] = answered
        properties = MessageProperties(
            response_topic=self._topics.answers,
            correlation=correlation,
            content_type=MEDIA_TYPE,
            expiry_s=expiry_s,
            user=((TOKEN_PROPERTY, token),) if token else (),
        )
        try:
            said = await self._link.publish(
                self._topics.batches, payload, qos=1, properties=properties, timeout_s=timeout_s
            )
            if not said.is_taken or not said.has_subscribers:
                return said
            async with asyncio.timeout_at(deadline):
                answer = await answered
        except BrokerError as error:
            # Also where the connection stands: whoever acknowledges nothing is no broker any more.
            self._end(error)
            raise
        finally:
            del self._waiting[correlation]
        if answer is None:
            assert self._lost is not None
            raise BrokerError(self._lost.text, check=self._lost.check, detail=self._lost.detail)
        return answer

    async def aclose(self) -> None:
        """Say good-bye where somebody hears it, and let go of everything."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        try:
            if not self.is_lost:
                with suppress(BrokerError):
                    await self._tell(self._offline, timeout_s=FAREWELL_S)
        finally:
            await self._stack.aclose()

    async def _listen(self) -> None:
        """Take what comes until the session is lost."""
        try:
            while True:
                await self._link.more(wait_s=LISTEN_S)
                messages = self._link.take()
                for message in messages:
                    await self._take(message)
                self._link.acknowledge(messages)
        except BrokerError as error:
            self._end(error)

    async def _take(self, message: Message) -> None:
        if message.topic == self._topics.state:
            await self._put_right(message)
            return
        waiting = self._waiting.get(message.properties.correlation)
        if waiting is not None and not waiting.done():
            waiting.set_result(message.payload)

    async def _put_right(self, message: Message) -> None:
        """Say that the gateway is online where an older session's will says that it is not."""
        with suppress(CorruptRecordError):
            if decode_state(message.payload).is_online:
                return
        await self._tell(self._online)

    async def _tell(self, state: bytes, *, timeout_s: float | None = None) -> None:
        await self._link.publish(
            self._topics.state, state, qos=1, is_retained=True, timeout_s=timeout_s
        )

    def _end(self, error: BrokerError) -> None:
        """Tell all who wait that nothing comes any more."""
        if self._lost is None:
            self._lost = error
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
