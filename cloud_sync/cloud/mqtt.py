"""Batches over MQTT 5: taken from a shared subscription, committed, answered, acknowledged.

The order is the promise. A batch is answered only after its commit, on the topic that it names, if
that is the gateway's own; and it is acknowledged to the broker only after the answer. What happens
to a batch before that, at the broker or here, leaves the gateway without an answer: it sends it
again, and nothing is taken twice. So the session is a clean one: the broker need not keep anything
for a cloud that is away, and can tell a gateway at once that nobody listens.

A broker that is away is told once when lost and once when back, and tried again for ever; HTTP goes
on beside it.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import structlog

from cloud_sync.cloud.ingest import Ingest
from cloud_sync.cloud.messages import Accepted, Refusal
from cloud_sync.cloud.metrics import CloudMetrics
from cloud_sync.cloud.mqtt_settings import MqttSettings
from cloud_sync.cloud.presence import Presence
from cloud_sync.cloud.requests import RETRY_AFTER_S, ProblemError, Tokens, meaning
from cloud_sync.cloud.taking import take_batch
from gateway.core.errors import CorruptRecordError, GatewayError
from gateway.core.ports import Clock
from gateway.wire.backoff import Backoff
from gateway.wire.batch_topics import TOKEN_PROPERTY, BatchTopics, decode_state, topics_of
from gateway.wire.batches import BATCH_SIZE_BYTES_MAX
from gateway.wire.broker import Broker, MqttVersion
from gateway.wire.broker_error import BrokerError
from gateway.wire.broker_settings import broker_tls, host_and_port, read_password
from gateway.wire.mqtt import Message, MqttSession
from gateway.wire.mqtt_properties import MessageProperties

LISTEN_S: Final = 60.0
"""The session is looked at this often while nothing comes; its end is noticed at once."""
STATES_MAX: Final = 10_000
"""States of gateways that may wait to be looked at."""
ANSWER_EXPIRY_S: Final = 600
"""An answer that nobody fetches for so long is dropped: its gateway has given up long before."""
RETRY_FIRST_S: Final = 0.5
RETRY_CAP_S: Final = 30.0
HEALTHY_S: Final = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """Where batches go, and who is known."""

    ingest: Ingest
    metrics: CloudMetrics
    presence: Presence
    tokens: Tokens
    gateways: Collection[str]
    """The gateways that may deliver, by their id."""
    batch_size_bytes_max: int
    """A larger one is refused; the gateway then sends less at once."""


class BatchListener:
    """Takes batches from a broker, for as long as it runs."""

    def __init__(self, settings: MqttSettings, reception: Reception, *, clock: Clock) -> None:
        """Check everything that can be checked without connecting.

        Raises:
            ConfigError: the password or a certificate cannot be read.
        """
        self._settings = settings
        self._reception = reception
        self._clock = clock
        self._tls = broker_tls("mqtt", settings, Path())
        self._password = read_password("mqtt", settings, Path())
        self._backoff = Backoff(first_s=RETRY_FIRST_S, cap_s=RETRY_CAP_S, healthy_s=HEALTHY_S)
        self._lost_ns: int | None = None

    async def run(self) -> NoReturn:
        """Take batches until cancelled."""
        while True:
            try:
                async with MqttSession(self._broker(), clock=self._clock) as link:
                    await self._listen(link)
            except BrokerError as error:
                self._reception.presence.forget()
                wait_s = self._backoff.failed(now_ns=self._clock.monotonic_ns())
                self._lost(error)
                await asyncio.sleep(wait_s)

    async def _listen(self, link: MqttSession) -> NoReturn:
        """Take what comes until the session is lost.

        Raises:
            BrokerError: it is.
        """
        topics = BatchTopics(prefix=self._settings.topic_prefix, gateway="+")
        wanted = [topics.state, f"$share/{self._settings.share_group}/{topics.batches}"]
        for topic, why in zip(wanted, await link.subscribe(wanted, qos=1), strict=True):
            if why:
                raise BrokerError(
                    f"does not let us listen on {topic}",
                    check="Check what this user may read.",
                    detail=f"SUBACK {why}",
                )
        self._found()
        dropped = 0
        while True:
            await link.more(wait_s=LISTEN_S)
            messages = link.take()
            self._reception.metrics.dropped(link.dropped_count - dropped)
            dropped = link.dropped_count
            async with asyncio.TaskGroup() as tasks:
                for message in messages:
                    tasks.create_task(self._take(link, message), name="mqtt-batch")
            # In the order in which they came (MQTT 5.0, 4.6).
            link.acknowledge(messages)

    async def _take(self, link: MqttSession, message: Message) -> None:
        topics = topics_of(message.topic, prefix=self._settings.topic_prefix)
        if topics is None:
            return
        if message.topic == topics.state:
            self._note_state(topics.gateway, message)
        elif topics.may_answer_on(message.properties.response_topic):
            await self._answer(link, message, await self._taken(topics.gateway, message))
        else:
            # Nobody would hear what is wrong with it.
            self._reception.metrics.refused(400)

    async def _taken(self, gateway: str, message: Message) -> Accepted | Refusal:
        """Take a batch and return what is said to it."""
        reception = self._reception
        try:
            self._check(gateway, message)
            return await take_batch(
                message.payload,
                gateway=gateway,
                ingest=reception.ingest,
                metrics=reception.metrics,
            )
        except ProblemError as error:
            status, remedy, problem = error.status, error.remedy, str(error)
        except GatewayError as error:
            (status, remedy), problem = meaning(error), str(error)
        reception.metrics.refused(status)
        return Refusal(
            error=problem,
            remedy=remedy,
            code=status,
            retry_after_s=RETRY_AFTER_S if status == 503 else None,
        )

    def _check(self, gateway: str, message: Message) -> None:
        """Look at who sends it, and how much.

        Raises:
            ProblemError: it is not taken.
        """
        reception = self._reception
        if self._settings.identity == "token":
            caller = reception.tokens.owner(message.properties.of_user(TOKEN_PROPERTY))
            if caller is None:
                raise ProblemError(
                    401, "the token is missing or unknown", f"send it as `{TOKEN_PROPERTY}`"
                )
            if caller.gateway != gateway:
                raise ProblemError(
                    403, "the token is not that of this gateway", "one token for each gateway"
                )
        elif gateway not in reception.gateways:
            raise ProblemError(403, "the gateway is unknown", "add it to the cloud's `gateways`")
        if len(message.payload) > reception.batch_size_bytes_max:
            raise ProblemError(
                413,
                f"the batch is larger than {reception.batch_size_bytes_max} bytes",
                "send less at once",
            )

    async def _answer(self, link: MqttSession, message: Message, said: Accepted | Refusal) -> None:
        """Publish an answer; one that does not get out is as good as lost on the way."""
        try:
            publication = await link.publish(
                message.properties.response_topic,
                said.model_dump_json().encode(),
                qos=1,
                properties=MessageProperties(
                    correlation=message.properties.correlation,
                    content_type="application/json",
                    expiry_s=ANSWER_EXPIRY_S,
                ),
            )
        except BrokerError:
            self._reception.metrics.lost_answer()
            return
        if not publication.is_taken or not publication.has_subscribers:
            self._reception.metrics.lost_answer()

    def _note_state(self, gateway: str, message: Message) -> None:
        if gateway not in self._reception.gateways:
            return
        try:
            state = decode_state(message.payload)
        except CorruptRecordError as error:
            log.warning("state_unreadable", stage="receiving", gateway=gateway, reason=str(error))
            return
        self._reception.presence.note(gateway, is_online=state.is_online)

    def _broker(self) -> Broker:
        settings = self._settings
        host, port = host_and_port(settings.broker)
        return Broker(
            host=host,
            port=port,
            version=MqttVersion.V5,
            tls=self._tls,
            user=settings.user,
            password=self._password,
            client_id=settings.client_id,
            session_expiry_s=0,
            keep_alive_s=settings.keep_alive_s,
            timeout_s=settings.timeout_s,
            receive_max=settings.receive_max,
            queue_messages_max=STATES_MAX,
            payload_bytes_max=BATCH_SIZE_BYTES_MAX,
        )

    def _found(self) -> None:
        """Tell once that batches come in."""
        now_ns = self._clock.monotonic_ns()
        self._backoff.succeeded(now_ns=now_ns)
        down_s = 0.0 if self._lost_ns is None else (now_ns - self._lost_ns) / 1e9
        self._lost_ns = None
        log.info("broker_connected", broker=self._settings.broker, down_s=round(down_s, 1))

    def _lost(self, error: BrokerError) -> None:
        """Tell once that none come."""
        if self._lost_ns is None:
            self._lost_ns = self._clock.monotonic_ns()
            log.error(
                "broker_lost",
                stage="receiving",
                broker=self._settings.broker,
                reason=f"{error.text}. {error.check} ({error.detail})",
            )
