"""The device's rules as people write them, and register maps that break them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from connectors.modbus.plan import Span
from connectors.modbus.plan_settings import PlanSettings, parse_range
from connectors.modbus.registers import Area
from gateway.core.errors import ConfigError
from gateway.wire.clock import SystemClock


@pytest.mark.parametrize(
    ("text", "area", "first", "end"),
    [
        ("holding:100-120", Area.HOLDING_REGISTER, 100, 121),
        ("input:7", Area.INPUT_REGISTER, 7, 8),
        ("Coil: 0 - 15", Area.COIL, 0, 16),
        ("discrete 65535", Area.DISCRETE_INPUT, 65535, 65536),
    ],
)
def test_a_range_of_addresses(text: str, area: Area, first: int, end: int) -> None:
    assert parse_range(text) == Span(area=area, first=first, end=end)


@pytest.mark.parametrize("text", ["100-120", "holding:9-3", "input:70000", "register:7", "input:"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValidationError):
        PlanSettings(forbidden=(text,))


def test_a_retry_does_not_begin_above_its_cap() -> None:
    with pytest.raises(ValidationError, match="retry_first_s 9 is above retry_cap_s 3"):
        PlanSettings(retry_first_s=9, retry_cap_s=3)


def test_every_line_that_breaks_the_rules_is_told(tmp_path: Path) -> None:
    (tmp_path / "blower.csv").write_text(
        "tag,address,type,writable,group\n"
        "fine,104,uint16,,\n"
        "inside,40101,float32,,\n"
        "aligned,103,uint16,,\n"
        "long,200,string40,,\n"
        "bit,300,bit3,yes,\n"
        "fast,301,uint16,,fast\n",
        encoding="utf-8",
    )
    config = ModbusConfig.model_validate(
        {
            "type": "modbus",
            "address": "10.0.4.17",
            "tags": "blower.csv",
            "alignment": 4,
            "block_registers_max": 16,
            "forbidden": ["holding:100-102"],
        }
    )
    with pytest.raises(ConfigError) as caught:
        ModbusConnector("blower", config, folder=tmp_path, clock=SystemClock())
    assert list(caught.value.mistakes) == [
        "blower.csv:7: group 'fast' has no rate: add [connectors.blower.groups.fast]",
        "blower.csv:3: address 40101 is forbidden: connectors.blower.forbidden has "
        "holding 100 to 102",
        "blower.csv:4: address 103, read from 100 on, is forbidden: "
        "connectors.blower.forbidden has holding 100 to 102",
        "blower.csv:5: string40 at 200 does not fit into one request: connectors.blower allows "
        "16 addresses from a multiple of 4 on",
        'blower.csv:6: "bit" is writable, but a bit of a register is only written with '
        'connectors.blower.bit_writes = "mask" or "read_modify_write"',
    ]
