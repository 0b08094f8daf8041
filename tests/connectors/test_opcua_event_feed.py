"""Alarms and events of real servers: asyncua's events, node-opcua's exclusive limit alarm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from connectors.opcua.connector import OpcuaConnector
from gateway.core.events import Event, Transition
from gateway.wire.clock import SystemClock
from tests.connectors.contract import failure_of, running
from tests.connectors.opcua_peer import PeerPlant, opened_peer
from tests.connectors.opcua_plant import OpcuaPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import Wire, until
from tests.interop.peers import needs_node

RAISED, RETURNED = Transition.RAISED, Transition.RETURNED
ACKNOWLEDGED = Transition.ACKNOWLEDGED


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[OpcuaPlant]:
    async with Wire() as wire:
        plant = OpcuaPlant(tmp_path, wire)
        await plant.start_server()
        yield plant
        await plant.stop_server()


async def test_events_of_asyncua(plant: OpcuaPlant) -> None:
    """Also of a type that the server made up; values go on beside them, and both decoders agree."""
    assert plant.server is not None
    own = await plant.server.create_custom_event_type(2, "PumpTrippedEventType")
    generators = [
        await plant.server.get_event_generator(kind, ua.NodeId(ua.Int32(ObjectIds.Server)))
        for kind in (ua.NodeId(ua.Int32(ObjectIds.BaseEventType)), own)
    ]
    plant.connector = plant.connector_with(events={"severity_min": 100})
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="values")
        for number, generator in enumerate(generators):
            generator.event.Severity = 300 + number
            generator.event.SourceName = "P101"
            await generator.trigger(message=f"Message {number}")
            generator.event.Severity = 99
            await generator.trigger(message="Not worth it")
        await until(lambda: len(sink.events) >= 2, what="events")
        before = len(sink.received)
        await until(lambda: len(sink.received) > before + 2, what="values after the events")
    assert [(each.source, each.condition, each.severity, each.text) for each in sink.events] == [
        ("pumps/P101", "base_event", 300, "Message 0"),
        ("pumps/P101", "pump_tripped_event", 301, "Message 1"),
    ]
    assert all(each.transition is Transition.NOTED for each in sink.events)


async def test_a_node_without_events_is_told_and_stops_nothing(plant: OpcuaPlant) -> None:
    plant.connector = plant.connector_with(
        events={"nodes": ["i=2253", "ns=2;s=Nothing", "nsu=urn:other;s=x"]}
    )
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) > 2, what="values")
    assert [each.condition for each in sink.events] == ["events_refused"] * 2
    assert "ns=2;s=Nothing" in sink.events[0].text


class HurriedClock:
    """Runs twenty times faster than the clock on the wall."""

    def __init__(self) -> None:
        self._clock = SystemClock()

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def monotonic_ns(self) -> int:
        return 20 * self._clock.monotonic_ns()

    @property
    def is_trusted(self) -> bool:
        return True


async def test_a_flood_is_bounded_and_told(plant: OpcuaPlant) -> None:
    """Ten seconds' worth is taken, the rest is one event with their number."""
    assert plant.server is not None
    generator = await plant.server.get_event_generator()
    config = plant.connector_config(
        events={"per_second_max": 1}, keep_alive_s=0.2, silence_s_max=7200
    )
    plant.connector = OpcuaConnector(
        "pumps",
        config,
        folder=plant.folder,
        state_folder=plant.folder / "state",
        clock=HurriedClock(),
    )
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="values")
        await asyncio.gather(*(generator.trigger(message=f"{number}") for number in range(40)))
        await until(
            lambda: any(each.condition == "events_dropped" for each in sink.events), what="a count"
        )
    taken = [each for each in sink.events if each.condition == "base_event"]
    [dropped] = [each for each in sink.events if each.condition == "events_dropped"]
    assert len(taken) % 10 == 0
    assert f"{40 - len(taken)} events of the server were not taken" in dropped.text


@asynccontextmanager
async def operator_of(plant: PeerPlant) -> AsyncIterator[Client]:
    """Give a person's own connection to the server, whatever becomes of the connector's."""
    async with Client(f"opc.tcp://127.0.0.1:{plant.wire.target_port}", timeout=10) as client:
        yield client


async def set_level(client: Client, value: float) -> None:
    pump, method = client.get_node("ns=1;s=P101"), client.get_node("ns=1;s=P101.SetLevel")
    await pump.call_method(method.nodeid, ua.Variant(value, ua.VariantType.Double))


async def acknowledge(client: Client) -> None:
    """Acknowledge the alarm as it is now."""
    alarm = client.get_node("ns=1;s=P101.LevelAlarm")
    event_id = await (await alarm.get_child("0:EventId")).read_value()
    method = ua.NodeId(ua.Int32(ObjectIds.AcknowledgeableConditionType_Acknowledge))
    await alarm.call_method(method, event_id, ua.LocalizedText("seen"))


def of_alarm(sink: KeepingSink) -> list[Event]:
    return [each for each in sink.events if each.condition == "level_high"]


@needs_node
async def test_the_alarm_of_node_opcua_over_losses_and_restarts(tmp_path: Path) -> None:
    """Raised, worse, acknowledged, returned; after a loss or a restart nothing is twice.

    What happens while nobody listens is told after the refresh.
    """
    async with (
        opened_peer(tmp_path, policies="None", modes="None") as plant,
        operator_of(plant) as operator,
    ):
        settings = {"security": "None", "trust": "folder", "events": {}}
        plant.connector = plant.connector_with(**settings)
        sink = KeepingSink()

        async def hears(*transitions: Transition) -> None:
            await until(lambda: len(of_alarm(sink)) >= len(transitions), what=f"{transitions}")
            assert tuple(each.transition for each in of_alarm(sink)) == transitions

        async with running(plant, sink) as task:
            await until(lambda: bool(sink.received), what="values")
            await set_level(operator, 85.0)
            await hears(RAISED)
            await set_level(operator, 97.0)
            await hears(RAISED, RAISED)
            await acknowledge(operator)
            await hears(RAISED, RAISED, ACKNOWLEDGED)
            plant.wire.cut()
            await failure_of(task)
        assert "HighHigh" in of_alarm(sink)[1].text
        assert {each.source for each in of_alarm(sink)} == {"pumps/1:Level"}
        await set_level(operator, 50.0)
        async with running(plant, sink) as task:
            await hears(RAISED, RAISED, ACKNOWLEDGED, RETURNED)
            await set_level(operator, 85.0)
            await hears(RAISED, RAISED, ACKNOWLEDGED, RETURNED, RAISED)
            plant.wire.cut()
            await failure_of(task)
        before = of_alarm(sink)
        async with running(plant, sink):
            await set_level(operator, 50.0)
            await hears(RAISED, RAISED, ACKNOWLEDGED, RETURNED, RAISED, RETURNED)
            await set_level(operator, 90.0)
            await until(lambda: of_alarm(sink)[-1].transition is RAISED, what="the alarm")
        raised, sink = of_alarm(sink)[-1], KeepingSink()
        plant.connector = plant.connector_with(**settings)
        async with running(plant, sink):
            await until(lambda: bool(of_alarm(sink)), what="the alarm after a restart")
        assert before[-1].id != raised.id
        assert [each.id for each in of_alarm(sink)] == [raised.id]


async def test_a_lost_subscription_of_events_is_made_anew_once(plant: OpcuaPlant) -> None:
    """Values go on meanwhile; a server that ends it again at once is no longer asked."""
    assert plant.server is not None
    base, server = (
        ua.NodeId(ua.Int32(number)) for number in (ObjectIds.BaseEventType, ObjectIds.Server)
    )
    generator = await plant.server.get_event_generator(base, server)
    service = plant.server.iserver.subscription_service
    plant.connector = plant.connector_with(
        events={}, groups={"fast": {}}, keep_alive_s=0.3, silence_s_max=1.0
    )
    sink = KeepingSink()

    def events_at_the_server() -> list[int]:
        return [
            number
            for number, each in service.subscriptions.items()
            if any(
                item.filter is not None and isinstance(item.filter, ua.EventFilter)
                for item in each.monitored_item_srv._monitored_items.values()
            )
        ]

    async with running(plant, sink):
        await until(lambda: bool(events_at_the_server()), what="a subscription of events")
        [first] = events_at_the_server()
        await service.delete_subscriptions([first])
        await until(lambda: events_at_the_server() not in ([], [first]), what="a new one")
        await generator.trigger(message="heard again")
        await until(lambda: any("heard again" in e.text for e in sink.events), what="the event")
        [second] = events_at_the_server()
        code = ua.StatusCode(ua.UInt32(StatusCodes.BadTimeout))
        await service.subscriptions[second].enqueue_statuschange(code)
        await generator.trigger(message="brings the end along")
        await until(
            lambda: any(e.condition == "events_refused" for e in sink.events), what="the end of it"
        )
        count = len(sink.received)
        await until(lambda: len(sink.received) > count + 2, what="values all the same")
    assert sink.connected_count == 1
