"""The MQTT connector against Mosquitto."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connectors.mqtt.connector import MqttConnector
from connectors.mqtt.session import MqttReceiver
from gateway.core.quality import Status
from tests.connectors.contract import ConnectorContract, Plant, failure_of, running
from tests.connectors.mqtt_plant import MqttPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import Wire, until


class TestMqttConnector(ConnectorContract):
    """A broker keeps what is not acknowledged, and sends it again in the next session.

    So what the wire carried says nothing about losses. The books are kept over all sessions
    instead: everything that was published has arrived once, in its order.
    """

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[MqttPlant]:
        async with Wire() as wire:
            plant = MqttPlant(folder, wire)
            await plant.start_server()
            yield plant
            await plant.stop_server()

    async def test_a_stop_at_any_moment_loses_nothing(self, plant: Plant) -> None:
        sinks = []
        for step in range(24):
            sinks.append(KeepingSink())
            async with running(plant, sinks[-1]):
                await asyncio.sleep(0.013 * step)
        await self.check_books(plant, sinks)

    async def test_a_cut_at_any_moment_loses_nothing_and_doubles_nothing(
        self, plant: Plant
    ) -> None:
        """The broker repeats what was on its way; what the sink had is not handed over again."""
        sinks = []
        for step in range(24):
            sinks.append(KeepingSink())
            async with running(plant, sinks[-1]) as task:
                await until(lambda: bool(sinks[-1].received), what="a frame")
                await asyncio.sleep(0.003 * step)
                plant.wire.cut()
                await failure_of(task)
        await self.check_books(plant, sinks)

    async def check_books(self, plant: Plant, sinks: list[KeepingSink]) -> None:
        """Compare what the machine published since the first session with what came of it."""
        assert isinstance(plant, MqttPlant)
        await plant.stop_machine()
        last = KeepingSink()
        async with running(plant, last):
            await until(
                lambda: plant.published[-1] in flow_of(plant, [*sinks, last]),
                what="the last value",
            )
        values = flow_of(plant, [*sinks, last])
        assert values == [values[0] + step for step in range(len(values))]
        for sink in sinks:
            sink.assert_untouched()


def flow_of(plant: MqttPlant, sinks: list[KeepingSink]) -> list[float]:
    """Return the counted values, over all sessions."""
    return [value for sink in sinks for value in sink.values_of(plant.index("Flow"))]


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[MqttPlant]:
    async with TestMqttConnector().opened(tmp_path) as plant:
        yield plant


async def test_the_broker_keeps_what_comes_while_we_are_away(plant: MqttPlant) -> None:
    """Also over a restart of its own: nothing of it is missing, nothing is there twice."""
    sinks = [KeepingSink()]
    async with running(plant, sinks[0]):
        await until(lambda: len(sinks[0].received) >= 2, what="two frames")
    before = plant.counted
    await until(lambda: plant.counted > before + 20, what="values while we are away")
    await plant.stop_machine()
    await plant.broker.stop()
    await plant.broker.start()
    sinks.append(KeepingSink())
    async with running(plant, sinks[1]):
        await until(
            lambda: plant.published[-1] in flow_of(plant, sinks), what="all that was published"
        )
    values = flow_of(plant, sinks)
    assert values == [values[0] + step for step in range(len(values))]


async def test_the_time_of_the_message_is_kept(plant: MqttPlant) -> None:
    """Its own where a path leads to it, else that of its arrival."""
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: len(sink.received) >= 5, what="frames")
    for frame in sink.received:
        is_flow = frame.tag_index == plant.index("Flow")
        expected = [(1_767_225_600_000 + int(value)) * 1_000_000 for value in frame.value[is_flow]]
        assert list(frame.time_ns[is_flow]) == expected
        is_level = frame.tag_index == plant.index("Level")
        assert (frame.time_ns[is_level] >= frame.received_ns).all()


async def test_a_message_that_cannot_be_used_makes_its_own_tags_bad_once(
    plant: MqttPlant,
) -> None:
    await plant.stop_machine()
    write_tags(plant, "Level,plant/level,,\nFlow,plant/P101,/flow,\nSpeed,plant/P101,/speed,\n")
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: sink.connected_count == 1, what="the session")
        for payload in ("1.5", "no JSON", "{", "[]", "2.5"):
            await plant.broker.publish("plant/level", "-m", payload, "-q", "1")
        for payload in ('{"flow": "7", "speed": 3}', '{"flow": null, "speed": 4}'):
            await plant.broker.publish("plant/P101", "-m", payload, "-q", "1")
        await until(lambda: sink.values_of(plant.index("Speed")) == [3, 4], what="all")
    assert sink.values_of(plant.index("Level")) == [1.5, 2.5]
    assert [(list(frame.tag_index), list(frame.status)) for frame in sink.stated] == [
        ([plant.index("Level")], [Status.BAD_DECODING_ERROR]),
        ([plant.index("Flow")], [Status.BAD_TYPE_MISMATCH]),
    ]
    order = [frame.is_received for frame in sink.frames]
    assert order[:3] == [True, False, True], "the Bad edge stands between its neighbours"
    told = [event for event in sink.events if event.condition == "message_unusable"]
    assert {event.source for event in told} == {"plant"}
    assert "no JSON" in told[0].text
    assert len({event.id for event in told}) == len(told)
    # A flood is not told one by one: the rest came as one, at the end of the session.
    assert len(told) == 4


async def test_a_retained_message_without_a_time_is_no_news(plant: MqttPlant) -> None:
    """It is Uncertain; one that carries its time is what it says."""
    await plant.stop_machine()
    write_tags(plant, "Level,plant/level,,\nFlow,plant/P101,/flow,/ts\n")
    await plant.broker.publish("plant/level", "-m", "3.5", "-q", "1", "-r")
    payload = '{"flow": 7, "ts": "2026-01-02T03:04:05.25+01:00"}'
    await plant.broker.publish("plant/P101", "-m", payload, "-q", "1", "-r")
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: sink.sample_count == 2, what="both values")
        await plant.broker.publish("plant/level", "-m", "4.5", "-q", "1")
        await until(lambda: sink.sample_count == 3, what="the news")
    samples = [
        (int(index), float(value), int(status))
        for frame in sink.received
        for index, value, status in zip(frame.tag_index, frame.value, frame.status, strict=True)
    ]
    assert sorted(samples) == [
        (plant.index("Level"), 3.5, Status.UNCERTAIN_LAST_USABLE_VALUE),
        (plant.index("Level"), 4.5, Status.GOOD),
        (plant.index("Flow"), 7.0, Status.GOOD),
    ]
    times = [
        int(time_ns)
        for frame in sink.received
        for time_ns in frame.time_ns[frame.tag_index == plant.index("Flow")]
    ]
    assert times == [1_767_319_445_250_000_000]


async def test_silence_is_stated_once_and_ends_with_the_next_value(plant: MqttPlant) -> None:
    """A tag keeps its last value as Uncertain; one that never had a value is Bad."""
    await plant.stop_machine()
    write_tags(plant, "Level,plant/level,,\nFlow,plant/P101,/flow,\n")
    plant.connector = plant.connector_with(silence_s_max=0.4, groups={})
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: sink.connected_count == 1, what="the session")
        await plant.broker.publish("plant/level", "-m", "3.5", "-q", "1")
        await until(
            lambda: sum(len(frame) for frame in sink.stated) == 2, what="the silence of both"
        )
        await plant.broker.publish("plant/level", "-m", "4.5", "-q", "1")
        await until(
            lambda: sum(len(frame) for frame in sink.stated) == 3, what="the second silence"
        )
    stated = [
        (int(index), float(value), int(status))
        for frame in sink.stated
        for index, value, status in zip(frame.tag_index, frame.value, frame.status, strict=True)
    ]
    level = plant.index("Level")
    assert [entry for entry in stated if entry[0] == level] == [
        (level, 3.5, Status.UNCERTAIN_LAST_USABLE_VALUE),
        (level, 4.5, Status.UNCERTAIN_LAST_USABLE_VALUE),
    ]
    [other] = [entry for entry in stated if entry[0] != level]
    assert other[2] == Status.BAD_NO_COMMUNICATION
    assert "tags_silent" in {event.condition for event in sink.events}


async def test_messages_that_wait_are_taken_together(plant: MqttPlant) -> None:
    """One frame for many messages: what came while the sink was full."""
    await plant.stop_machine()
    write_tags(plant, "Level,plant/+/level,,\n")
    plant.connector = plant.connector_with(receive_max=300, groups={})
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: sink.connected_count == 1, what="the session")
        sink.fill()
        lines = "\n".join(str(number) for number in range(100))
        path = plant.folder / "lines"
        path.write_text(lines + "\n", encoding="utf-8")
        for name in ("a", "b"):
            command = f"mosquitto_pub -p {plant.broker.port} -t plant/{name}/level -q 1 -l < {path}"
            process = await asyncio.create_subprocess_shell(command)
            assert await process.wait() == 0
        await until(lambda: waiting_count(plant) == 200, what="all messages")
        sink.drain()
        await until(lambda: sink.sample_count == 200, what="all values")
    assert len(sink.received) == 2, "the first, and all that came while it waited"
    assert sorted(sink.values_of(plant.index("Level"))) == sorted([*range(100)] * 2)


async def test_what_is_too_much_is_dropped_counted_and_told(plant: MqttPlant) -> None:
    """Messages with QoS 0 cannot be held back; what the queue has no room for is gone."""
    await plant.stop_machine()
    write_tags(plant, "Level,plant/level,,\n")
    plant.connector = plant.connector_with(queue_messages_max=10, receive_max=10, groups={})
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: sink.connected_count == 1, what="the session")
        sink.fill()
        path = plant.folder / "lines"
        path.write_text("\n".join(str(number) for number in range(100)) + "\n", encoding="utf-8")
        command = f"mosquitto_pub -p {plant.broker.port} -t plant/level -q 0 -l < {path}"
        process = await asyncio.create_subprocess_shell(command)
        assert await process.wait() == 0
        await until(lambda: waiting_count(plant) + dropped_count(plant) == 100, what="all")
        sink.drain()
        await until(lambda: bool(sink.events), what="the event")
        await until(lambda: waiting_count(plant) == 0, what="what was kept")
    [event] = [event for event in sink.events if event.condition == "messages_dropped"]
    assert f"{100 - sink.sample_count} messages were dropped" in event.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_both_versions_of_mqtt(plant: MqttPlant, protocol: str) -> None:
    plant.connector = plant.connector_with(protocol=protocol)
    sinks = [KeepingSink(), KeepingSink()]
    for sink in sinks:
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 3, what="frames")  # noqa: B023
    await plant.stop_machine()
    values = flow_of(plant, sinks)
    assert values == [values[0] + step for step in range(len(values))]


async def test_a_write_that_nobody_confirms_fails(plant: MqttPlant) -> None:
    await plant.stop_machine()
    plant.connector = plant.connector_with(read_back_s=0.3)
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: sink.connected_count == 1, what="the session")
        with pytest.raises(Exception, match="does not confirm a write to setpoint"):
            await plant.connector.write(plant.tag("setpoint"), 7.0)


def waiting_count(plant: MqttPlant) -> int:
    """Return the messages that have come and that the sink does not have."""
    assert isinstance(plant.connector, MqttConnector)
    receiver = plant.connector._receiver
    assert isinstance(receiver, MqttReceiver)
    return len(receiver._link._queue) + len(receiver._unacknowledged)


def dropped_count(plant: MqttPlant) -> int:
    assert isinstance(plant.connector, MqttConnector)
    receiver = plant.connector._receiver
    assert isinstance(receiver, MqttReceiver)
    return receiver._link.dropped_count


def write_tags(plant: MqttPlant, lines: str) -> None:
    """Give the plant other tags; they are read by the next connector."""
    (plant.folder / "plant.csv").write_text("tag,topic,path,time_path\n" + lines, encoding="utf-8")
    connector: MqttConnector = plant.connector_with(groups={})
    plant.connector = connector
