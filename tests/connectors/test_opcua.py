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
from pydantic import ValidationError

from connectors.opcua import OpcuaConfig, OpcuaConnector
from gateway.core.errors import ConfigError, DeviceError
from gateway.core.quality import Quality, Status
from gateway.wire.clock import SystemClock
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


async def test_text_and_arrays_are_bad_and_alone(plant: OpcuaPlant) -> None:
    """A value that is no number is a Bad sample of its tag; its neighbours stay Good."""
    assert plant.server is not None
    values: dict[str, object] = {"Text": "on", "Array": [1.0, 2.0]}
    for name, value in values.items():
        node_id = ua.NodeId.from_string(f"ns=2;s=P101.{name}")
        await plant.server.nodes.objects.add_variable(node_id, name, value)
    (plant.folder / "pumps.csv").write_text(
        "tag,node\nFlow,ns=2;s=P101.Flow\nText,ns=2;s=P101.Text\nSpeed,ns=2;s=P101.Speed\n"
        "Array,ns=2;s=P101.Array\nSetpoint,ns=2;s=P101.Setpoint\n",
        encoding="utf-8",
    )
    plant.connector = plant.connector_with(groups={})
    bad = {plant.index("Text"), plant.index("Array")}
    sink = KeepingSink()
    async with running(plant, sink):
        await until(
            lambda: all(sink.values_of(index) for index in plant.indices), what="all values"
        )
    for frame in sink.received:
        is_bad = np.isin(frame.tag_index, list(bad))
        assert (frame.status[is_bad] == Status.BAD_TYPE_MISMATCH).all()
        assert np.isnan(frame.value[is_bad]).all()
        assert (frame.quality[~is_bad] == Quality.GOOD).all()


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
    plant.connector = plant.connector_with(groups={}, timeout_s=10)
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "http://host:4840"}, "opc.tcp"),
        ({"endpoint": "opc.tcp://me:secret@host:4840"}, "not in the endpoint"),
        ({"user": "me", "password_file": "p"}, "in the clear"),
        ({"user": "me", "security": "Basic256Sha256"}, "belong together"),
        ({"mode": "Sign"}, "needs a security"),
        ({"user_certificate": "u.pem", "user_key": "u.key"}, "needs security"),
        ({"user_certificate": "u.pem", "security": "Basic256Sha256"}, "belong together"),
        (
            {
                "user": "me",
                "password_file": "p",
                "user_certificate": "u.pem",
                "user_key": "u.key",
                "security": "Basic256Sha256",
            },
            "two ways to log in",
        ),
        ({"silence_s_max": 5}, "below twice"),
        ({"security": "Basic128Rsa15"}, "Basic256Sha256"),
        ({"unknown": 1}, "not permitted"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    given = {"type": "opcua", "endpoint": "opc.tcp://h:4840", "security": "None", "tags": "p.csv"}
    with pytest.raises(ValidationError, match=message):
        OpcuaConfig.model_validate(given | settings)


def test_security_has_no_default() -> None:
    with pytest.raises(ValidationError, match="security"):
        OpcuaConfig.model_validate(
            {"type": "opcua", "endpoint": "opc.tcp://h:4840", "tags": "p.csv"}
        )


def test_a_missing_password_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "pumps.csv").write_text("tag,node\nFlow,i=3\n", encoding="utf-8")
    config = OpcuaConfig.model_validate(
        {
            "type": "opcua",
            "endpoint": "opc.tcp://h:4840",
            "security": "Basic256Sha256",
            "tags": "pumps.csv",
            "user": "gateway",
            "password_file": "secret",
        }
    )
    with pytest.raises(ConfigError, match="password_file"):
        OpcuaConnector("pumps", config, folder=tmp_path, state_folder=tmp_path, clock=SystemClock())
