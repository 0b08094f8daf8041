"""One session of the MQTT connector: subscriptions, readings, silence, and the end.

Theory. Messages that wait are taken together, become one frame, and are acknowledged when the
sink has that frame: a full log holds the broker back, and what a broken session left in between
comes again in the next one. Then it is dropped if the sink had it already: a repetition has the
same packet identifier, topic and payload (`HandedOver`).

A message that cannot be used makes its own tag Bad, once, in a frame that is ours; the tag is Good
again with its next reading.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

import numpy as np
import structlog
from paho.mqtt.client import topic_matches_sub

from connectors.cancellation import CancellationFirst
from connectors.columns import Columns, LastKnown
from connectors.messages import device_error
from connectors.mqtt.broker import lost_broker
from connectors.mqtt.json_message import Flaw, Reading, parse_payload, pointer_text, read_places
from connectors.mqtt.tags import VALUE_MARK, MqttRow
from connectors.news import News
from connectors.outbox import Outbox
from connectors.read_back import ReadBacks
from gateway.core.arrays import FloatArray, IndexArray
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status
from gateway.wire.broker import Broker
from gateway.wire.broker_error import BrokerError
from gateway.wire.mqtt import Message, MqttSession

TICK_S = 1.0
"""Silence and held-back news are looked at this often."""
TOPICS_REMEMBERED_MAX = 10_000
FILTERS_PER_REQUEST = 200
"""A SUBSCRIBE is kept below what small brokers take."""
FLAW_SEVERITY = 400
DROPPED_SEVERITY = 500
SILENT_SEVERITY = 300
NAMES_SHOWN_MAX = 5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a session needs beside its rows."""

    name: str
    """Of the connector."""
    device: str
    """Name and address, for messages."""
    broker: Broker
    sink: Sink
    indices: IndexArray
    """Position in the tag table of each row's tag."""
    silence_s_max: FloatArray
    """Longest silence of each row's tag; infinite where it may be silent for ever."""
    read_back_s: float
    stop_s: float
    clock: Clock


class HandedOver:
    """Remembers which messages the sink has, for as long as the broker may repeat them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._content_by_id: dict[int, int] = {}

    def note(self, message: Message) -> None:
        """Note a message that the sink has; its packet identifier makes room for itself."""
        if message.qos:
            self._content_by_id[message.packet_id] = hash((message.topic, message.payload))

    def has(self, message: Message) -> bool:
        """Tell whether this is a repetition of a message that the sink has."""
        content = hash((message.topic, message.payload))
        return message.is_repeated and self._content_by_id.get(message.packet_id) == content

    def forget(self) -> None:
        """Forget all: the broker has begun a new session, with new packet identifiers."""
        self._content_by_id.clear()


class MqttReceiver:
    """Runs one session."""

    def __init__(
        self, rows: Sequence[MqttRow], around: Surroundings, handed_over: HandedOver
    ) -> None:
        """Begin unconnected; needs a running loop."""
        self._rows = rows
        self._around = around
        self._handed_over = handed_over
        self._link = MqttSession(around.broker, clock=around.clock)
        self._outbox = Outbox(around.sink)
        self._columns = Columns(around.indices)
        self._known = LastKnown(around.indices, clock=around.clock)
        self._news = News(around.sink, source=around.name, clock=around.clock)
        self._is_flawed = np.zeros(len(rows), dtype=np.bool_)
        self._is_silent = np.zeros(len(rows), dtype=np.bool_)
        self._unacknowledged: list[Message] = []
        """Those whose readings are in the outbox, or just left it."""
        self._read_backs = ReadBacks()
        self._positions_of = lru_cache(TOPICS_REMEMBERED_MAX)(self._find_positions)
        self._dropped_told = 0
        self._last_received_ns: int | None = None
        self.is_connected = False
        """Whether it can write."""
        self.repeated_count = 0
        """Messages that the broker repeated, and the sink had."""

    @property
    def certificate_expires_ns(self) -> int | None:
        """When the broker's certificate expires, UTC."""
        return self._link.certificate_expires_ns

    async def run(self, cancellation: CancellationFirst) -> NoReturn:
        """Connect, and hand on readings until cancelled.

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
                    self._news.close()
        except BrokerError as error:
            lost = lost_broker(self._around.device, error, since_ns=self._last_received_ns)
            self._read_backs.lose(lost)
            raise lost from error

    async def write(self, position: int, raw: float) -> float:
        """Publish a value and return what the device then reports, both as the device writes it.

        Raises:
            DeviceError: the session is lost, or the device reports nothing in time.
        """
        row = self._rows[position]
        payload = row.write_payload.replace(VALUE_MARK, _number_text(raw)).encode()
        with self._read_backs.expected(position, raw) as waiting:
            try:
                await self._link.publish(row.write_topic, payload, qos=1)
            except BrokerError as error:
                raise lost_broker(
                    self._around.device, error, since_ns=self._last_received_ns
                ) from error
            found = await waiting.result(wait_s=self._around.read_back_s)
        if found is None:
            raise device_error(
                self._around.device,
                f"does not confirm a write to {row.entry.name}",
                check=f"Check that it listens to {row.write_topic!r} and reports on {row.topic!r}.",
                expert=f"no message within {self._around.read_back_s:g} s",
            )
        return found

    async def _begin(self) -> None:
        """Subscribe to every topic of the rows."""
        if not self._link.is_resumed:
            self._handed_over.forget()
        filters = list(dict.fromkeys(row.topic for row in self._rows))
        refusals: dict[str, str] = {}
        for begin in range(0, len(filters), FILTERS_PER_REQUEST):
            part = filters[begin : begin + FILTERS_PER_REQUEST]
            answers = await self._link.subscribe(part, qos=1)
            refusals |= {each: why for each, why in zip(part, answers, strict=True) if why}
        self.is_connected = True
        self._around.sink.connected()
        for position, row in enumerate(self._rows):
            if row.topic in refusals:
                reason = f"the broker refuses the topic: {refusals[row.topic]}"
                self._note_flaw(position, Flaw(status=Status.BAD_NODE_ID_UNKNOWN, reason=reason))

    async def _deliver(self) -> NoReturn:
        """Hand on what comes; look for silence now and then."""
        shortest_s = float(self._around.silence_s_max.min(initial=TICK_S))
        tick_s = min(TICK_S, shortest_s / 2)
        while True:
            await self._outbox.flush()
            await self._link.more(wait_s=tick_s)
            await self._hand_on()
            self._state_silence()
            self._tell_dropped()
            self._news.flush()

    async def _hand_on(self) -> None:
        """Hand on all that waits, and acknowledge it when the sink has it."""
        messages = self._link.take()
        self._sort_in(messages)
        self._unacknowledged += messages
        await self._outbox.flush()
        for message in self._unacknowledged:
            self._handed_over.note(message)
        self._link.acknowledge(self._unacknowledged)
        self._unacknowledged.clear()

    async def _finish(self) -> None:
        """Hand on what has come; the rest is not acknowledged, and comes again."""
        try:
            async with asyncio.timeout(self._around.stop_s):
                await self._hand_on()
        except TimeoutError:
            log.warning(
                "received_samples_left_to_the_broker",
                device=self._around.device,
                count=self._outbox.sample_count,
                stage="receiving",
            )

    def _sort_in(self, messages: Sequence[Message]) -> None:
        """Put the readings of all messages into one frame; flaws keep their place between them."""
        for message in messages:
            self._last_received_ns = message.received_ns
            if self._handed_over.has(message):
                self.repeated_count += 1
                continue
            document = parse_payload(message.payload)
            for position in self._positions_of(message.topic):
                if isinstance(document, Flaw):
                    self._note_flaw(position, document)
                    continue
                reading = read_places(document, self._rows[position].places)
                if isinstance(reading, Flaw):
                    self._note_flaw(position, reading)
                else:
                    self._add(position, reading, message)
        self._outbox.put(*self._columns.take())

    def _add(self, position: int, reading: Reading, message: Message) -> None:
        status = reading.status
        if message.is_retained and reading.time_ns is None and status < Status.UNCERTAIN:
            # The broker kept it for nobody knows how long: true once, but no news.
            status = Status.UNCERTAIN_LAST_USABLE_VALUE
        if reading.time_flaw:
            self._news.tell(
                "time_unusable",
                self._rows[position].entry.name,
                f"{self._name_of(position)}: {reading.time_flaw}; the time of arrival stands",
                severity=FLAW_SEVERITY,
            )
        self._columns.add(
            position,
            time_ns=reading.time_ns,
            value=reading.value,
            status=status,
            received_ns=message.received_ns,
            arrival_ns=message.arrival_ns,
        )
        self._known.note(position, reading.value, arrival_ns=message.arrival_ns)
        self._is_flawed[position] = self._is_silent[position] = False
        if status < Status.BAD:
            self._read_backs.note(position, reading.value)

    def _note_flaw(self, position: int, flaw: Flaw) -> None:
        """Make a tag Bad, once; what came before it goes before it."""
        self._news.tell(
            "message_unusable",
            self._rows[position].entry.name,
            f"{self._name_of(position)} has no value: {flaw.reason}",
            severity=FLAW_SEVERITY,
        )
        if not self._is_flawed[position]:
            self._is_flawed[position] = True
            self._outbox.put(*self._columns.take())
            self._outbox.put(self._known.bad(position, flaw.status))

    def _state_silence(self) -> None:
        """State once of each tag that it has been silent for too long; a Bad one stays Bad."""
        is_over = self._known.silence_s() > self._around.silence_s_max
        news = np.flatnonzero(is_over & ~self._is_silent & ~self._is_flawed)
        if not len(news):
            return
        self._is_silent[news] = True
        self._outbox.put(self._known.stale([int(position) for position in news]))
        names = ", ".join(self._rows[position].entry.name for position in news[:NAMES_SHOWN_MAX])
        others = "" if len(news) <= NAMES_SHOWN_MAX else f" and {len(news) - NAMES_SHOWN_MAX} more"
        self._news.tell(
            "tags_silent",
            "",
            f"{self._around.name}: nothing was heard of {names}{others} for "
            f"{float(self._around.silence_s_max[news].min()):g} s",
            severity=SILENT_SEVERITY,
        )

    def _tell_dropped(self) -> None:
        count = self._link.dropped_count - self._dropped_told
        if count:
            self._dropped_told += count
            self._news.tell(
                "messages_dropped",
                "",
                f"{self._around.name}: {count} messages were dropped: too many waited, or they "
                f"were too long; {self._link.dropped_count} since it is connected",
                severity=DROPPED_SEVERITY,
            )

    def _find_positions(self, topic: str) -> tuple[int, ...]:
        return tuple(
            position
            for position, row in enumerate(self._rows)
            if row.topic == topic or topic_matches_sub(row.topic, topic)
        )

    def _name_of(self, position: int) -> str:
        row = self._rows[position]
        return f"{self._around.name}.{row.entry.name} ({row.topic}{pointer_text(row.places.value)})"


def _number_text(raw: float) -> str:
    """Return a number as JSON; a whole one without a point, which simple devices stumble over."""
    return json.dumps(int(raw) if raw.is_integer() and abs(raw) < 1 << 53 else raw)
