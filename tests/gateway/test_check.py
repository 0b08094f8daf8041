"""What `edgewright check` says of lines and uplinks, before anything runs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.check import command
from gateway.core.errors import ConfigError

CONFIG = """\
[gateway]
id = "g1"
site = "acme/ulm"

[connectors.blower]
type = "modbus"
address = "10.0.4.17:502"
tags = "blower.csv"
period_ms = {period_ms}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = [f"t{number},{20 * number},uint16" for number in range(40)]
    (tmp_path / "blower.csv").write_text("\n".join(["tag,address,type", *rows]), encoding="utf-8")
    return tmp_path / "gateway.toml"


def checked(path: Path, period_ms: int, *arguments: str) -> str:
    path.write_text(CONFIG.format(period_ms=period_ms), encoding="utf-8")
    result = CliRunner().invoke(command, [str(path), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_time_of_the_line_is_told(path: Path) -> None:
    """40 requests of about 5 ms."""
    text = checked(path, 1000)
    assert "40 tags in 40 requests, about 201 ms of a 1000 ms period" in text
    assert "too tight" not in text


def test_a_schedule_that_cannot_be_kept_is_told(path: Path) -> None:
    tight = "tags without a group: one scan needs 201 ms; the period is 100 ms"
    assert f"too tight, as estimated: {tight}" in checked(path, 100)
    assert json.loads(checked(path, 100, "--json"))["too_tight"] == {"blower": [tight]}


def test_a_serial_line_is_foretold_from_its_speed(path: Path) -> None:
    """At 9600 baud a request for one register is 22 characters, two silences, and 5 ms."""
    path.write_text(
        CONFIG.format(period_ms=1000).replace("10.0.4.17:502", "/dev/ttyS9") + "baud_bd = 9600\n",
        encoding="utf-8",
    )
    result = CliRunner().invoke(command, [str(path)])
    assert "40 tags in 40 requests, about 1208 ms of a 1000 ms period" in result.output
    assert "too tight, as estimated: tags without a group: one scan needs 1208 ms" in result.output


UPLINKS = """
[uplinks.cloud]
type = "http"
url = "https://sync.example.com"
token_file = "cloud.token"

[uplinks.historian]
type = "influxdb"
url = "https://influx.example.com"
bucket = "plant"
token_credential = "only_the_service_sees_it"
"""


def test_a_secret_that_is_missing_is_a_mistake(path: Path) -> None:
    """One in a file, that is: of a credential only the running service can tell."""
    path.write_text(CONFIG.format(period_ms=1000) + UPLINKS, encoding="utf-8")
    result = CliRunner().invoke(command, [str(path)])
    assert isinstance(result.exception, ConfigError)
    [mistake] = result.exception.mistakes
    assert mistake.startswith("uplinks.cloud: ")
    assert "cloud.token" in mistake
    (path.parent / "cloud.token").write_text("secret", encoding="utf-8")
    assert CliRunner().invoke(command, [str(path)]).exit_code == 0
