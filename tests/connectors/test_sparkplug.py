"""The Sparkplug connector against an edge node that speaks with Eclipse Tahu's package."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from math import isnan
from pathlib import Path

import aiomqtt
import pytest
from pydantic import ValidationError

from connectors.mqtt.sparkplug import SparkplugConfig
from connectors.mqtt.sparkplug_tags import read_sparkplug_tags
from gateway.core.errors import CommandError, ConfigError, DeviceError
from gateway.core.frame import Origin
from gateway.core.quality import Status
from tests.connectors.contract import ConnectorContract, failure_of, running
from tests.connectors.sinks import KeepingSink
from tests.connectors.sparkplug_plant import SparkplugPlant
from tests.connectors.wire import Wire, until
from tests.interop.peers import needs_node
from tests.interop.sparkplug import SparkplugPackage, sparkplug_package


@needs_node
class TestSparkplugConnector(ConnectorContract):
    """The birth that it asks for at the begin makes all values known."""

    @pytest.fixture(autouse=True)
    def _package(self, package: SparkplugPackage) -> None:
        self.package = package

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[SparkplugPlant]:
        async with Wire() as wire:
            plant = SparkplugPlant(folder, wire, self.package)
            await plant.start_server()
            yield plant
            await plant.stop_server()


@pytest.fixture(scope="module")
def package() -> Iterator[SparkplugPackage]:
    with sparkplug_package() as package:
        yield package


@pytest.fixture
async def plant(tmp_path: Path, package: SparkplugPackage) -> AsyncIterator[SparkplugPlant]:
    """A broker, and nobody behind it yet."""
    async with Wire() as wire:
        plant = SparkplugPlant(tmp_path, wire, package)
        await plant.broker.start()
        wire.target_port = plant.broker.port
        yield plant
        await plant.stop_server()


def samples_of(plant: SparkplugPlant, sink: KeepingSink, name: str) -> list[tuple[float, int]]:
    """Return value and status of every sample of a tag that the node reported."""
    return [
        (float(value), int(status))
        for frame in sink.received
        for index, value, status in zip(frame.tag_index, frame.value, frame.status, strict=True)
        if index == plant.index(name)
    ]


def stated_of(plant: SparkplugPlant, sink: KeepingSink, name: str) -> list[int]:
    """Return the status of all that we stated of a tag."""
    return [
        int(status)
        for frame in sink.stated
        for status in frame.status[frame.tag_index == plant.index(name)]
    ]


@needs_node
async def test_a_gap_in_the_sequence_asks_for_a_birth(plant: SparkplugPlant) -> None:
    node = await plant.start_node(is_counting=False)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: node.rebirth_count == 1, what="the birth at the begin")
        await node.data(Flow=1.5)
        node.seq += 1
        await node.data(Flow=2.5)
        await until(lambda: node.rebirth_count == 2, what="the birth after the gap")
        await node.data(Flow=3.5)
        await until(lambda: 3.5 in sink.values_of(plant.index("Flow")), what="the last value")
    assert sink.values_of(plant.index("Flow")) == [0.0, 1.5, 2.5, 0.0, 3.5]


@needs_node
async def test_the_death_of_the_node_makes_all_its_tags_stale_once(plant: SparkplugPlant) -> None:
    """They keep their last value; the next birth makes them Good again."""
    node = await plant.start_node(is_counting=False)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: node.rebirth_count == 1, what="the birth")
        await node.data(Flow=1.5)
        await until(lambda: 1.5 in sink.values_of(plant.index("Flow")), what="a value")
        await plant.stop_node()
        await until(lambda: bool(stated_of(plant, sink, "Flow")), what="the stale edge")
        node = await plant.start_node(is_counting=False)
        await node.births()
        await until(lambda: samples_of(plant, sink, "Flow")[-1] == (0.0, 0), what="the new birth")
    stale = Status.UNCERTAIN_LAST_USABLE_VALUE
    for name in ("Uptime", "Flow", "Speed", "setpoint"):
        assert stated_of(plant, sink, name) == [stale]
    assert stated_of(plant, sink, "unknown") == [Status.BAD_NODE_ID_UNKNOWN]
    [last] = [
        float(value)
        for frame in sink.stated
        for value in frame.value[frame.tag_index == plant.index("Flow")]
    ]
    assert last == 1.5
    assert "edge_node_offline" in {event.condition for event in sink.events}


@needs_node
async def test_the_death_of_a_device_leaves_the_node_alone(plant: SparkplugPlant) -> None:
    node = await plant.start_node(is_counting=False)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: node.rebirth_count == 1, what="the birth")
        await node.send("DDEATH", [], timestamp=1_767_225_600_123)
        await until(lambda: bool(stated_of(plant, sink, "Flow")), what="the stale edge")
    assert stated_of(plant, sink, "Uptime") == []
    [time_ns] = [
        int(time_ns)
        for frame in sink.stated
        for time_ns in frame.time_ns[frame.tag_index == plant.index("Flow")]
    ]
    assert time_ns == 1_767_225_600_123_000_000


@needs_node
async def test_a_node_that_is_not_there_is_stated_once(plant: SparkplugPlant) -> None:
    plant.connector = plant.connector_with(birth_s=0.3)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.stated), what="the Bad edge")
        node = await plant.start_node(is_counting=False)
        await node.births()
        await until(lambda: bool(sink.values_of(plant.index("Flow"))), what="the birth")
    assert stated_of(plant, sink, "Flow") == [Status.BAD_NO_COMMUNICATION]
    assert samples_of(plant, sink, "Flow") == [(0.0, Status.GOOD)]
    [event] = [event for event in sink.events if event.condition == "edge_node_offline"]
    assert "plant/edge sent no birth within 0.3 s" in event.text


@needs_node
async def test_qualities_times_nulls_and_history_are_kept(plant: SparkplugPlant) -> None:
    node = await plant.start_node(is_counting=False)
    sink = KeepingSink()
    flow = {"alias": 11, "type": "Double", "timestamp": 1_767_225_600_000}

    def quality(code: int) -> dict[str, object]:
        return {"properties": {"Quality": {"type": "Int32", "value": code}}}

    async with running(plant, sink):
        await until(lambda: node.rebirth_count == 1, what="the birth")
        await node.send("DDATA", [flow | {"value": 1.0} | quality(192)])
        await node.send("DDATA", [flow | {"value": 2.0} | quality(500)])
        await node.send("DDATA", [flow | {"value": 3.0} | quality(0)])
        await node.send("DDATA", [flow | {"value": None}])
        await node.send("DDATA", [flow | {"value": 4.0, "isHistorical": True}])
        await node.send("DDATA", [flow | {"value": 5.0}])
        await until(lambda: 5.0 in sink.values_of(plant.index("Flow")), what="all values")
    samples = {
        value: status for value, status in samples_of(plant, sink, "Flow") if not isnan(value)
    }
    assert samples == {
        0.0: Status.GOOD,
        1.0: Status.GOOD,
        2.0: Status.UNCERTAIN_LAST_USABLE_VALUE,
        3.0: Status.BAD,
        4.0: Status.GOOD,
        5.0: Status.GOOD,
    }
    assert [status for value, status in samples_of(plant, sink, "Flow") if isnan(value)] == [
        Status.BAD
    ]
    history = [frame for frame in sink.received if frame.origin is Origin.HISTORICAL]
    assert [list(frame.value) for frame in history] == [[4.0]]
    assert list(history[0].time_ns) == [1_767_225_600_000_000_000]


@needs_node
async def test_texts_are_events_and_other_datatypes_bad_once(plant: SparkplugPlant) -> None:
    lines = "Flow,edge,P101,Flow\nName,edge,P101,Name\nTable,edge,P101,Table\nBig,edge,P101,Big\n"
    (plant.folder / "metrics.csv").write_text(
        "tag,edge_node,device,metric\n" + lines, encoding="utf-8"
    )
    plant.connector = plant.connector_with()
    node = await plant.start_node(is_counting=False)
    table = {"numOfColumns": 1, "columns": ["a"], "types": ["String"], "rows": [["x"]]}
    node.extra = [
        {"name": "Name", "alias": 14, "type": "String", "value": "pump"},
        {"name": "Table", "type": "DataSet", "value": table},
        {"name": "Big", "type": "UInt64", "value": {"long": str(2**53 + 1)}},
    ]
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: node.rebirth_count == 1, what="the birth")
        for _ in range(3):
            await node.data(Name="pump")
        await node.births()
        await node.data(Flow=9.0)
        await until(lambda: 9.0 in sink.values_of(plant.index("Flow")), what="the last value")
    told = [event.text for event in sink.events if event.condition == "text_changed"]
    assert told == ["site.Name is 'pump'"]
    assert stated_of(plant, sink, "Table") == [Status.BAD_TYPE_MISMATCH]
    assert samples_of(plant, sink, "Name") == samples_of(plant, sink, "Table") == []
    assert samples_of(plant, sink, "Big") == [(2.0**53, Status.GOOD)] * 2


@needs_node
async def test_a_write_is_a_command_by_alias_and_confirmed_by_the_next_report(
    plant: SparkplugPlant,
) -> None:
    node = await plant.start_node(is_counting=False)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: node.rebirth_count == 1, what="the birth")
        await until(lambda: bool(sink.values_of(plant.index("setpoint"))), what="its values")
        assert await plant.connector.write(plant.tag("setpoint"), 17.3) == pytest.approx(17.3)
        command = node.commands[-1]
        [metric] = command["metrics"]
        assert "name" not in metric
        assert int(metric["alias"]) == 13
        assert "seq" not in command
        with pytest.raises(CommandError, match="cannot be a FLOAT"):
            await plant.connector.write(plant.tag("setpoint"), 1e300)
        await plant.stop_node()
        await until(lambda: bool(stated_of(plant, sink, "setpoint")), what="the death")
        with pytest.raises(DeviceError, match="knows no metric plant/edge/P101/setpoint"):
            await plant.connector.write(plant.tag("setpoint"), 1.0)


@needs_node
async def test_a_host_says_that_it_is_there_and_that_it_goes(plant: SparkplugPlant) -> None:
    """Its will, birth and death are what the standard wants; a denial is answered."""
    plant.connector = plant.connector_with(role="host", host_id="scada")
    topic = "spBv1.0/STATE/scada"
    states: list[dict[str, object]] = []
    sink = KeepingSink()
    async with aiomqtt.Client("127.0.0.1", plant.broker.port) as client:

        async def watch() -> None:
            await client.subscribe(topic, qos=1)
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                states.append(json.loads(message.payload))

        watching = asyncio.create_task(watch())
        async with running(plant, sink):
            await until(lambda: len(states) == 1, what="the birth")
            denial = json.dumps({"online": False, "timestamp": 1})
            await plant.broker.publish(topic, "-m", denial, "-q", "1", "-r")
            await until(lambda: len(states) == 3, what="the answer to the denial")
        await until(lambda: len(states) == 4, what="the death")
        async with running(plant, sink) as task:
            await until(lambda: len(states) == 5, what="the next birth")
            plant.wire.cut()
            await failure_of(task)
        await until(lambda: len(states) == 6, what="the will")
    await asyncio.gather(watching, return_exceptions=True)
    birth, denied, again, death, next_birth, will = states
    assert [state["online"] for state in states] == [True, False, True, False, True, False]
    assert birth == again
    assert denied == {"online": False, "timestamp": 1}
    assert next_birth["timestamp"] == will["timestamp"]
    times = [state["timestamp"] for state in (birth, death, next_birth)]
    assert times == sorted(times, key=str)
    assert set(birth) == {"online", "timestamp"}


@needs_node
async def test_a_message_that_cannot_be_read_is_told_and_heals_itself(
    plant: SparkplugPlant,
) -> None:
    node = await plant.start_node(is_counting=False)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: node.rebirth_count == 1, what="the birth")
        await plant.broker.publish("spBv1.0/plant/DDATA/edge/P101", "-m", "no payload")
        node.seq += 1  # the one that could not be read
        await node.data(Flow=2.5)
        await until(lambda: node.rebirth_count == 2, what="a new birth")
        await until(lambda: 2.5 in sink.values_of(plant.index("Flow")), what="the value")
    assert "message_unusable" in {event.condition for event in sink.events}


@needs_node
async def test_browsing_prints_a_tag_list_that_can_be_used(
    plant: SparkplugPlant, tmp_path: Path
) -> None:
    """The real command; the node is found by its data and asked for its birth."""
    node = await plant.start_node(is_counting=True)
    command = [sys.executable, "-m", "gateway.cli", "sparkplug", "browse"]
    process = await asyncio.create_subprocess_exec(
        *command,
        f"mqtt://127.0.0.1:{plant.broker.port}",
        *("--group", "plant", "--for", "2"),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    assert node.rebirth_count == 1
    path = tmp_path / "found.csv"
    path.write_bytes(printed)
    rows = read_sparkplug_tags(path, group_id="")
    assert [(row.entry.name, str(row.place)) for row in rows] == [
        ("edge.Node_Info.Uptime", "plant/edge/Node Info/Uptime"),
        ("edge.P101.Flow", "plant/edge/P101/Flow"),
        ("edge.P101.Speed", "plant/edge/P101/Speed"),
        ("edge.P101.setpoint", "plant/edge/P101/setpoint"),
    ]


def test_mistakes_in_the_tag_list_and_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    lines = ["a,n/1,,x", "b,n,d+,x", "c,n,,", "d,n,,x", "e,n,,x", "d,n,,y"]
    path.write_text("tag,edge_node,device,metric\n" + "\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_sparkplug_tags(path, group_id="G")
    wanted = ["edge_node 'n/1'", "device 'd+'", "metric is empty", 'is "d" already', "in line 5"]
    assert [part in text for part, text in zip(wanted, caught.value.mistakes, strict=True)] == [
        True
    ] * 5
    path.write_text("tag,edge_node,metric\na,n,x\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="group_id '' is empty"):
        read_sparkplug_tags(path, group_id="")
    given = {"type": "sparkplug", "broker": "mqtt://b", "tags": "t.csv", "role": "host"}
    with pytest.raises(ValidationError, match="belong together"):
        SparkplugConfig.model_validate(given)
