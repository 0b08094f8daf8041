"""The README names every option and every column, and its examples are real."""

import tomllib
from pathlib import Path

import pytest

from connectors.modbus.connector import ModbusConfig, ModbusConnector, ScanGroup
from connectors.modbus.tags import MODBUS_COLUMNS
from connectors.mqtt.connector import MqttConfig, MqttConnector, SilenceGroup
from connectors.mqtt.sparkplug import SparkplugConfig, SparkplugConnector
from connectors.mqtt.sparkplug_tags import SPARKPLUG_COLUMNS
from connectors.mqtt.tags import MQTT_COLUMNS
from connectors.opcua.connector import OpcuaConfig, OpcuaConnector, SubscriptionGroup
from connectors.opcua.events import EventSettings
from connectors.opcua.tags import OPCUA_COLUMNS
from gateway.wire.clock import SystemClock

README = (Path(__file__).parents[2] / "connectors" / "README.md").read_text(encoding="utf-8")
MODELS = (
    ModbusConfig,
    ScanGroup,
    OpcuaConfig,
    SubscriptionGroup,
    EventSettings,
    MqttConfig,
    SilenceGroup,
    SparkplugConfig,
)


@pytest.mark.parametrize(
    "name",
    sorted(
        {*(name for model in MODELS for name in model.model_fields)}
        | {*MODBUS_COLUMNS, *OPCUA_COLUMNS, *MQTT_COLUMNS, *SPARKPLUG_COLUMNS}
    ),
)
def test_every_option_and_column_is_named(name: str) -> None:
    assert f"`{name}`" in README or f"    {name} " in README or f".{name}." in README


def examples() -> list[str]:
    """Return the indented blocks."""
    blocks: list[list[str]] = [[]]
    for line in README.splitlines():
        if line.startswith("    "):
            blocks[-1].append(line[4:])
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def test_the_examples_work(tmp_path: Path) -> None:
    """Put together they are a configuration whose connectors can be built."""
    blocks = examples()
    tables = tomllib.loads("\n".join(block for block in blocks if block.startswith("[")))
    # The second column says where a value is, and so which list it is.
    lists = {block.split(",")[1]: block for block in blocks if block.startswith("tag,")}
    (tmp_path / "blower.csv").write_text(lists["address"], encoding="utf-8")
    (tmp_path / "pumps.csv").write_text(lists["node"], encoding="utf-8")
    blower = ModbusConnector(
        "blower",
        ModbusConfig.model_validate(tables["connectors"]["blower"]),
        folder=tmp_path,
        clock=SystemClock(),
    )
    pumps = OpcuaConnector(
        "pumps",
        OpcuaConfig.model_validate(tables["connectors"]["pumps"]),
        folder=tmp_path,
        state_folder=tmp_path,
        clock=SystemClock(),
    )
    (tmp_path / "mixer.csv").write_text(lists["topic"], encoding="utf-8")
    mixer = MqttConnector(
        "mixer",
        MqttConfig.model_validate(tables["connectors"]["mixer"]),
        folder=tmp_path,
        gateway="pumphouse-1",
        clock=SystemClock(),
    )
    (tmp_path / "site.csv").write_text(lists["edge_node"], encoding="utf-8")
    site = SparkplugConnector(
        "site",
        SparkplugConfig.model_validate(tables["connectors"]["site"]),
        folder=tmp_path,
        gateway="pumphouse-1",
        clock=SystemClock(),
    )
    connectors = (blower, pumps, mixer, site)
    assert [tag.id for connector in connectors for tag in connector.tags] == [
        "blower.speed",
        "blower.flow",
        "blower.fan_running",
        "blower.filter_alarm",
        "pumps.P101.Flow",
        "pumps.P101.Speed",
        "mixer.flow",
        "mixer.level",
        "mixer.setpoint",
        "site.uptime",
        "site.flow",
    ]
