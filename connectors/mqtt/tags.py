"""The tag list of an MQTT connector: which topic and path a value is read from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from connectors.mqtt.json_message import (
    Places,
    Pointer,
    QualityNumbers,
    TextNumbers,
    TimeFormat,
    parse_pointer,
)
from connectors.sheet import Line, Sheet, read_sheet
from connectors.taglist import COMMON_COLUMNS, TagEntry, check_names, tag_entry

MQTT_COLUMNS = (
    "tag",
    "topic",
    "path",
    "time_path",
    "time_format",
    "quality_path",
    *COMMON_COLUMNS,
    "write_topic",
    "write_payload",
)
TOPIC_BYTES_MAX = 65_535
"""MQTT 5.0, 1.5.4."""
VALUE_MARK = "{value}"
"""Stands for the number in a payload that is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttRow:
    """A line of the tag list."""

    entry: TagEntry
    topic: str
    """Topic, or a filter with `+` and `#`."""
    places: Places
    write_topic: str
    """Empty where nothing can be written."""
    write_payload: str
    """With `{value}` where the number goes."""


def read_mqtt_tags(
    path: Path, *, text_numbers: TextNumbers, quality_numbers: QualityNumbers
) -> tuple[MqttRow, ...]:
    """Return the lines of a tag list.

    Args:
        path: The file.
        text_numbers: For all tags.
        quality_numbers: For all tags.
    Raises:
        ConfigError: with every mistake in the file.
    """
    sheet = read_sheet(path, MQTT_COLUMNS, required=("tag", "topic"))
    rows = []
    for line in sheet.lines:
        entry = tag_entry(line)
        _check_topic(line, "topic", line.text("topic"))
        has_time = bool(line.text("time_path"))
        if line.text("time_format") and not has_time:
            line.mistake("time_format stands without time_path")
        value = _pointer(line, "path")
        places = Places(
            value=value,
            time=_pointer(line, "time_path") if has_time else None,
            time_format=line.choice_of("time_format", TimeFormat.ISO8601),
            quality=_pointer(line, "quality_path") if line.text("quality_path") else None,
            text_numbers=text_numbers,
            quality_numbers=quality_numbers,
        )
        row = MqttRow(
            entry=entry,
            topic=line.text("topic"),
            places=places,
            write_topic=line.text("write_topic"),
            write_payload=line.text("write_payload") or VALUE_MARK,
        )
        _check_writable(line, row)
        rows.append(row)
    check_names(sheet, [row.entry for row in rows])
    _check_twice(sheet, rows)
    sheet.check()
    return tuple(rows)


def has_wildcard(topic: str) -> bool:
    """Tell whether a topic stands for several (MQTT 5.0, 4.7.1)."""
    return "+" in topic or "#" in topic


def _pointer(line: Line, column: str) -> Pointer:
    try:
        return parse_pointer(line.text(column))
    except ValueError as error:
        line.mistake(f"{column}: {error}")
        return ()


def _check_topic(line: Line, column: str, topic: str) -> None:
    """Check a filter (MQTT 5.0, 4.7): `+` is a level of its own, `#` the last one."""
    levels = topic.split("/")
    if not topic or "\0" in topic or len(topic.encode()) > TOPIC_BYTES_MAX:
        line.mistake(f"{column} {topic!r} is no topic")
    elif topic.startswith("$share/"):
        line.mistake(f"{column} {topic!r} is shared: every gateway would see a part of it only")
    elif any("+" in level and level != "+" for level in levels):
        line.mistake(f"{column} {topic!r}: + stands for one whole level")
    elif any("#" in level and level != "#" for level in levels) or "#" in levels[:-1]:
        line.mistake(f"{column} {topic!r}: # stands alone, as the last level")


def _check_writable(line: Line, row: MqttRow) -> None:
    if row.write_topic:
        _check_topic(line, "write_topic", row.write_topic)
        if has_wildcard(row.write_topic):
            line.mistake(f"write_topic {row.write_topic!r} is not one topic")
        if VALUE_MARK not in row.write_payload:
            line.mistake(f"write_payload {row.write_payload!r} has no {VALUE_MARK}")
    if row.entry.writable and not row.write_topic:
        line.mistake(f'"{row.entry.name}" is writable, but has no write_topic')
    if row.entry.writable and has_wildcard(row.topic):
        line.mistake(f'"{row.entry.name}" is writable, but is read from several topics')


def _check_twice(sheet: Sheet, rows: Iterable[MqttRow]) -> None:
    owners: dict[tuple[str, Pointer], TagEntry] = {}
    for row in rows:
        owner = owners.setdefault((row.topic, row.places.value), row.entry)
        if owner is not row.entry:
            sheet.mistake(
                row.entry.line, f'topic {row.topic!r} at this path is "{owner.name}" already'
            )
