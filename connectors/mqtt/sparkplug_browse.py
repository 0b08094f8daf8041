"""Finds out which metrics the edge nodes behind a broker have, and writes them as a tag list."""

import asyncio
import csv
import io
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from connectors.mqtt.sparkplug_tags import MetricPlace
from gateway.core.ports import Clock
from gateway.wire.broker import Broker
from gateway.wire.mqtt import MqttSession
from gateway.wire.sparkplug import (
    BD_SEQ,
    NAMESPACE,
    REBIRTH,
    Address,
    DataType,
    Metric,
    Payload,
    Verb,
    decode_payload,
    encode_payload,
    parse_topic,
)

COLUMNS = ("tag", "group_id", "edge_node", "device", "metric", "unit", "low", "high", "writable")
CONTROL = "Node Control/"
"""Metrics that command the edge node itself; no tags."""
METRICS_MAX = 1_000_000
"""More are not collected: the list would be for nobody."""

_NOT_IN_A_NAME = re.compile(r"[^\w.\-\[\]:]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A metric that a birth has named."""

    place: MetricPlace
    datatype: DataType


async def browse(
    broker: Broker, *, group: str, wait_s: float, asks: bool, clock: Clock
) -> tuple[Found, ...]:
    """Return every metric that births name within some time, by its place.

    Births are not kept by the broker. An edge node that sends anything else is asked for its own,
    once; one that is silent all the time is not found.

    Args:
        broker: Where they speak.
        group: Whose edge nodes; `+` is every group.
        wait_s: How long to listen.
        asks: Whether edge nodes are asked at all.
        clock: Time.
    Raises:
        BrokerError: the broker cannot be reached, or is lost.
    """
    found: dict[MetricPlace, Found] = {}
    known: set[tuple[str, str]] = set()
    async with MqttSession(broker, clock=clock) as link:
        await link.subscribe([f"{NAMESPACE}/{group}/#"], qos=0)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while True:
                    await link.more(wait_s=wait_s)
                    messages = link.take()
                    link.acknowledge(messages)
                    for message in messages:
                        address = parse_topic(message.topic)
                        if address is None or address.verb in (Verb.NCMD, Verb.DCMD):
                            continue
                        if address.verb in (Verb.NBIRTH, Verb.DBIRTH) and len(found) < METRICS_MAX:
                            found |= _metrics_of(address, message.payload)
                        node = (address.group, address.edge_node)
                        if asks and address.verb is not Verb.NBIRTH and node not in known:
                            await _ask(link, node, clock)
                        known.add(node)
    return tuple(found[place] for place in sorted(found, key=str))


def tag_list(found: Iterable[Found]) -> str:
    """Return metrics as a tag list; what is no number and no text stands there as a comment."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    names: set[str] = set()
    for each in found:
        place = each.place
        if not (each.datatype.is_number or each.datatype.is_text):
            text.write(f"# {place}: {each.datatype.name} is not read\n")
            continue
        name = _tag_name((place.edge_node, place.device, place.metric), names)
        row = (name, place.group, place.edge_node, place.device, place.metric, "", "", "", "")
        writer.writerow(row)
    return text.getvalue()


def _metrics_of(address: Address, data: bytes) -> dict[MetricPlace, Found]:
    """Return what a birth names; nothing when it cannot be read."""
    try:
        payload = decode_payload(data)
    except ValueError:
        return {}
    places = {
        MetricPlace(
            group=address.group,
            edge_node=address.edge_node,
            device=address.device,
            metric=metric.name,
        ): metric.datatype
        for metric in payload.metrics
        if metric.name and metric.name != BD_SEQ and not metric.name.startswith(CONTROL)
    }
    return {place: Found(place=place, datatype=kind) for place, kind in places.items()}


async def _ask(link: MqttSession, node: tuple[str, str], clock: Clock) -> None:
    address = Address(group=node[0], verb=Verb.NCMD, edge_node=node[1])
    now_ms = clock.now_ns() // 1_000_000
    metric = Metric(name=REBIRTH, time_ms=now_ms, datatype=DataType.BOOLEAN, value=True)
    payload = encode_payload(Payload(time_ms=now_ms, metrics=(metric,)))
    await link.publish(address.topic, payload, qos=0)


def _tag_name(parts: Sequence[str], names: set[str]) -> str:
    """Return a name that a tag may have, and that no other one has."""
    joined = ".".join(filter(None, parts)).replace("/", ".")
    name = wanted = _NOT_IN_A_NAME.sub("_", joined)
    count = 1
    while name in names:
        count += 1
        name = f"{wanted}_{count}"
    names.add(name)
    return name
