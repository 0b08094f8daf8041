"""Polling an OPC UA server: alone, and beside subscriptions."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from pydantic import ValidationError

from connectors.opcua.connector import OpcuaConfig, OpcuaConnector, SubscriptionGroup
from gateway.core.arrays import index_column
from gateway.core.device_status import ConnectorReport
from gateway.core.quality import Status
from gateway.simulate.books import Service, read_offered
from gateway.simulate.plant_config import plant_nodes
from gateway.wire.clock import SystemClock
from tests.connectors.contract import ConnectorContract, failure_of, running
from tests.connectors.opcua_plant import PERIOD_S, OpcuaPlant, PolledPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.ua_values import data_value, status_code
from tests.connectors.wire import Wire, until, within
from tests.gateway.simulate_peers import offered, opcua_server


class TestPolledOpcua(ConnectorContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[PolledPlant]:
        async with Wire() as wire:
            plant = PolledPlant(folder, wire)
            await plant.start_server()
            yield plant
            await plant.stop_server()


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[PolledPlant]:
    async with TestPolledOpcua().opened(tmp_path) as plant:
        yield plant


@pytest.mark.parametrize("decode", ["columns", "library"])
async def test_polled_values_are_those_of_the_server(plant: PolledPlant, decode: str) -> None:
    """All that was offered is received, each value with the source's time."""
    plant.connector = plant.connector_with(decode=decode)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(plant.index("Flow"))) > 20, what="polls")
    values = sink.values_of(plant.index("Flow"))
    assert values == sorted(values)
    assert values[-1] > values[0]
    assert sink.sample_count == plant.offered_count()
    sink.assert_sound()


async def test_polls_and_subscriptions_share_a_session(plant: PolledPlant) -> None:
    """Two rates of polls beside two subscriptions; each tag comes by its own way only."""
    (plant.folder / "pumps.csv").write_text(
        "tag,node,group\nFlow,ns=2;s=P101.Flow,\nSpeed,ns=2;s=P101.Speed,slow\n"
        "Setpoint,ns=2;s=P101.Setpoint,quick\nVibration,ns=2;s=P101.Vibration,fast\n",
        encoding="utf-8",
    )
    plant.connector = OpcuaPlant.connector_with(
        plant,
        groups={
            "slow": {"read": "poll", "period_ms": 100},
            "quick": {"read": "poll", "period_ms": 20},
            "fast": {"sampling_ms": 10, "publishing_ms": 20},
        },
    )
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(plant.index("Speed"))) > 6, what="slow polls")
        assert len(plant.wire.downstream) == 1
    counts = {name: len(sink.values_of(plant.index(name))) for name in ("Speed", "Setpoint")}
    assert counts["Setpoint"] > 2 * counts["Speed"]
    for name in ("Flow", "Vibration"):
        values = sink.values_of(plant.index(name))
        assert values == [values[0] + step for step in range(len(values))]
    assert sink.connected_count == 1
    assert sink.frames_before_connected == 0


async def test_a_polled_node_that_appears_is_found(plant: PolledPlant) -> None:
    plant.connector = plant.connector_with(node_retry_s=1)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.stated), what="the Bad edge")
        assert plant.server is not None
        node_id = ua.NodeId.from_string("ns=2;s=P101.Nothing")
        await plant.server.nodes.objects.add_variable(node_id, "Nothing", 4.5)
        await until(lambda: bool(sink.values_of(plant.index("unknown"))), what="the value")
    assert set(sink.values_of(plant.index("unknown"))) == {4.5}
    assert len(sink.stated) == 1


async def test_a_bad_value_is_its_own_affair(plant: PolledPlant) -> None:
    """A status that is no refusal comes with every poll; the neighbours stay Good."""
    await plant.write("Setpoint", data_value(1.0, status=StatusCodes.BadSensorFailure))
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(plant.index("Setpoint"))) > 3, what="polls")
    statuses = {
        (int(index), int(status))
        for frame in sink.received
        for index, status in zip(frame.tag_index, frame.status, strict=True)
    }
    bad = {index for index, status in statuses if status == StatusCodes.BadSensorFailure}
    assert bad == {plant.index("Setpoint")}
    assert {status for index, status in statuses if index not in bad} == {0}


async def test_a_missing_namespace_of_a_polled_node(plant: PolledPlant) -> None:
    others = "other,nsu=urn:other;i=4\n"
    for lines, count in ((f"Flow,ns=2;s=P101.Flow\n{others}", 3), (others, 0)):
        (plant.folder / "pumps.csv").write_text(f"tag,node\n{lines}", encoding="utf-8")
        plant.connector = plant.connector_with(groups={})
        sink = KeepingSink()
        async with running(plant, sink):
            await until(
                lambda: len(sink.received) >= count and bool(sink.stated),  # noqa: B023
                what="frames",
            )
        assert [list(frame.status) for frame in sink.stated] == [[Status.BAD_NODE_ID_UNKNOWN]]
        assert sink.frames_before_connected == 0


@pytest.mark.parametrize("is_stated", [True, False])
async def test_many_polled_tags_need_several_reads(plant: PolledPlant, is_stated: bool) -> None:
    """A limit that the server states is kept; one that it does not state is found by halving."""
    limit, count = 40, 90
    assert plant.server is not None
    lines = ["tag,node"]
    for number in range(count):
        node_id = ua.NodeId.from_string(f"ns=2;s=T{number}")
        await plant.server.nodes.objects.add_variable(node_id, f"T{number}", float(number))
        lines.append(f"T{number},ns=2;s=T{number}")
    (plant.folder / "pumps.csv").write_text("\n".join(lines), encoding="utf-8")
    if is_stated:
        stated = plant.server.get_node(
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead
        )
        await stated.write_value(ua.Variant(limit, ua.VariantType.UInt32))
    sizes = refuse_long_reads(plant.server, limit)
    plant.connector = plant.connector_with(groups={}, period_ms=100)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: sink.sample_count >= 3 * count, what="three scans")
    first = [sink.values_of(index)[0] for index in plant.indices]
    assert first == [float(number) for number in range(count)]
    refused = [size for size in sizes if size > limit]
    assert len(refused) == (0 if is_stated else 2)  # 90 and 45, and never again
    assert sink.sample_count == plant.offered_count()


def refuse_long_reads(server: Server, limit: int) -> list[int]:
    """Let the server refuse reads of more nodes; return the list of the sizes that it sees."""
    sizes: list[int] = []
    read = server.iserver.attribute_service.read

    def read_few(params: ua.ReadParameters) -> list[ua.DataValue]:
        sizes.append(len(params.NodesToRead))
        if sizes[-1] > limit:
            raise ServiceError(StatusCodes.BadTooManyOperations)
        return read(params)

    server.iserver.attribute_service.read = read_few  # type: ignore[method-assign]  # foreign
    return sizes


async def test_scans_that_find_no_time_are_told(plant: PolledPlant) -> None:
    """While the sink is full nothing is asked for, and nothing is queued."""
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) > 2, what="frames")
        sink.fill()
        before = sink.skipped_sample_count
        counted = plant.counted
        await until(lambda: plant.counted > counted + 0.4 / PERIOD_S, what="some periods")
        sink.drain()
        await until(lambda: sink.skipped_sample_count > before, what="skipped scans")
    assert sink.sample_count == plant.offered_count()


@pytest.mark.parametrize("room", [0, 1])
async def test_a_server_without_subscriptions_left_is_polled(plant: PolledPlant, room: int) -> None:
    """A group that gets none is polled as often as it would have been reported; told once."""
    assert plant.server is not None
    service = plant.server.iserver.subscription_service
    create = service.create_subscription
    made: list[float] = []

    async def create_few(*args: object, **named: object) -> object:
        if len(made) % 2 >= room:
            made.append(0.0)
            raise ServiceError(StatusCodes.BadTooManySubscriptions)
        made.append(1.0)
        return await create(*args, **named)  # type: ignore[arg-type]  # handed on as they come

    service.create_subscription = create_few  # type: ignore[assignment]  # a foreign server
    plant.connector = OpcuaPlant.connector_with(plant)
    sink = KeepingSink()
    for _ in range(2):
        sink.frames.clear()
        async with running(plant, sink):
            await until(lambda: len(sink.values_of(plant.index("Vibration"))) > 5, what="polls")
            await until(lambda: len(sink.values_of(plant.index("Flow"))) > 5, what="reports")
    [event] = [one for one in sink.events if one.condition == "monitored_items_ran_out"]
    assert f"for {6 if room == 0 else 1} of 6 tags" in event.text


@pytest.mark.parametrize("as_a_whole", [True, False])
async def test_items_that_run_out_are_polled(plant: PolledPlant, as_a_whole: bool) -> None:
    """Whether the server says so of the call or of each item; found with few calls."""
    room, count = 10, 40
    assert plant.server is not None
    lines = ["tag,node"]
    for number in range(count):
        node_id = ua.NodeId.from_string(f"ns=2;s=T{number}")
        await plant.server.nodes.objects.add_variable(node_id, f"T{number}", float(number))
        lines.append(f"T{number},ns=2;s=T{number}")
    (plant.folder / "pumps.csv").write_text("\n".join(lines), encoding="utf-8")
    calls = leave_room_for(plant.server, room, as_a_whole=as_a_whole)
    plant.connector = OpcuaPlant.connector_with(plant, groups={})
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(plant.indices[-1])) > 2, what="polls")
        await until(lambda: all(map(sink.values_of, plant.indices)), what="all values")
    counts = [len(sink.values_of(index)) for index in plant.indices]
    assert sum(one == 1 for one in counts) == room
    assert len(calls) <= 12
    [event] = sink.events
    assert event.condition == "monitored_items_ran_out"
    assert f"for {count - room} of {count} tags" in event.text


def leave_room_for(server: Server, room: int, *, as_a_whole: bool) -> list[int]:
    """Let the server have so many monitored items; return the list of the calls that it sees."""
    service = server.iserver.subscription_service
    create = service.create_monitored_items
    calls: list[int] = []
    left = room

    async def create_some(
        params: ua.CreateMonitoredItemsParameters,
    ) -> list[ua.MonitoredItemCreateResult]:
        nonlocal left
        calls.append(len(params.ItemsToCreate))
        if as_a_whole and calls[-1] > left:
            raise ServiceError(StatusCodes.BadTooManyMonitoredItems)
        refused = len(params.ItemsToCreate[left:])
        params.ItemsToCreate = params.ItemsToCreate[:left]
        left -= len(params.ItemsToCreate)
        results = await create(params) if params.ItemsToCreate else []
        code = status_code(StatusCodes.BadTooManyMonitoredItems)
        return results + [ua.MonitoredItemCreateResult(code) for _ in range(refused)]

    service.create_monitored_items = create_some  # type: ignore[method-assign]  # a foreign server
    return calls


async def test_a_read_that_is_refused_as_a_whole_ends_the_session(plant: PolledPlant) -> None:
    assert plant.server is not None
    sink = KeepingSink()
    async with running(plant, sink) as task:
        await until(lambda: len(sink.received) > 2, what="frames")

        def refuse(params: ua.ReadParameters) -> list[ua.DataValue]:
            del params
            raise ServiceError(StatusCodes.BadUserAccessDenied)

        service = plant.server.iserver.attribute_service
        service.read = refuse  # type: ignore[method-assign]  # a foreign server
        error = await failure_of(task)
    assert "refuses a read" in str(error)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"read": "poll", "sampling_ms": 100}, "sampling_ms means nothing"),
        ({"period_ms": 100}, "period_ms means nothing"),
        ({"read": "often"}, "subscribe"),
    ],
)
def test_rates_that_make_no_sense(group: dict[str, object], message: str) -> None:
    given = {"type": "opcua", "endpoint": "opc.tcp://h:4840", "security": "None", "tags": "p.csv"}
    with pytest.raises(ValidationError, match=message):
        SubscriptionGroup.model_validate(group)
    with pytest.raises(ValidationError, match=message):
        OpcuaConfig.model_validate(given | group)


async def test_the_books_of_polls_and_reports_are_equal(tmp_path: Path) -> None:
    """What the plant's server counts, in Reads and in notifications, is what was received."""
    nodes = ("Flow", "Speed", "SpeedSetpoint")
    lines = ["tag,node,group"]
    lines += [f"P101.{name},ns=2;s=P101.{name},{'' if name == 'Speed' else 'p'}" for name in nodes]
    (tmp_path / "pumps.csv").write_text("\n".join(lines), encoding="utf-8")
    async with opcua_server(tmp_path) as server:
        given = {
            "type": "opcua",
            "endpoint": server.endpoint,
            "security": "None",
            "tags": "pumps.csv",
            "sampling_ms": 10,
            "publishing_ms": 30,
            "groups": {"p": {"read": "poll", "period_ms": 20}},
            "timeout_s": 15,
        }
        connector = OpcuaConnector(
            "pumps",
            OpcuaConfig.model_validate(given),
            folder=tmp_path,
            state_folder=tmp_path / "state",
            clock=SystemClock(),
        )
        sink = KeepingSink()
        task = asyncio.create_task(connector.session(sink, index_column(range(3))))
        for step in range(30):
            await server.show([float(step)] * len(plant_nodes()), time.time_ns() // 1000 * 1000)
            await until(lambda: len(sink.received) > step, what="frames")  # noqa: B023
        task.cancel()
        await within(asyncio.wait([task]), what="a cancelled session")
        received = Counter(
            (connector.tags[index].id, int(time_ns))
            for frame in sink.received
            for index, time_ns in zip(frame.tag_index, frame.time_ns, strict=True)
        )
        assert received == offered(tmp_path / "pumps.book")
        services = set(read_offered(tmp_path / "pumps.book").service.tolist())
        assert services == {int(Service.READ), int(Service.PUBLISH)}


async def test_the_report_tells_of_reads_and_refusals(plant: PolledPlant) -> None:
    sink = KeepingSink()
    assert plant.connector.report() == ConnectorReport()
    async with running(plant, sink):
        await until(lambda: len(sink.received) > 5, what="polls")
        report = plant.connector.report()
    assert report.latency_ms is not None
    assert 0 < report.latency_ms < 10_000
    assert report.requests_per_s is not None
    assert report.requests_per_s >= 0.5
    [refused] = report.set_aside
    assert (refused.tag, refused.address) == ("pumps.unknown", "ns=2;s=P101.Nothing")
    assert refused.reason == "BadNodeIdUnknown"
    assert refused.since_ns < refused.retry_ns


async def test_a_server_that_tells_no_limits_is_read_all_the_same(plant: PolledPlant) -> None:
    assert plant.server is not None
    refuse_long_reads(plant.server, 6)  # the question for its limits names more nodes
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) > 3, what="polls")
    sink.assert_sound()
