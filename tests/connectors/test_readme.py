"""The README names every option and every column, and its examples are real."""

import tomllib
from pathlib import Path

import pytest

from connectors.modbus import ModbusConfig, ModbusConnector, ScanGroup
from connectors.opcua import OpcuaConfig, OpcuaConnector, SubscriptionGroup
from connectors.opcua_events import EventSettings
from connectors.taglist import MODBUS_COLUMNS, OPCUA_COLUMNS
from gateway.wire.clock import SystemClock

README = (Path(__file__).parents[2] / "connectors" / "README.md").read_text(encoding="utf-8")
MODELS = (ModbusConfig, ScanGroup, OpcuaConfig, SubscriptionGroup, EventSettings)


@pytest.mark.parametrize(
    "name",
    sorted(
        {*(name for model in MODELS for name in model.model_fields)}
        | {*MODBUS_COLUMNS, *OPCUA_COLUMNS}
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
    """Put together they are a configuration with two connectors that can be built."""
    blocks = examples()
    tables = tomllib.loads("\n".join(block for block in blocks if block.startswith("[")))
    registers, nodes = (block for block in blocks if block.startswith("tag,"))
    (tmp_path / "blower.csv").write_text(registers, encoding="utf-8")
    (tmp_path / "pumps.csv").write_text(nodes, encoding="utf-8")
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
    assert [tag.id for tag in (*blower.tags, *pumps.tags)] == [
        "blower.speed",
        "blower.flow",
        "blower.fan_running",
        "blower.filter_alarm",
        "pumps.P101.Flow",
        "pumps.P101.Speed",
    ]
