"""Tag lists: which values of a machine are wanted, where they are, and what they mean.

`tag` names a value within its connector. `unit`, `scale`, `offset`, `low`, `high` and `writable`
become those of the `Tag`; `group` picks a rate. The rest says where the value is.
"""

import math
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from connectors.nodes import MethodAddress, NodeAddress, parse_method, parse_node
from connectors.point_text import area_words, parse_point
from connectors.registers import HALVES, Area, ByteOrder, NumberType, Point
from connectors.sheet import Line, Sheet, read_sheet
from gateway.core.errors import ConfigError
from gateway.core.tags import Tag, TagId

COMMON_COLUMNS = ("unit", "group", "scale", "offset", "low", "high", "writable")
MODBUS_COLUMNS = ("tag", "address", "type", "order", *COMMON_COLUMNS)
OPCUA_COLUMNS = ("tag", "node", "element", "dead_band", "call", *COMMON_COLUMNS)

_TAG_NAME = re.compile(r"[\w.\-\[\]:]+")
_PARTS = (NumberType.BIT, *HALVES)
"""Types of which several may be in one register."""
_ELEMENT_MAX = 0xFFFF_FFFF
_PERCENT_MAX = 100


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusRow:
    """A line of a register map."""

    entry: TagEntry
    point: Point
    address_text: str
    """As written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadBand:
    """The smallest change that a server reports."""

    size: float
    """In engineering units, or in percent; 0 is none."""
    is_percent: bool = False
    """Of the range of the value (OPC 10000-8, 6.2: of its EURange)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpcuaRow:
    """A line of a node list."""

    entry: TagEntry
    node: NodeAddress
    element: int | None
    """Which element of an array, from 0; None for a value that is no array."""
    dead_band: DeadBand
    call: MethodAddress | None
    """What a command to the tag calls; None writes to the node."""


def read_modbus_tags(path: Path) -> tuple[ModbusRow, ...]:
    """Return the lines of a register map.

    Raises:
        ConfigError: with every mistake in the file.
    """
    sheet = read_sheet(path, MODBUS_COLUMNS, required=("tag", "address", "type"))
    rows = []
    for line in sheet.lines:
        entry, point = tag_entry(line), _point(line)
        if point is not None:
            _check_writable(line, entry, point)
            rows.append(ModbusRow(entry=entry, point=point, address_text=line.text("address")))
    check_names(sheet, [row.entry for row in rows])
    _check_overlaps(sheet, rows)
    sheet.check()
    return tuple(rows)


def read_opcua_tags(path: Path) -> tuple[OpcuaRow, ...]:
    """Return the lines of a node list.

    Raises:
        ConfigError: with every mistake in the file.
    """
    sheet = read_sheet(path, OPCUA_COLUMNS, required=("tag", "node"))
    rows = []
    for line in sheet.lines:
        entry, node = tag_entry(line), _node(line)
        element, dead_band, call = _element(line), _dead_band(line), _call(line, entry)
        if element is not None and entry.writable:
            line.mistake(
                f'"{entry.name}" is writable, but an element of an array cannot be written'
            )
        if node is not None:
            row = OpcuaRow(entry=entry, node=node, element=element, dead_band=dead_band, call=call)
            rows.append(row)
    check_names(sheet, [row.entry for row in rows])
    _check_nodes(sheet, rows)
    sheet.check()
    return tuple(rows)


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


def _node(line: Line) -> NodeAddress | None:
    """Return the node of a line; None when it is none."""
    try:
        return parse_node(line.text("node"))
    except ValueError as error:
        line.mistake(str(error))
        return None


def _call(line: Line, entry: TagEntry) -> MethodAddress | None:
    """Return the method of a line; None when it names none."""
    text = line.text("call")
    if not text:
        return None
    if not entry.writable:
        line.mistake(f'"{entry.name}" has a method in `call`, but is not writable')
    try:
        return parse_method(text)
    except ValueError as error:
        line.mistake(f"call: {error}")
        return None


def _element(line: Line) -> int | None:
    """Return which element of an array a line means; None when it means the whole value."""
    text = line.text("element")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text) <= _ELEMENT_MAX):
        line.mistake(f"element {text!r} is not a whole number from 0 on")
        return None
    return int(text)


def _dead_band(line: Line) -> DeadBand:
    """Return the dead band of a line: `0.5` in engineering units, or `5%` of the range."""
    size = line.number_of("dead_band", 0.0, unit="%")
    is_percent = line.text("dead_band").endswith("%")
    if size < 0:
        line.mistake(f"dead_band {line.text('dead_band')} is below 0")
    if is_percent and size > _PERCENT_MAX:
        line.mistake(f"dead_band {line.text('dead_band')} is above {_PERCENT_MAX}%")
    return DeadBand(size=size, is_percent=is_percent)


def _point(line: Line) -> Point | None:
    """Return where the value of a line is and how to read it; None when that is not clear."""
    order = line.choice_of("order", ByteOrder.ABCD)
    try:
        return parse_point(line.text("address"), line.text("type"), order)
    except ValueError as error:
        line.mistake(str(error))
        return None


def _check_writable(line: Line, entry: TagEntry, point: Point) -> None:
    if not entry.writable:
        return
    what = ""
    if not point.area.is_writable:
        what = area_words(point.area)
    elif point.is_text:
        what = "text"
    elif point.type in HALVES:
        what = "half a register"
    if what:
        line.mistake(f'"{entry.name}" is writable, but {what} cannot be written')


def check_names(sheet: Sheet, entries: Iterable[TagEntry]) -> None:
    """Note every name that stands there twice, and a list without any."""
    owners: dict[str, TagEntry] = {}
    for entry in entries:
        owner = owners.setdefault(entry.name, entry)
        if owner is not entry:
            sheet.mistake(entry.line, f'tag "{entry.name}" stands in line {owner.line} already')
    if not owners and not sheet.has_mistakes:
        sheet.mistake(1, "the list has no tags")


def _check_nodes(sheet: Sheet, rows: Iterable[OpcuaRow]) -> None:
    owners: dict[tuple[NodeAddress, int | None], TagEntry] = {}
    for row in rows:
        owner = owners.setdefault((row.node, row.element), row.entry)
        if owner is not row.entry:
            which = "" if row.element is None else f" element {row.element}"
            sheet.mistake(row.entry.line, f'node {row.node}{which} is "{owner.name}" already')


def _check_overlaps(sheet: Sheet, rows: Iterable[ModbusRow]) -> None:
    """Note every row that uses an address of an earlier one; bits may share a register."""
    owners: dict[tuple[Area, int], list[ModbusRow]] = {}
    for row in rows:
        for address in range(row.point.address, row.point.end):
            sharing = owners.setdefault((row.point.area, address), [])
            for other in sharing:
                if not _may_share(row.point, other.point):
                    sheet.mistake(
                        row.entry.line,
                        f"address {row.address_text} overlaps "
                        f'"{other.entry.name}" ({other.address_text}, {other.point.type_text})',
                    )
            sharing.append(row)


def _may_share(point: Point, other: Point) -> bool:
    """Tell whether two points at one register are different parts of it, or a word and a bit."""
    if point.size > 1 or other.size > 1 or point.is_text or other.is_text:
        return False
    parts = [one.type_text for one in (point, other) if one.type in _PARTS]
    return len(set(parts)) == len(parts) > 0
