"""Writes `sample.toml`: every option of a gateway, explained, from the models themselves.

`python -m gateway.sample > sample.toml` makes it anew; a test compares the two.
"""

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from gateway.config import Config

HEAD = """\
## Every option of an Edgewright gateway. `##` explains, `#` shows a default: take the mark away to
## change it. What has no mark must be given. Paths are meant from this file's own folder.
"""
WIDTH = 100
ENTRY_NAMES = {
    "OpcuaConfig": "pumps",
    "SubscriptionGroup": "slow",
    "ModbusConfig": "blower",
    "ScanGroup": "slow",
    "WaveformSettings": "drive_end",
    "MqttConfig": "mixer",
    "SilenceGroup": "slow",
    "SparkplugConfig": "site",
    "PumpConfig": "P-101",
    "CompressorConfig": "K-01",
    "GenericConfig": "M-7",
    "AlarmSettings": "vibration_high",
    "SensorSettings": "drive_end",
    "CameraConfig": "gate",
    "HttpUplinkConfig": "cloud",
    "MqttUplinkConfig": "broker",
    "InfluxdbUplinkConfig": "influx",
}
"""A name for the example of each table of tables, by its class."""
EXAMPLES: dict[str, object] = {
    "SensorSettings.tag": "pumps.P101.Acceleration",
    "WaveformSettings.address": "input:1000",
    "WaveformSettings.count": 2048,
    "WaveformSettings.rate_hz": 12_800,
    "WaveformSettings.counter": "input:990",
    "GatewaySettings.id": "pumphouse-1",
    "OpcuaConfig.endpoint": "opc.tcp://10.0.4.20:4840",
    "OpcuaConfig.security": "Basic256Sha256",
    "OpcuaConfig.tags": "pumps.csv",
    "ModbusConfig.address": "10.0.4.17:502",
    "ModbusConfig.tags": "blower.csv",
    "ScanGroup.period_ms": 10_000,
    "MqttConfig.broker": "mqtts://broker.example.com:8883",
    "MqttConfig.tags": "mixer.csv",
    "SilenceGroup.silence_s_max": 600.0,
    "SparkplugConfig.broker": "mqtts://broker.example.com:8883",
    "SparkplugConfig.tags": "site.csv",
    "PumpConfig.tags": {"speed_rpm": "pumps.P101.Speed", "flow_m3h": "pumps.P101.Flow"},
    "CompressorConfig.tags": {"speed_rpm": "blower.speed_rpm", "flow_m3h": "blower.flow_m3h"},
    "GenericConfig.tags": {"level_m": "blower.level_m"},
    "AlarmSettings.when": "vibration_mm_s > 4.5",
    "CameraConfig.type": "folder",
    "CameraConfig.folder": "/srv/pictures",
    "CameraConfig.asset": "M-7",
    "CameraConfig.model": "yolox-nano-coco",
    "EncryptionSettings.key_file": "log.key",
    "HttpUplinkConfig.url": "https://sync.example.com",
    "MqttUplinkConfig.broker": "mqtts://broker.example.com:8883",
    "InfluxdbUplinkConfig.url": "https://influx.example.com:8086",
    "InfluxdbUplinkConfig.bucket": "plant",
    "ModelSourceConfig.url": "https://sync.example.com/tuf",
    "ModelSourceConfig.root_file": "root.json",
}
"""What stands for an option that must be given, alone or instead of another, by class and name."""


def sample() -> str:
    """Return the text of `sample.toml`."""
    return "\n".join([HEAD, *_table(Config, "")]).rstrip() + "\n"


def _table(model: type[BaseModel], place: str) -> Iterator[str]:
    """Yield the lines of one table: its options first, then the tables inside it.

    What must be given stands before what has a default, wherever its class was derived from.
    """
    inner: list[tuple[str, FieldInfo]] = []
    for name, field in sorted(
        model.model_fields.items(),
        key=lambda named: (named[0] != "type", not named[1].is_required()),
    ):
        if _models_in(field.annotation):
            inner.append((name, field))
        else:
            yield from _option(model, name, field)
    for name, field in inner:
        yield from _inner_table(name, field, place)


def _inner_table(name: str, field: FieldInfo, place: str) -> Iterator[str]:
    is_mapping = get_origin(field.annotation) is dict
    for model in _models_in(field.annotation):
        key = f"{place}{name}"
        if is_mapping:
            key += f".{ENTRY_NAMES[model.__name__]}"
        yield ""
        about = (model.__doc__ or "") if is_mapping else (field.description or "")
        yield from _explained(about.strip().partition("\n\n")[0])
        yield f"[{key}]"
        yield from _table(model, f"{key}.")


def _option(model: type[BaseModel], name: str, field: FieldInfo) -> Iterator[str]:
    yield from _explained(field.description or "")
    literals = get_args(field.annotation)
    example = EXAMPLES.get(f"{model.__name__}.{name}")
    # The one value of a `type` selects the table's kind: it is always written.
    if field.is_required() or len(literals) == 1 or example is not None:
        example = example or (literals[0] if literals else None)
        assert example is not None, f"{model.__name__}.{name} needs an example"
        yield f"{name} = {_toml(example)}"
        return
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, SecretStr):
        default = ""
    yield f"# {name} =" if default is None else f"# {name} = {_toml(default)}"


def _explained(text: str) -> Iterator[str]:
    line = "##"
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH:
            yield line
            line = "##"
        line += f" {word}"
    if line != "##":
        yield line


def _models_in(annotation: Any) -> tuple[type[BaseModel], ...]:  # an annotation is of any type
    """Return the settings classes that a field holds: itself, in a union, or in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    origin = get_origin(annotation)
    if origin is dict:
        return _models_in(get_args(annotation)[1])
    if origin is Annotated:
        return _models_in(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(model for part in get_args(annotation) for model in _models_in(part))
    return ()


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case tuple() | list():
            return "[" + ", ".join(_toml(each) for each in value) + "]"
        case dict():
            inside = ", ".join(f"{key} = {_toml(each)}" for key, each in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            return str(value)


if __name__ == "__main__":
    print(sample(), end="")  # noqa: T201  # the text is its output
