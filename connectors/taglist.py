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
from connectors.registers import Area, ByteOrder, NumberType, Point
from connectors.sheet import Line, Sheet, read_sheet
from gateway.core.errors import ConfigError
from gateway.core.tags import Tag, TagId

_COMMON_COLUMNS = ("unit", "group", "scale", "offset", "low", "high", "writable")
MODBUS_COLUMNS = ("tag", "address", "type", "order", *_COMMON_COLUMNS)
OPCUA_COLUMNS = ("tag", "node", "dead_band", "call", *_COMMON_COLUMNS)

_TAG_NAME = re.compile(r"[\w.\-\[\]:]+")
_BIT_TYPE = re.compile(r"bit(1[0-5]|[0-9])")
_PREFIXED = re.compile(r"(?P<area>[a-z]+)[: ]\s*(?P<address>\w+)")

_AREA_BY_WORD = {
    "coil": Area.COIL,
    "discrete": Area.DISCRETE_INPUT,
    "input": Area.INPUT_REGISTER,
    "holding": Area.HOLDING_REGISTER,
}
_AREA_BY_DIGIT = {
    "0": Area.COIL,
    "1": Area.DISCRETE_INPUT,
    "3": Area.INPUT_REGISTER,
    "4": Area.HOLDING_REGISTER,
}
_ADDRESS_MAX = 0xFFFF


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
class OpcuaRow:
    """A line of a node list."""

    entry: TagEntry
    node: NodeAddress
    dead_band: float
    """Absolute, in engineering units; 0 is none."""
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
        entry, point = _entry(line), _point(line)
        if point is not None:
            _check_writable(line, entry, point)
            rows.append(ModbusRow(entry=entry, point=point, address_text=line.text("address")))
    _check_names(sheet, [row.entry for row in rows])
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
        entry, node = _entry(line), _node(line)
        dead_band = line.number_of("dead_band", 0.0)
        if dead_band < 0:
            line.mistake(f"dead_band {dead_band:g} is below 0")
        call = _call(line, entry)
        if node is not None:
            rows.append(OpcuaRow(entry=entry, node=node, dead_band=dead_band, call=call))
    _check_names(sheet, [row.entry for row in rows])
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


def _entry(line: Line) -> TagEntry:
    """Return what every tag list has."""
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


def _point(line: Line) -> Point | None:
    """Return where the value of a line is and how to read it; None when that is not clear."""
    word = line.text("type").lower()
    order = line.choice_of("order", ByteOrder.ABCD)
    bit = 0
    if match := _BIT_TYPE.fullmatch(word):
        number_type, bit = NumberType.BIT, int(match[1])
    elif word in ("coil", "discrete"):
        number_type = NumberType.BOOL
    else:
        names = [name.value for name in NumberType if name is not NumberType.BIT]
        if word not in names:
            line.mistake(
                f"type {word!r} is not one of {', '.join(names)}, bit0 to bit15, coil, discrete"
            )
            return None
        number_type = NumberType(word)
    try:
        area, address = _parse_address(line.text("address"), number_type)
    except ValueError as error:
        line.mistake(str(error))
        return None
    area_of_type = _AREA_BY_WORD.get(word)
    if area and area_of_type and area is not area_of_type:
        line.mistake(f"address {line.text('address')} is among the {_words(area)}, not a {word}")
        return None
    area = area or area_of_type or Area.HOLDING_REGISTER
    if area.is_bits and number_type is not NumberType.BOOL:
        line.mistake(f"type {word!r} does not fit {_words(area)}: use bool")
        return None
    point = Point(area=area, address=address, type=number_type, order=order, bit=bit)
    if point.end > _ADDRESS_MAX + 1:
        line.mistake(f"address {line.text('address')} leaves no room for {number_type}")
        return None
    return point


def _parse_address(text: str, number_type: NumberType) -> tuple[Area | None, int]:
    """Return the area, None when the text names none, and the zero-based address.

    Five and six digits that open with 0, 1, 3 or 4 are traditional: one-based, the first digit
    names the area. A register type at 1xxxx is an ordinary zero-based address all the same.

    Raises:
        ValueError: it is no address.
    """
    match = _PREFIXED.fullmatch(text.lower())
    if match and match["area"] in _AREA_BY_WORD:
        return _AREA_BY_WORD[match["area"]], _zero_based(match["address"], text)
    is_traditional = text.isdecimal() and len(text) in (5, 6)
    area = _AREA_BY_DIGIT.get(text[0]) if is_traditional else None
    if area is None or (area.is_bits and number_type is not NumberType.BOOL):
        return None, _zero_based(text, text)
    address = int(text[1:]) - 1
    if not 0 <= address <= _ADDRESS_MAX:
        raise ValueError(f"address {text} does not count from 1 to 65536 behind its first digit")
    return area, address


def _zero_based(digits: str, text: str) -> int:
    try:
        address = int(digits, 16 if digits.lower().startswith("0x") else 10)
    except ValueError:
        address = -1
    if not 0 <= address <= _ADDRESS_MAX:
        raise ValueError(f"address {text!r} is not 0 to 65535, 4xxxx, 3xxxx, or such as input:70")
    return address


def _check_writable(line: Line, entry: TagEntry, point: Point) -> None:
    if entry.writable and (not point.area.is_writable or point.type is NumberType.BIT):
        what = "a bit of a register" if point.type is NumberType.BIT else _words(point.area)
        line.mistake(f'"{entry.name}" is writable, but {what} cannot be written')


def _check_names(sheet: Sheet, entries: Iterable[TagEntry]) -> None:
    owners: dict[str, TagEntry] = {}
    for entry in entries:
        owner = owners.setdefault(entry.name, entry)
        if owner is not entry:
            sheet.mistake(entry.line, f'tag "{entry.name}" stands in line {owner.line} already')
    if not owners and not sheet.has_mistakes:
        sheet.mistake(1, "the list has no tags")


def _check_nodes(sheet: Sheet, rows: Iterable[OpcuaRow]) -> None:
    owners: dict[NodeAddress, TagEntry] = {}
    for row in rows:
        owner = owners.setdefault(row.node, row.entry)
        if owner is not row.entry:
            sheet.mistake(row.entry.line, f'node {row.node} is "{owner.name}" already')


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
                        f'"{other.entry.name}" ({other.address_text}, {_type_text(other.point)})',
                    )
            sharing.append(row)


def _may_share(point: Point, other: Point) -> bool:
    """Tell whether two points at one register are different bits of it, or a word and a bit."""
    if point.size > 1 or other.size > 1:
        return False
    bits = [one.bit for one in (point, other) if one.type is NumberType.BIT]
    return len(set(bits)) == len(bits) > 0


def _type_text(point: Point) -> str:
    return f"bit{point.bit}" if point.type is NumberType.BIT else point.type.value


def _words(area: Area) -> str:
    return f"{area.name.lower().replace('_', ' ')}s"
