"""What a line may be told, and what does not go together."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.modbus.line_settings import LineSettings, line_key
from connectors.modbus.line_transport import stable_path


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ({"address": "10.0.4.17", "baud_bd": 9600}, "baud_bd is for a serial port"),
        ({"address": "10.0.4.17", "parity": "none"}, "parity is for a serial port"),
        ({"address": "/dev/ttyS1", "requests_in_flight_max": 2}, "only one request on the line"),
        (
            {"address": "10.0.4.17", "framing": "rtu", "requests_in_flight_max": 2},
            "only one request on the line",
        ),
        ({"address": "10.0.4.17", "backup_address": "10.0.4.17"}, "is the address itself"),
        ({"address": "10.0.4.17", "backup_address": "/dev/ttyS1"}, "another kind of line"),
        ({"address": "10.0.4.17", "backup_address": "host:0"}, "neither host:port"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, object], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        LineSettings.model_validate(settings)


def test_a_path_is_a_serial_port_with_rtu() -> None:
    settings = LineSettings.model_validate({"address": "/dev/ttyS1", "parity": "none"})
    assert settings.is_serial
    assert settings.is_rtu
    assert settings.character_bits == 10
    assert not LineSettings.model_validate({"address": "plc"}).is_serial


@pytest.mark.parametrize(
    ("one", "other"), [("10.0.4.17", "10.0.4.17:502"), ("PLC.plant", "plc.plant:502")]
)
def test_ways_to_write_one_address_are_one_line(one: str, other: str) -> None:
    assert line_key(one) == line_key(other)


def test_a_port_named_by_chance_has_a_stable_name(tmp_path: Path) -> None:
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    port = tmp_path / "ttyUSB0"
    port.touch()
    assert stable_path(str(port), by_id) is None
    (by_id / "usb-FTDI-port0").symlink_to("../ttyUSB0")
    assert stable_path(str(port), by_id) == by_id / "usb-FTDI-port0"
    assert stable_path(str(by_id / "usb-FTDI-port0"), by_id) is None
    assert stable_path("10.0.4.17", by_id) is None
    assert stable_path(str(port), tmp_path / "nothing") is None
