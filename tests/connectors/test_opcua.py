"""The OPC UA connector against asyncua's server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from gateway.core.errors import DeviceError
from gateway.core.quality import Quality, Status
from tests.connectors.contract import ConnectorContract, failure_of, running
from tests.connectors.opcua_plant import OpcuaPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.ua_values import data_value
from tests.connectors.wire import Wire, until


class TestOpcuaConnector(ConnectorContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[OpcuaPlant]:
        async with Wire() as wire:
            plant = OpcuaPlant(folder, wire)
            await plant.start_server()
            yield plant
            await plant.stop_server()


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[OpcuaPlant]:
    async with TestOpcuaConnector().opened(tmp_path) as plant:
        yield plant


@pytest.mark.parametrize("decode", ["columns", "library"])
async def test_every_change_arrives_in_order(plant: OpcuaPlant, decode: str) -> None:
    plant.connector = plant.connector_with(decode=decode)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(plant.index("Flow"))) > 30, what="changes")
    values = sink.values_of(plant.index("Flow"))
    assert values == [values[0] + step for step in range(len(values))]
    assert sink.sample_count == plant.offered_count()


async def test_the_source_time_is_kept(plant: OpcuaPlant) -> None:
    """Else it is the server's; else it is ours."""
    time = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
    await plant.write("Setpoint", data_value(1.0, source=time))
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.values_of(plant.index("Setpoint"))), what="the value")
    [time_ns] = [
        int(time_ns)
        for frame in sink.received
        for time_ns in frame.time_ns[frame.tag_index == plant.index("Setpoint")]
    ]
    assert time_ns == int(time.timestamp()) * 1_000_000_000 + 890_000_000


@pytest.mark.parametrize("decode", ["columns", "library"])
async def test_the_server_s_time_is_kept_beside_the_source_s(
    plant: OpcuaPlant, decode: str
) -> None:
    """Source, server and receive time of a value are three times of their own."""
    source = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
    server = datetime(2026, 3, 4, 5, 6, 8, 120_000, tzinfo=UTC)
    plant.connector = plant.connector_with(decode=decode)
    await plant.write("Setpoint", data_value(1.0, source=source, server=server))
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.values_of(plant.index("Setpoint"))), what="the value")
    index = plant.index("Setpoint")
    [(frame, place)] = [
        (frame, int(np.flatnonzero(frame.tag_index == index)[0]))
        for frame in sink.received
        if index in frame.tag_index
    ]
    assert frame.server_ns is not None
    assert int(frame.server_ns[place] - frame.time_ns[place]) == 230_000_000
    assert frame.received_ns > int(frame.server_ns[place])


async def test_arrays_are_bad_once_and_alone(plant: OpcuaPlant) -> None:
    """What is no number is told with the remedy, and not asked for any more."""
    assert plant.server is not None
    node_id = ua.NodeId.from_string("ns=2;s=P101.Array")
    array = await plant.server.nodes.objects.add_variable(node_id, "Array", [1.0, 2.0])
    (plant.folder / "pumps.csv").write_text(
        "tag,node\nFlow,ns=2;s=P101.Flow\nArray,ns=2;s=P101.Array\nSetpoint,ns=2;s=P101.Setpoint\n",
        encoding="utf-8",
    )
    plant.connector = plant.connector_with(groups={})
    bad = plant.index("Array")
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: all(map(sink.values_of, plant.indices)), what="all values")
        count = len(sink.values_of(plant.index("Flow")))
        await until(lambda: len(sink.values_of(plant.index("Flow"))) > count, what="one more")
        for step in range(3):
            await array.write_value([1.0, float(step)])
            count = len(sink.received)
            await until(lambda: len(sink.received) > count + 2, what="more")  # noqa: B023
    for frame in sink.received:
        is_bad = frame.tag_index == bad
        assert (frame.status[is_bad] == Status.BAD_TYPE_MISMATCH).all()
        assert np.isnan(frame.value[is_bad]).all()
        assert (frame.quality[~is_bad] == Quality.GOOD).all()
    assert len(sink.values_of(bad)) == 1
    [event] = sink.events
    assert (event.source, event.condition) == ("pumps.Array", "value_unfit")
    assert "an array of 2 Double" in event.text
    assert "column `element`" in event.text


async def test_texts_are_events_and_no_samples(plant: OpcuaPlant) -> None:
    """Each new text is told once, also over a new session; the numbers beside it go on."""
    assert plant.server is not None
    node_id = ua.NodeId.from_string("ns=2;s=P101.Mode")
    mode = await plant.server.nodes.objects.add_variable(node_id, "Mode", "manual")
    (plant.folder / "pumps.csv").write_text(
        "tag,node\nFlow,ns=2;s=P101.Flow\nMode,ns=2;s=P101.Mode\n", encoding="utf-8"
    )
    plant.connector = plant.connector_with(groups={})
    told: list[list[str]] = []
    for text, count in (("manual", 1), ("auto", 1), ("auto", 0)):
        await mode.write_value(text)
        sink = KeepingSink()
        async with running(plant, sink):
            await until(
                lambda: len(sink.received) > 4 and len(sink.events) >= count,  # noqa: B023
                what="frames, and the text",
            )
        assert {(event.source, event.condition) for event in sink.events} <= {
            ("pumps", "text_changed")
        }
        assert sink.values_of(plant.index("Mode")) == []
        told.append([event.text for event in sink.events])
    assert told == [["pumps.Mode is 'manual'"], ["pumps.Mode is 'auto'; it was 'manual'"], []]


@pytest.mark.parametrize("read", ["subscribe", "poll"])
async def test_elements_of_an_array_are_tags(plant: OpcuaPlant, read: str) -> None:
    """Asyncua's server knows no index ranges and sends the whole array: the element is picked."""
    assert plant.server is not None
    node_id = ua.NodeId.from_string("ns=2;s=P101.Array")
    await plant.server.nodes.objects.add_variable(node_id, "Array", [1.0, 2.0, 4.0])
    (plant.folder / "pumps.csv").write_text(
        "tag,node,element\nFirst,ns=2;s=P101.Array,0\nThird,ns=2;s=P101.Array,2\n"
        "Tenth,ns=2;s=P101.Array,9\n",
        encoding="utf-8",
    )
    rates = {"sampling_ms": None, "publishing_ms": None, "read": "poll", "period_ms": 20}
    plant.connector = plant.connector_with(groups={}, **(rates if read == "poll" else {}))
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: all(map(sink.values_of, plant.indices)), what="all values")
    assert set(sink.values_of(plant.index("First"))) == {1.0}
    assert set(sink.values_of(plant.index("Third"))) == {4.0}
    assert np.isnan(sink.values_of(plant.index("Tenth"))).all()
    [event] = sink.events
    assert event.text.startswith("pumps.Tenth is an array of 3 Double")
    assert "Its last element is 2" in event.text


async def test_a_wrong_source_time_is_replaced_and_told(plant: OpcuaPlant) -> None:
    """The value keeps coming, Uncertain and with the time of receipt; the right ones stay Good."""
    past, future = datetime(1984, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
    await plant.write("Setpoint", data_value(1.0, source=past))
    sink = KeepingSink()
    index = plant.index("Setpoint")
    async with running(plant, sink):
        await until(lambda: sink.values_of(index) == [1.0], what="the old value")
        await plant.write("Setpoint", data_value(2.0, source=future))
        await until(lambda: sink.values_of(index) == [1.0, 2.0], what="the future value")
        await plant.write("Setpoint", data_value(3.0, source=datetime.now(UTC)))
        await until(lambda: sink.values_of(index) == [1.0, 2.0, 3.0], what="a right value")
    samples = [
        (frame, int(time_ns), int(status))
        for frame in sink.received
        for at, time_ns, status in zip(frame.tag_index, frame.time_ns, frame.status, strict=True)
        if at == index
    ]
    wrong = Status.UNCERTAIN_CONFIGURATION_ERROR
    assert [status for _, _, status in samples] == [wrong, wrong, Status.GOOD]
    assert all(abs(time_ns - frame.received_ns) < 60 * 10**9 for frame, time_ns, _ in samples)
    [event] = sink.events
    assert (event.source, event.condition) == ("pumps", "source_time_wrong")
    assert "pumps.Setpoint: 1984-01-01" in event.text


async def test_sources_without_a_clock_can_be_given_ours(plant: OpcuaPlant) -> None:
    await plant.write("Setpoint", data_value(1.0, source=datetime(1984, 1, 1, tzinfo=UTC)))
    plant.connector = plant.connector_with(time="receipt")
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.values_of(plant.index("Setpoint"))), what="the value")
    assert all((frame.time_ns == frame.received_ns).all() for frame in sink.received[:1])
    assert all((frame.quality == Quality.GOOD).all() for frame in sink.received)
    assert sink.events == []


async def test_the_status_code_of_the_server_is_kept(plant: OpcuaPlant) -> None:
    code = StatusCodes.UncertainSensorNotAccurate
    await plant.write("Setpoint", data_value(3.5, status=code))
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.values_of(plant.index("Setpoint"))), what="the value")
    [status] = [
        int(status)
        for frame in sink.received
        for status in frame.status[frame.tag_index == plant.index("Setpoint")]
    ]
    assert status == code


async def test_a_node_that_appears_is_found(plant: OpcuaPlant) -> None:
    plant.connector = plant.connector_with(node_retry_s=1)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.stated), what="the Bad edge")
        assert plant.server is not None
        node_id = ua.NodeId.from_string("ns=2;s=P101.Nothing")
        await plant.server.nodes.objects.add_variable(node_id, "Nothing", 4.5)
        await until(lambda: bool(sink.values_of(plant.index("unknown"))), what="the value")
    assert sink.values_of(plant.index("unknown")) == [4.5]
    assert len(sink.stated) == 1


async def test_the_server_keeps_the_dead_band(plant: OpcuaPlant) -> None:
    """It is given in engineering units: 0.5 of them are 5 of the server's at a scale of 0.1."""
    (plant.folder / "pumps.csv").write_text(
        "tag,node,dead_band,scale\nFlow,ns=2;s=P101.Flow,0,1\nS,ns=2;s=P101.Setpoint,0.5,-0.1\n",
        encoding="utf-8",
    )
    plant.connector = plant.connector_with(groups={})
    sink = KeepingSink()
    index = 8
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(index)) == 1, what="the first value")
        for value in (4.0, 8.0, 20.0):
            await plant.write("Setpoint", data_value(value))
        await until(lambda: 20.0 in sink.values_of(index), what="the last value")
    assert sink.values_of(index) == [0.0, 20.0]


async def test_a_missing_namespace_is_an_unknown_node(plant: OpcuaPlant) -> None:
    (plant.folder / "pumps.csv").write_text(
        "tag,node\nFlow,ns=2;s=P101.Flow\nother,nsu=urn:other;i=4\n", encoding="utf-8"
    )
    plant.connector = plant.connector_with(groups={})
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) > 1, what="frames")
    assert [list(frame.status) for frame in sink.stated] == [[Status.BAD_NODE_ID_UNKNOWN]]


@pytest.mark.parametrize("is_stated", [True, False])
async def test_many_tags_need_several_calls(plant: OpcuaPlant, is_stated: bool) -> None:
    """A limit that the server states is kept; one that it does not state is found by halving."""
    limit, count = 40, 150
    await add_variables(plant, count)
    assert plant.server is not None
    if is_stated:
        stated = plant.server.get_node(
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall
        )
        await stated.write_value(ua.Variant(limit, ua.VariantType.UInt32))
    sizes = refuse_long_calls(plant.server, limit)
    plant.connector = plant.connector_with(groups={}, timeout_s=30)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: sink.sample_count >= count, what="all first values")
    values = [value for index in plant.indices for value in sink.values_of(index)]
    assert values == [float(number) for number in range(count)]
    assert sum(size for size in sizes if size <= limit) == count
    assert max(sizes) <= limit or not is_stated


async def add_variables(plant: OpcuaPlant, count: int) -> None:
    """Give server and connector so many more tags, each with its number as value."""
    assert plant.server is not None
    lines = ["tag,node"]
    for number in range(count):
        node_id = ua.NodeId.from_string(f"ns=2;s=T{number}")
        await plant.server.nodes.objects.add_variable(node_id, f"T{number}", float(number))
        lines.append(f"T{number},ns=2;s=T{number}")
    (plant.folder / "pumps.csv").write_text("\n".join(lines), encoding="utf-8")


def refuse_long_calls(server: Server, limit: int) -> list[int]:
    """Let the server refuse calls with more items; return the list of the sizes it sees."""
    service = server.iserver.subscription_service
    create = service.create_monitored_items
    sizes = []

    async def create_few(
        params: ua.CreateMonitoredItemsParameters,
    ) -> list[ua.MonitoredItemCreateResult]:
        sizes.append(len(params.ItemsToCreate))
        if sizes[-1] > limit:
            raise ServiceError(StatusCodes.BadTooManyOperations)
        return await create(params)

    service.create_monitored_items = create_few  # type: ignore[method-assign]  # a foreign server
    return sizes


async def test_a_full_sink_is_not_the_server_s_silence(plant: OpcuaPlant) -> None:
    """While we ask for nothing the server cannot speak: the session outlives its limit."""
    plant.connector = plant.connector_with(keep_alive_s=0.4, silence_s_max=1.5, queue_size=1000)
    sink = KeepingSink()
    async with running(plant, sink) as task:
        await until(lambda: len(sink.received) >= 2, what="two frames")
        sink.fill()
        await asyncio.sleep(3.5)
        held = len(sink.frames)
        sink.drain()
        await until(lambda: len(sink.frames) > held + 3, what="frames after the wait")
        assert not task.done()
    values = sink.values_of(plant.index("Flow"))
    assert values == [values[0] + step for step in range(len(values))]


@pytest.mark.parametrize(("report", "expected"), [("changes", 1), ("updates", 3)])
async def test_updates_are_reported_when_asked_for(
    plant: OpcuaPlant, report: str, expected: int
) -> None:
    """A sensor that is frozen and one whose server is dead look alike in changes alone."""
    plant.connector = plant.connector_with(report=report)
    sink = KeepingSink()
    index = plant.index("Setpoint")
    time = datetime(2026, 3, 4, tzinfo=UTC)
    await plant.write("Setpoint", data_value(7.0, source=time))
    async with running(plant, sink):
        await until(lambda: bool(sink.values_of(index)), what="the first value")
        for second in (1, 2):
            await plant.write("Setpoint", data_value(7.0, source=time.replace(second=second)))
        before = len(sink.received)
        await until(lambda: len(sink.received) > before + 4, what="more frames")
    assert sink.values_of(index) == [7.0] * expected


async def test_writing_to_a_node_that_refuses_is_a_device_error(plant: OpcuaPlant) -> None:
    (plant.folder / "pumps.csv").write_text(
        "tag,node,writable\nFlow,ns=2;s=P101.Flow,yes\n", encoding="utf-8"
    )
    plant.connector = plant.connector_with(groups={})
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="a frame")
        with pytest.raises(DeviceError, match=r"refuses a write to ns=2;s=P101\.Flow"):
            await plant.connector.write(plant.tag("Flow"), 1.0)


async def test_a_server_without_the_security_is_refused(plant: OpcuaPlant) -> None:
    """Less than configured is never used, whatever the server offers."""
    plant.connector = plant.connector_with(security="Basic256Sha256", trust="first_use")
    sink = KeepingSink()
    async with running(plant, sink) as task:
        error = await failure_of(task)
    assert "does not offer Basic256Sha256 with SignAndEncrypt" in str(error)
    assert sink.frames == []
