"""The tag list of a Modbus connector: a register map, as it lies in a spreadsheet."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from connectors.modbus.point_text import area_words, parse_point
from connectors.modbus.registers import HALVES, Area, ByteOrder, NumberType, Point
from connectors.sheet import Line, Sheet, read_sheet
from connectors.taglist import COMMON_COLUMNS, TagEntry, check_names, tag_entry

MODBUS_COLUMNS = ("tag", "address", "type", "order", *COMMON_COLUMNS)

_PARTS = (NumberType.BIT, *HALVES)
"""Types of which several may be in one register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusRow:
    """A line of a register map."""

    entry: TagEntry
    point: Point
    address_text: str
    """As written."""


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
