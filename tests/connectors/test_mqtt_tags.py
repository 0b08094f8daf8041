"""Tag lists and settings of the MQTT connector: every mistake at once, without connecting."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.mqtt.connector import MqttConfig, MqttConnector
from connectors.mqtt.json_message import QualityNumbers, TextNumbers, TimeFormat
from connectors.mqtt.tags import MqttRow, read_mqtt_tags
from gateway.core.errors import ConfigError
from gateway.wire.clock import SystemClock

HEADER = "tag,topic,path,time_path,time_format,writable,write_topic,write_payload\n"
GIVEN: dict[str, object] = {"type": "mqtt", "broker": "mqtt://b", "tags": "t.csv"}


def rows_of(folder: Path, lines: str) -> tuple[MqttRow, ...]:
    (folder / "t.csv").write_text(HEADER + lines, encoding="utf-8")
    return read_mqtt_tags(
        folder / "t.csv",
        text_numbers=TextNumbers.REFUSE,
        quality_numbers=QualityNumbers.OPC_UA,
    )


def test_a_line_is_read_as_written(tmp_path: Path) -> None:
    [row] = rows_of(tmp_path, "flow,a/+/b,/x~1y/0,/t,ms,,,\n")
    assert row.topic == "a/+/b"
    assert row.places.value == ("x/y", "0")
    assert (row.places.time, row.places.time_format) == (("t",), TimeFormat.MS)
    assert row.places.quality is None


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("a,x/#/y,,,,,,", "# stands alone"),
        ("a,x/y+,,,,,,", "one whole level"),
        ("a,,,,,,,", "is no topic"),
        ("a,$share/g/x,,,,,,", "is shared"),
        ("a,x,values,,,,,", "path: path 'values' is no JSON Pointer"),
        ("a,x,,,ms,,,", "time_format stands without time_path"),
        ("a,x,,/t,minutes,,,", "'minutes' is not one of"),
        ("a,x,,,,yes,,", "has no write_topic"),
        ("a,x/+,,,,yes,y,", "read from several topics"),
        ("a,x,,,,yes,y/#,", "is not one topic"),
        ("a,x,,,,yes,y,7", "has no {value}"),
        ("a,x,,,,,,\nb,x,,,,,,", 'is "a" already'),
        ("a,x,,,,,,\na,y,,,,,,", "stands in line 2 already"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, line: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rows_of(tmp_path, line + "\n")
    assert [mistake in text and text.startswith("t.csv:") for text in caught.value.mistakes] == [
        True
    ]


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ({"broker": "b:1883"}, "is not mqtt://host:port"),
        ({"broker": "mqtt://u@b"}, "a user stands in `user`"),
        ({"user": "u"}, "belong together"),
        ({"user": "u", "password_file": "p"}, "travel in the clear"),
        ({"ca_file": "ca.pem"}, "need mqtts://"),
        ({"broker": "mqtts://b", "key_file": "k"}, "belong together"),
        ({"receive_max": 300, "queue_messages_max": 200}, "is below receive_max"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, object], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        MqttConfig.model_validate(GIVEN | settings)


def test_files_that_are_not_there_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("tag,topic\na,x\n", encoding="utf-8")
    wrong: list[dict[str, object]] = [
        {"broker": "mqtts://b", "ca_file": "ca.pem"},
        {"broker": "mqtts://b", "user": "u", "password_file": "secret"},
    ]
    for settings in wrong:
        config = MqttConfig.model_validate(GIVEN | settings)
        with pytest.raises(ConfigError, match=r"connectors\.mixer\.(ca_file|password_file)"):
            MqttConnector("mixer", config, folder=tmp_path, gateway="g", clock=SystemClock())
