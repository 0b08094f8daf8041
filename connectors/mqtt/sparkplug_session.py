"""One session of the Sparkplug connector: births, reports, deaths, requests, and the end."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn, assert_never

import structlog

from connectors.cancellation import CancellationFirst
from connectors.messages import device_error
from connectors.mqtt.broker import BrokerAccess, lost_broker
from connectors.mqtt.sparkplug_host import (
    Arrived,
    Born,
    Died,
    EdgeNode,
    Outcome,
    Report,
    WantRebirth,
)
from connectors.mqtt.sparkplug_samples import NodeKey, SampleBook
from connectors.mqtt.sparkplug_tags import SparkplugRow
from connectors.news import News
from connectors.text_watch import TextWatch
from gateway.core.arrays import IndexArray
from gateway.core.errors import CommandError
from gateway.core.ports import Clock, Sink
from gateway.wire.broker import Will
from gateway.wire.broker_error import BrokerError
from gateway.wire.mqtt import Message, MqttSession
from gateway.wire.sparkplug import (
    NAMESPACE,
    REBIRTH,
    Address,
    DataType,
    Metric,
    Payload,
    Verb,
    decode_payload,
    encode_payload,
    number_of,
    parse_topic,
    wire_value,
)

TICK_S = 1.0
"""Deadlines are looked at this often, or more often where they are shorter."""
FLAW_SEVERITY = 400
DROPPED_SEVERITY = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a session needs beside its rows."""

    name: str
    """Of the connector."""
    device: str
    """Name and address, for messages."""
    access: BrokerAccess
    host_id: str
    """Under which our STATE is published; empty publishes none."""
    sink: Sink
    indices: IndexArray
    """Position in the tag table of each row's tag."""
    texts: TextWatch
    reorder_s: float
    rebirth_s: float
    birth_s: float
    read_back_s: float
    stop_s: float
    clock: Clock


class SparkplugReceiver:
    """Runs one session."""

    def __init__(self, rows: Sequence[SparkplugRow], around: Surroundings) -> None:
        """Begin unconnected; needs a running loop."""
        self._rows = rows
        self._around = around
        self._nodes: dict[NodeKey, EdgeNode] = {
            (row.place.group, row.place.edge_node): EdgeNode(
                reorder_s=around.reorder_s, rebirth_s=around.rebirth_s
            )
            for row in rows
        }
        self._unborn = set(self._nodes)
        """Nodes whose first birth is still waited for."""
        # tck-id-host-topic-phid-birth-payload-timestamp: will and birth have the same time.
        self._online = _state(is_online=True, time_ms=around.clock.now_ns() // 1_000_000)
        will = None
        if around.host_id:
            offline = self._online.replace(b"true", b"false")
            will = Will(topic=self._state_topic, payload=offline)
        broker = around.access.broker(session_expiry_s=0, will=will)
        self._link = MqttSession(broker, clock=around.clock)
        self._news = News(around.sink, source=around.name, clock=around.clock)
        self._book = SampleBook(
            around.name,
            rows,
            sink=around.sink,
            indices=around.indices,
            news=self._news,
            texts=around.texts,
            clock=around.clock,
        )
        self._wishes: dict[NodeKey, str] = {}
        self._must_claim_state = False
        self._dropped_told = 0
        self._last_received_ns: int | None = None
        self.is_connected = False
        """Whether it can write."""

    @property
    def certificate_expires_ns(self) -> int | None:
        """When the broker's certificate expires, UTC."""
        return self._link.certificate_expires_ns

    async def run(self, cancellation: CancellationFirst) -> NoReturn:
        """Connect, and hand on reports until cancelled.

        Raises:
            DeviceError: the session cannot be made, or is lost.
        """
        try:
            async with self._link:
                try:
                    await self._begin()
                    cancellation.check()
                    await self._deliver()
                except asyncio.CancelledError:
                    await self._finish()
                    raise
                finally:
                    self.is_connected = False
                    await self._release()
                    self._news.close()
        except BrokerError as error:
            lost = lost_broker(self._around.device, error, since_ns=self._last_received_ns)
            self._book.read_backs.lose(lost)
            raise lost from error

    async def write(self, position: int, raw: float) -> float:
        """Send a command and return what the metric then reports.

        Raises:
            CommandError: the metric's datatype cannot hold the value.
            DeviceError: the metric is not there, the session is lost, or nothing is reported.
        """
        place = self._rows[position].place
        node = self._nodes[place.group, place.edge_node]
        definition = node.definitions.get((place.device, place.metric))
        if definition is None or not node.is_born:
            raise device_error(
                self._around.device,
                f"knows no metric {place} that could be written",
                check="Check that its edge node is online.",
                expert="no birth has named it",
            )
        try:
            value = wire_value(raw, definition.datatype)
        except ValueError as error:
            raise CommandError(f"{place}: {error}") from error
        now_ms = self._around.clock.now_ns() // 1_000_000
        metric = Metric(
            # tck-id-payloads-alias-data-cmd-requirement: either, never both. The datatype should
            # not be there, but Tahu's own JavaScript client reads no value without it.
            name="" if definition.alias is not None else place.metric,
            alias=definition.alias,
            time_ms=now_ms,
            datatype=definition.datatype,
            value=value,
        )
        address = Address(
            group=place.group,
            verb=Verb.DCMD if place.device else Verb.NCMD,
            edge_node=place.edge_node,
            device=place.device,
        )
        payload = encode_payload(Payload(time_ms=now_ms, metrics=(metric,)))
        expected = number_of(value, definition.datatype)
        with self._book.read_backs.expected(position, expected) as waiting:
            try:
                await self._link.publish(address.topic, payload, qos=0)
            except BrokerError as error:
                raise lost_broker(
                    self._around.device, error, since_ns=self._last_received_ns
                ) from error
            found = await waiting.result(wait_s=self._around.read_back_s)
        if found is None:
            raise device_error(
                self._around.device,
                f"does not confirm a write to {place}",
                check="Check that the edge node takes commands for it.",
                expert=f"no report within {self._around.read_back_s:g} s of {address.topic}",
            )
        return found

    @property
    def _state_topic(self) -> str:
        return f"{NAMESPACE}/STATE/{self._around.host_id}"

    @property
    def _filters(self) -> list[str]:
        """The topics of all nodes: `#` stands for their devices and for nothing, too."""
        filters = [f"{NAMESPACE}/{group}/+/{node}/#" for group, node in self._nodes]
        return filters + ([self._state_topic] if self._around.host_id else [])

    async def _begin(self) -> None:
        """Subscribe, say that we are there, and ask every node for its birth."""
        filters = self._filters
        answers = await self._link.subscribe(filters, qos=1)
        refused = [each for each, why in zip(filters, answers, strict=True) if why]
        if refused:
            raise BrokerError(
                f"refuses the topic {refused[0]!r}",
                check="Let the broker allow it.",
                detail=", ".join(filter(None, answers)),
            )
        if self._around.host_id:
            # tck-id-host-topic-phid-birth-message: before anything else that is published.
            await self._claim_state()
        self.is_connected = True
        self._around.sink.connected()
        for key, node in self._nodes.items():
            self._apply(key, node.ask("we have just come", self._around.clock.monotonic_ns()))
        await self._send_wishes()

    async def _deliver(self) -> NoReturn:
        """Hand on what comes; look at deadlines now and then."""
        around = self._around
        tick_s = min(TICK_S, max(around.reorder_s / 2, 0.01), around.birth_s / 2)
        begun_ns = around.clock.monotonic_ns()
        while True:
            await self._book.flush()
            await self._link.more(wait_s=tick_s)
            messages = self._link.take()
            self._sort_in(messages)
            now_ns = around.clock.monotonic_ns()
            for key, node in self._nodes.items():
                self._apply(key, node.tick(now_ns))
            if self._unborn and now_ns - begun_ns > around.birth_s * 1e9:
                for key in sorted(self._unborn):
                    self._book.missed(key, birth_s=around.birth_s)
                self._unborn.clear()
            await self._book.flush()
            self._link.acknowledge(messages)
            await self._send_wishes()
            self._tell_dropped()
            self._news.flush()

    async def _finish(self) -> None:
        """Hand on all that the broker has sent, and say good-bye."""
        try:
            async with asyncio.timeout(self._around.stop_s):
                await self._link.unsubscribe(self._filters)
                if self._around.host_id:
                    now_ms = self._around.clock.now_ns() // 1_000_000
                    await self._link.publish(
                        self._state_topic,
                        _state(is_online=False, time_ms=now_ms),
                        qos=1,
                        is_retained=True,
                    )
        except (TimeoutError, BrokerError) as error:
            log.warning("unsubscribe_failed", device=self._around.device, reason=repr(error))

    async def _release(self) -> None:
        """Hand on what has come, and what waited for its order: the session is over."""
        self._sort_in(self._link.take())
        end_ns = self._around.clock.monotonic_ns() + round((self._around.reorder_s + 1) * 1e9)
        for key, node in self._nodes.items():
            self._apply(key, node.tick(end_ns))
        try:
            async with asyncio.timeout(self._around.stop_s):
                await self._book.flush()
        except TimeoutError:
            log.error(
                "received_samples_dropped",
                device=self._around.device,
                count=self._book.sample_count,
                stage="receiving",
            )

    async def _claim_state(self) -> None:
        self._must_claim_state = False
        await self._link.publish(self._state_topic, self._online, qos=1, is_retained=True)

    async def _send_wishes(self) -> None:
        """Send the requests for births, and our state where somebody has denied it."""
        if self._must_claim_state:
            await self._claim_state()
        wishes, self._wishes = self._wishes, {}
        for (group, edge_node), reason in wishes.items():
            log.info("rebirth_asked", device=self._around.device, edge_node=edge_node, why=reason)
            now_ms = self._around.clock.now_ns() // 1_000_000
            # tck-id-operational-behavior-data-commands-ncmd-rebirth-name: never by an alias.
            metric = Metric(name=REBIRTH, time_ms=now_ms, datatype=DataType.BOOLEAN, value=True)
            address = Address(group=group, verb=Verb.NCMD, edge_node=edge_node)
            payload = encode_payload(Payload(time_ms=now_ms, metrics=(metric,)))
            await self._link.publish(address.topic, payload, qos=0)

    def _sort_in(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._last_received_ns = message.received_ns
            address = parse_topic(message.topic)
            if address is None:
                self._look_at_state(message)
                continue
            key = (address.group, address.edge_node)
            if key not in self._nodes:
                continue
            try:
                payload = decode_payload(message.payload)
            except ValueError as error:
                text = f"{self._around.name}: {message.topic} cannot be read: {error}"
                self._news.tell("message_unusable", "/".join(key), text, severity=FLAW_SEVERITY)
                continue
            arrived = Arrived(
                address=address,
                payload=payload,
                received_ns=message.received_ns,
                arrival_ns=message.arrival_ns,
            )
            self._apply(key, self._nodes[key].take(arrived))

    def _look_at_state(self, message: Message) -> None:
        """See whether a message denies that we are here; then we say it again."""
        # tck-id-message-flow-hid-sparkplug-state-message-delivered
        if self._around.host_id and message.topic == self._state_topic:
            try:
                state = json.loads(message.payload)
            except ValueError:
                state = None
            if isinstance(state, dict) and state.get("online") is False:
                self._must_claim_state = True

    def _apply(self, key: NodeKey, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Report():
                    self._book.report(key, outcome)
                case Born():
                    self._unborn.discard(key)
                    self._book.born(key, outcome)
                case Died():
                    self._book.died(key, outcome)
                case WantRebirth():
                    self._wishes[key] = outcome.reason
                case _:
                    assert_never(outcome)

    def _tell_dropped(self) -> None:
        count = self._link.dropped_count - self._dropped_told
        if count:
            self._dropped_told += count
            text = f"{self._around.name}: {count} messages were dropped: too many, or too long"
            self._news.tell("messages_dropped", "", text, severity=DROPPED_SEVERITY)


def _state(*, is_online: bool, time_ms: int) -> bytes:
    """Return a STATE message (tck-id-host-topic-phid-birth-payload)."""
    return json.dumps({"online": is_online, "timestamp": time_ms}).encode()
