"""Tag lists: which values of a machine are wanted, where they are, and what they mean.

`tag` names a value within its connector. `unit`, `scale`, `offset`, `low`, `high` and `writable`
become those of the `Tag`; `group` picks a rate. The rest says where the value is.
"""

import math
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass

from connectors.sheet import Line, Sheet
from gateway.core.errors import ConfigError
from gateway.core.tags import Tag, TagId

COMMON_COLUMNS = ("unit", "group", "scale", "offset", "low", "high", "writable")

_TAG_NAME = re.compile(r"[\w.\-\[\]:]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TagEntry:
    """What every tag list says of a tag."""

    line: int
    """In the file, from 1."""
    name: str
    """Unique in the file."""
    unit: str
    group: str
    """Empty is the connector's own rate."""
    scale: float
    offset: float
    low: float
    high: float
    writable: bool

    def tag(self, connector: str) -> Tag:
        """Return the tag under its full name."""
        return Tag(
            id=TagId(f"{connector}.{self.name}"),
            unit=self.unit,
            low=self.low,
            high=self.high,
            scale=self.scale,
            offset=self.offset,
            writable=self.writable,
        )


def check_groups(
    entries: Iterable[TagEntry], groups: Container[str], *, file: str, connector: str
) -> None:
    """Check that the configuration says how fast each group is.

    Raises:
        ConfigError: with the first line of every group that it does not know.
    """
    unknown: dict[str, int] = {}
    for entry in entries:
        if entry.group and entry.group not in groups:
            unknown.setdefault(entry.group, entry.line)
    if unknown:
        raise ConfigError(
            *(
                f"{file}:{line}: group {group!r} has no rate: add "
                f"[connectors.{connector}.groups.{group}]"
                for group, line in unknown.items()
            )
        )


def tag_entry(line: Line) -> TagEntry:
    """Return what every tag list says of a tag; mistakes are noted in the sheet."""
    name = line.text("tag")
    if not _TAG_NAME.fullmatch(name):
        line.mistake(f"tag {name!r} is not made of letters, digits and . _ - : [ ]")
    scale = line.number_of("scale", 1.0)
    if scale == 0:
        line.mistake("scale is 0")
    low, high = line.number_of("low", -math.inf), line.number_of("high", math.inf)
    if not low < high:
        line.mistake(f"low {low:g} is not below high {high:g}")
    return TagEntry(
        line=line.number,
        name=name,
        unit=line.text("unit"),
        group=line.text("group"),
        scale=scale,
        offset=line.number_of("offset", 0.0),
        low=low,
        high=high,
        writable=line.flag_of("writable"),
    )


def check_names(sheet: Sheet, entries: Iterable[TagEntry]) -> None:
    """Note every name that stands there twice, and a list without any."""
    owners: dict[str, TagEntry] = {}
    for entry in entries:
        owner = owners.setdefault(entry.name, entry)
        if owner is not entry:
            sheet.mistake(entry.line, f'tag "{entry.name}" stands in line {owner.line} already')
    if not owners and not sheet.has_mistakes:
        sheet.mistake(1, "the list has no tags")
