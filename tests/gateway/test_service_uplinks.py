"""The uplinks of a configuration: each table makes its own kind, and nothing heavy is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from cloud_sync.edge.http import HttpUplink
from cloud_sync.edge.mqtt import MqttUplink
from gateway.config import read_config
from gateway.core.errors import ConfigError
from gateway.core.events import Event
from gateway.core.records import GatewayId
from gateway.service.uplinks import build_uplink
from gateway.wire.clock import SystemClock

CONFIG = """\
[gateway]
id = "pumphouse-1"

[uplinks.cloud]
type = "http"
url = "https://sync.example.com"
token_file = "cloud.token"

[uplinks.broker]
type = "mqtt"
broker = "mqtts://broker.example.com:8883"
user = "pumphouse-1"
password_file = "broker.password"
token_file = "cloud.token"
"""


async def test_each_table_makes_its_kind_of_uplink(tmp_path: Path) -> None:
    """Files are looked for beside the configuration."""
    (tmp_path / "cloud.token").write_text("s3cret")
    (tmp_path / "broker.password").write_text("right")
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    config = read_config(path)
    told: list[Event] = []
    uplinks = [
        build_uplink(
            name,
            settings,
            gateway=GatewayId(config.gateway.id),
            note=told.append,
            clock=SystemClock(),
        )
        for name, settings in config.uplinks.items()
    ]
    assert [type(uplink) for uplink in uplinks] == [HttpUplink, MqttUplink]
    assert [uplink.name for uplink in uplinks] == ["cloud", "broker"]
    assert uplinks[1].address == "mqtts://broker.example.com:8883"


def test_a_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG.replace("mqtts:", "mqtt:").replace('"http"', '"carrier-pigeon"'))
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    first, second = caught.value.mistakes
    assert first.startswith("uplinks.cloud: ")
    assert "'http'" in first
    assert second.startswith("uplinks.broker: the password would travel in the clear")


def test_a_library_is_loaded_only_where_it_is_needed() -> None:
    modules = "gateway.config, gateway.service.uplinks, cloud_sync.cloud.service"
    program = f"import sys, {modules}; sys.exit('aiomqtt' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
