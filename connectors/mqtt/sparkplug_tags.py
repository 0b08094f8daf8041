"""The tag list of a Sparkplug connector: which metric of which edge node or device is a tag."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from connectors.sheet import Line, Sheet, read_sheet
from connectors.taglist import COMMON_COLUMNS, TagEntry, check_names, tag_entry

SPARKPLUG_COLUMNS = (
    "tag",
    "group_id",
    "edge_node",
    "device",
    "metric",
    *(name for name in COMMON_COLUMNS if name != "group"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPlace:
    """Where a metric is."""

    group: str
    edge_node: str
    device: str
    """Empty for the edge node itself."""
    metric: str

    def __str__(self) -> str:
        """Return it for a person."""
        return "/".join(filter(None, (self.group, self.edge_node, self.device, self.metric)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkplugRow:
    """A line of the tag list."""

    entry: TagEntry
    place: MetricPlace


def read_sparkplug_tags(path: Path, *, group_id: str) -> tuple[SparkplugRow, ...]:
    """Return the lines of a tag list.

    Args:
        path: The file.
        group_id: Group of the lines that name none.
    Raises:
        ConfigError: with every mistake in the file.
    """
    sheet = read_sheet(path, SPARKPLUG_COLUMNS, required=("tag", "edge_node", "metric"))
    rows = []
    for line in sheet.lines:
        place = MetricPlace(
            group=_id(line, "group_id", line.text("group_id") or group_id),
            edge_node=_id(line, "edge_node", line.text("edge_node")),
            device=_id(line, "device", line.text("device")) if line.text("device") else "",
            metric=line.text("metric"),
        )
        if not place.metric:
            line.mistake("metric is empty")
        rows.append(SparkplugRow(entry=tag_entry(line), place=place))
    check_names(sheet, [row.entry for row in rows])
    _check_twice(sheet, rows)
    sheet.check()
    return tuple(rows)


def _id(line: Line, column: str, text: str) -> str:
    """Check an id (tck-id-topic-structure-namespace-valid-group-id and its siblings)."""
    if not text or any(mark in text for mark in "+/#"):
        line.mistake(f"{column} {text!r} is empty, or has one of + / #")
    return text


def _check_twice(sheet: Sheet, rows: Iterable[SparkplugRow]) -> None:
    owners: dict[MetricPlace, TagEntry] = {}
    for row in rows:
        owner = owners.setdefault(row.place, row.entry)
        if owner is not row.entry:
            sheet.mistake(row.entry.line, f'metric {row.place} is "{owner.name}" already')
