"""The configuration: all mistakes at once, each with its place, and paths beside the file."""

from pathlib import Path

import pytest

from gateway.config import read_config
from gateway.core.errors import ConfigError
from gateway.service.build import build_parts
from gateway.wire.clock import SystemClock

TAG_LIST = "tag,address,type,unit\nflow_m3h,0,float32,m3/h\npressure_bar,2,float32,bar\n"
GOOD = """
[gateway]
id = "pumphouse-1"
state_folder = "state"

[connectors.blower]
type = "modbus"
address = "127.0.0.1:502"
tags = "blower.csv"

[twins.K-01]
type = "generic"
tags = { flow_m3h = "blower.flow_m3h" }

[twins.K-01.alarms.flow_low]
when = "flow_m3h < 5"
"""
TEN_MISTAKES = """
[gateway]
id = "pump house"
colour = "blue"
ingress_size_mib = 0

[connectors.blower]
type = "modbus"
address = "10.0.0.7:modbus"
unit = 300
period_ms = 1
tags = "blower.csv"

[connectors.press]
type = "carrier-pigeon"

[twins.K-01]
type = "generic"
tags = { flow_m3h = "blower.flow_m3h" }

[twins.K-01.alarms.flow_low]
when = "flow is low"
severity = 0

[log]
group_commit_s = -1
"""


def written(folder: Path, text: str, tag_list: str = TAG_LIST) -> Path:
    (folder / "blower.csv").write_text(tag_list, encoding="utf-8")
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def build(path: Path) -> None:
    build_parts(read_config(path), folder=path.parent, clock=SystemClock())


def test_a_good_configuration_builds_and_connects_to_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    config = read_config(path)
    parts = build_parts(config, folder=tmp_path, clock=SystemClock())
    assert [tag.id for tag in parts.tags][:2] == ["blower.flow_m3h", "blower.pressure_bar"]
    assert config.gateway.state_folder == tmp_path / "state"
    assert not (tmp_path / "state").exists()


def test_ten_mistakes_give_ten_lines_with_their_places(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, TEN_MISTAKES))
    places = [mistake.partition(": ")[0] for mistake in caught.value.mistakes]
    assert sorted(places) == [
        "connectors.blower.address",
        "connectors.blower.period_ms",
        "connectors.blower.unit",
        "connectors.press",
        "gateway.colour",
        "gateway.id",
        "gateway.ingress_size_mib",
        "log.group_commit_s",
        "twins.K-01.alarms.flow_low.severity",
        "twins.K-01.alarms.flow_low.when",
    ]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("blower.flow_m3h", "blower.speed", "twins.K-01.tags.flow_m3h: no connector has"),
        ("flow_m3h < 5", "speed < 5", "twins.K-01.alarms.flow_low.when: there is no tag"),
        (
            'when = "flow_m3h < 5"',
            'when = "flow_m3h < 5"\nsuppress_when = ["stopped", "blower.pause > 0"]',
            "flow_low.suppress_when: 'blower.pause > 0' names what is neither a tag nor an alarm",
        ),
        (
            'when = "flow_m3h < 5"',
            'when = "flow_m3h < 5"\nsuppress_when = ["tripped"]',
            "flow_low.suppress_when: 'alarm K-01/tripped' names what is neither",
        ),
        (
            'when = "flow_m3h < 5"',
            'when = "flow_m3h < 5"\nsuppress_when = ["flow_low"]',
            "an alarm cannot suppress itself",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_named(
    tmp_path: Path, old: str, new: str, place: str
) -> None:
    with pytest.raises(ConfigError, match=place):
        build(written(tmp_path, GOOD.replace(old, new)))


def test_mistakes_in_a_tag_list_name_file_and_line(tmp_path: Path) -> None:
    overlapping = TAG_LIST + "speed_rpm,3,float32,/min\n"
    with pytest.raises(ConfigError, match=r"blower.csv:4: "):
        build(written(tmp_path, GOOD, overlapping))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[gateway", "gateway.toml"),
        (b"\xff\xfe", "save it as UTF-8"),
        (b"", "gateway: is missing"),
    ],
)
def test_a_file_that_is_no_configuration_says_so(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_config(path)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "gateway.toml")
