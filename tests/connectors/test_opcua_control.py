"""Writing and calling, against asyncua's server and node-opcua."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.methods import uamethod
from asyncua.common.node import Node
from asyncua.ua.status_codes import StatusCodes

from connectors.opcua.tags import read_opcua_tags
from gateway.core.errors import CommandError, ConfigError, DeviceError
from tests.connectors.contract import running
from tests.connectors.opcua_peer import opened_peer
from tests.connectors.opcua_plant import OpcuaPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.ua_values import data_value, status_code
from tests.connectors.wire import Wire, until
from tests.interop.peers import needs_node

TYPES = {
    "Boolean": (True, 0.0),
    "SByte": (1, -128.0),
    "Byte": (1, 255.0),
    "Int16": (1, -32768.0),
    "UInt16": (1, 65535.0),
    "Int32": (1, -(2.0**31)),
    "UInt32": (1, 2.0**32 - 1),
    "Int64": (1, -(2.0**63)),
    "UInt64": (1, 2.0**63),
    "Float": (1.0, 0.125),
    "Double": (1.0, 1e300),
}


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[OpcuaPlant]:
    async with Wire() as wire:
        plant = OpcuaPlant(tmp_path, wire)
        await plant.start_server()
        yield plant
        await plant.stop_server()


async def add(plant: OpcuaPlant, name: str, variant: ua.Variant) -> Node:
    """Give the server a node that may be written."""
    assert plant.server is not None
    node_id = ua.NodeId.from_string(f"ns=2;s={name}")
    node = await plant.server.nodes.objects.add_variable(node_id, name, variant)
    await node.set_writable()
    return node


def use(plant: OpcuaPlant, *lines: str) -> None:
    """Let the connector have these tags, beside one that moves."""
    text = "\n".join(("tag,node,writable,call", "Flow,ns=2;s=P101.Flow,,", *lines))
    (plant.folder / "pumps.csv").write_text(text, encoding="utf-8")
    plant.connector = plant.connector_with(groups={})


async def test_every_type_of_number_is_written_and_what_does_not_fit_is_not(
    plant: OpcuaPlant,
) -> None:
    nodes = {
        name: await add(plant, name, ua.Variant(value, ua.VariantType[name]))
        for name, (value, _) in TYPES.items()
    }
    use(plant, *(f"{name},ns=2;s={name},yes," for name in TYPES))
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="a frame")
        for name, (_, value) in TYPES.items():
            assert await plant.connector.write(plant.tag(name), value) == value
            data = await nodes[name].read_data_value()
            assert data.Value is not None
            assert data.Value.VariantType == ua.VariantType[name]
        for name, value in (("Byte", 256.0), ("Int16", 1.5), ("Boolean", 2.0), ("Float", 1e39)):
            with pytest.raises(CommandError, match="nothing was written"):
                await plant.connector.write(plant.tag(name), value)
        with pytest.raises(CommandError, match="is no number"):
            await plant.connector.write(plant.tag("Double"), float("nan"))


async def test_what_is_no_number_is_not_written(plant: OpcuaPlant) -> None:
    await add(plant, "Text", ua.Variant("on", ua.VariantType.String))
    await add(plant, "Array", ua.Variant([1.0, 2.0], ua.VariantType.Double))
    use(
        plant,
        "Text,ns=2;s=Text,yes,",
        "Array,ns=2;s=Array,yes,",
        "Other,nsu=urn:other;s=x,yes,",
        "Fixed,ns=2;s=P101.Speed,yes,",
    )
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="a frame")
        for name, message in (
            ("Text", "holds no number"),
            ("Array", "holds an array"),
            ("Other", "has no namespace"),
        ):
            with pytest.raises(CommandError, match=message):
                await plant.connector.write(plant.tag(name), 1.0)
        with pytest.raises(DeviceError, match="does not try it again") as caught:
            await plant.connector.write(plant.tag("Fixed"), 1.0)
    assert "Give the gateway's user the right" in str(caught.value)


async def test_a_node_without_a_value_is_written_in_its_declared_type(plant: OpcuaPlant) -> None:
    """A server that waits for its controller has the type, but no value to take it from."""
    assert plant.server is not None
    node = await add(plant, "Waiting", ua.Variant(1, ua.VariantType.Int16))
    empty = data_value(ua.Variant(), status=StatusCodes.BadWaitingForInitialData)
    await plant.server.write_attribute_value(node.nodeid, empty)
    use(plant, "Waiting,ns=2;s=Waiting,yes,")
    sink = KeepingSink()
    async with running(plant, sink):
        await until(lambda: bool(sink.received), what="a frame")
        assert await plant.connector.write(plant.tag("Waiting"), 12.0) == 12.0
    data = await node.read_data_value()
    assert data.Value is not None
    assert data.Value.VariantType == ua.VariantType.Int16


async def test_methods_of_asyncua(plant: OpcuaPlant) -> None:
    """With the value in the argument's type, or without; refusals say what to do."""
    assert plant.server is not None
    objects = plant.server.nodes.objects
    pump = await objects.add_object(ua.NodeId.from_string("ns=2;s=Pump"), "Pump")
    shown = await add(plant, "Shown", ua.Variant(0.0, ua.VariantType.Double))
    calls: list[object] = []

    async def set_speed(_: ua.NodeId, value: ua.Variant) -> list[ua.Variant]:
        calls.append((value.VariantType, value.Value))
        await shown.write_value(float(value.Value))
        return []

    @uamethod
    async def refuse(_: ua.NodeId) -> ua.StatusCode:
        return status_code(StatusCodes.BadInvalidState)

    async def method(name: str, act: object, *types: ua.VariantType) -> None:
        node_id = ua.NodeId.from_string(f"ns=2;s={name}")
        await pump.add_method(node_id, f"2:{name}", act, list(types), [])

    await method("Set", set_speed, ua.VariantType.UInt16)
    await method("Refuse", refuse)
    await method("Text", set_speed, ua.VariantType.String)
    await method("Two", set_speed, ua.VariantType.Double, ua.VariantType.Double)
    names = ("Set", "Refuse", "Text", "Two", "Absent")
    node = "ns=2;s=Shown"
    for name in names:
        use(plant, f"Tag,{node},yes,ns=2;s={name}")
        tag = plant.tag("Tag")
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: bool(sink.received), what="a frame")  # noqa: B023
            if name == "Set":
                assert await plant.connector.write(tag, 1200.0) == 1200.0
                with pytest.raises(CommandError, match="outside 0 to 65535"):
                    await plant.connector.write(tag, -1.0)
            if name == "Refuse":
                with pytest.raises(DeviceError, match="check its state and mode"):
                    await plant.connector.write(tag, 1.0)
            if name == "Text":
                with pytest.raises(CommandError, match="is no single number"):
                    await plant.connector.write(tag, 1.0)
            if name == "Two":
                with pytest.raises(CommandError, match="takes 2 values"):
                    await plant.connector.write(tag, 1.0)
            if name == "Absent":
                with pytest.raises(DeviceError, match="Check the node ids"):
                    await plant.connector.write(tag, 1.0)
    assert calls == [(ua.VariantType.UInt16, 1200)]


@needs_node
async def test_methods_of_node_opcua(tmp_path: Path) -> None:
    """The object is found, or named; without an argument; out of the server's range."""
    async with opened_peer(tmp_path, policies="Basic256Sha256", modes="Sign") as plant:
        plant.connector = plant.connector_with(mode="Sign")
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: bool(sink.received), what="a frame")
            assert await plant.connector.write(plant.tag("Speed"), 1450.0) == 1450.0
            assert await plant.connector.write(plant.tag("Level"), 42.5) == 42.5
            assert await plant.connector.write(plant.tag("Running"), 1.0) == 1.0
            with pytest.raises(DeviceError, match="refuses to call") as caught:
                await plant.connector.write(plant.tag("Speed"), 3001.0)
            assert "put its range into" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Tag,i=3,,i=4", "is not writable"),
        ("Tag,i=3,yes,start", "call: node 'start' is not a node id"),
        ("Tag,i=3,yes,pump > i=4", "call: node 'pump' is not a node id"),
    ],
)
def test_mistakes_in_the_column_call(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "pumps.csv"
    path.write_text(f"tag,node,writable,call\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_opcua_tags(path)
