"""A vendor's register map, in whatever columns and words, into the cells of our tag list.

Addresses stay as the vendor writes them, counted from 1 or 4xxxx. What cannot be a tag (text, no
address) is left out with a reason. Nothing is believed in silence: types that the map does not
tell are assumed and noted.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.modbus.registers import ByteOrder
from connectors.modbus.vendor_columns import Columns, Meaning, guess_columns
from connectors.sheet import decoded
from connectors.ucum import ucum_of_spelling
from gateway.core.errors import ConfigError

HEADER_ROWS_MAX = 30
"""So far down a header is looked for."""
TAG_LENGTH_MAX = 60

_RANGE = re.compile(r"\s*(?:-|–|—|\.\.+|…|/|bis|to)\s*", re.IGNORECASE)
_NUMBER = r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?"
_UNIT_WITH_SCALE = re.compile(rf"({_NUMBER})\s*([^\d\s/].*)")
_AREAS = (
    ("coil", r"coil|spule|\b0x\b|\bdo\b|^(fc ?)?0?(1|5|15)$"),
    ("discrete", r"discrete|diskret|\b1x\b|\bdi\b|^(fc ?)?0?2$"),
    ("input", r"input|eingang|\b3x\b|\bir\b|^(fc ?)?0?4$"),
    ("holding", r"holding|halte|\b4x\b|\bhr\b|^(fc ?)?0?(3|6|16)$"),
)
_ORDERS = (
    (ByteOrder.CDAB, r"cdab|word.?swap|lsw|low word|little.*word|mid.?little|3412"),
    (ByteOrder.BADC, r"badc|byte.?swap|2143"),
    (ByteOrder.DCBA, r"dcba|little|4321|intel"),
    (ByteOrder.ABCD, r"abcd|big|msw|high word|1234|motorola"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRow:
    """One value of the map, as cells of our tag list."""

    line: int
    """In the vendor's file, from 1."""
    tag: str
    address: str
    type: str
    order: str = ""
    scale: str = ""
    offset: str = ""
    unit: str = ""
    low: str = ""
    high: str = ""
    may_be_written: bool = False
    note: str = ""
    """What was assumed; empty is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorMap:
    """A register map, understood."""

    rows: tuple[VendorRow, ...]
    columns: Columns
    left_out: tuple[str, ...] = ()
    """A line each: where, and why."""


def read_vendor_map(path: Path, chosen: Mapping[Meaning, str]) -> VendorMap:
    """Return what a register map says.

    Args:
        path: CSV as saved from a spreadsheet.
        chosen: Header texts for meanings, where a person knows better.
    Raises:
        ConfigError: it cannot be read, or no header with an address is found in it.
    """
    try:
        text = decoded(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    rows, numbers = _rows(text)
    columns = guess_columns(rows[:HEADER_ROWS_MAX], chosen)
    if columns is None:
        headers = {" ".join(cell.lower().split()) for row in rows[:HEADER_ROWS_MAX] for cell in row}
        for meaning, header in chosen.items():
            if " ".join(header.lower().split()) not in headers:
                raise ConfigError(f"{path.name}: no column is called {header!r}, for {meaning}")
        first = ", ".join(cell for cell in (rows[0] if rows else []) if cell) or "nothing"
        raise ConfigError(
            f"{path.name}: no line names a column for the address and one more. The first line "
            f"says {first}. Name them with --column address=HEADER --column tag=HEADER"
        )
    found, left_out = [], []
    for cells, number in zip(rows[columns.row + 1 :], numbers[columns.row + 1 :], strict=True):
        row = vendor_row(cells, columns, line=number)
        if isinstance(row, VendorRow):
            found.append(row)
        elif row:
            left_out.append(f"{path.name}:{number}: {row}")
    if not found:
        raise ConfigError(f"{path.name}: no line below the header holds an address", *left_out)
    return VendorMap(
        rows=tuple(_with_unique_tags(found)), columns=columns, left_out=tuple(left_out)
    )


def vendor_row(cells: Sequence[str], columns: Columns, *, line: int) -> VendorRow | str:
    """Return a line of a map, or why it is none; empty for a heading between lines."""

    def text(meaning: Meaning) -> str:
        index = columns.index_of.get(meaning)
        return cells[index].strip() if index is not None and index < len(cells) else ""

    is_hex = "hex" in columns.header[columns.index_of[Meaning.ADDRESS]].lower()
    address, size = _address(text(Meaning.ADDRESS), is_hex=is_hex)
    if not address:
        is_heading = sum(bool(cell.strip()) for cell in cells) < 2
        return "" if is_heading else f"{text(Meaning.ADDRESS)!r} is no address"
    if text(Meaning.LENGTH).isdecimal():
        size = int(text(Meaning.LENGTH))
    area = _matched(_AREAS, text(Meaning.AREA))
    kind = number_type(text(Meaning.TYPE), registers=size)
    if kind is None:
        return f"{text(Meaning.TYPE)!r} is no number"
    note = "" if kind else "type assumed"
    is_bit = area in ("coil", "discrete") or (address[0] in "01" and _is_traditional(address))
    kind = "bool" if is_bit else kind or {1: "uint16", 2: "uint32", 4: "uint64"}.get(size, "uint16")
    if area in ("coil", "discrete", "input") and address.isalnum() and not _is_traditional(address):
        address = f"{area}:{address}"
    scale, unit = _scale_and_unit(text(Meaning.SCALE), text(Meaning.UNIT))
    order = _matched(_ORDERS, text(Meaning.ORDER).lower()) if size > 1 or "32" in kind else ""
    access = text(Meaning.ACCESS).lower()
    return VendorRow(
        line=line,
        tag=tag_text(text(Meaning.TAG)) or f"register_{tag_text(address.replace(':', '_'))}",
        address=address,
        type=kind,
        order=order,
        scale=scale,
        offset=_number(text(Meaning.OFFSET)),
        unit=unit,
        low=_number(text(Meaning.LOW)),
        high=_number(text(Meaning.HIGH)),
        may_be_written="w" in access or "schreib" in access or access in ("yes", "ja", "x"),
        note=note,
    )


def tag_text(text: str) -> str:
    """Return a name as a tag may be called: letters, digits and `. _ - : [ ]`."""
    return re.sub(r"[^\w.\-\[\]:]+", "_", text.strip()).strip("_.")[:TAG_LENGTH_MAX]


def number_type(text: str, *, registers: int) -> str | None:
    """Return the type that a vendor's word means; empty is unknown, None is no number at all.

    Args:
        text: Such as `UINT32`, `Float`, `S16`, `vorzeichenlos 32 Bit`.
        registers: How many the value takes; 0 is unknown.
    """
    word = re.sub(r"[\s_\-]", "", text.lower())
    if re.search(r"^str|string|char|ascii|text|utf|zeichenkette", word):
        return None
    if match := re.fullmatch(r"bit\(?(1[0-5]|\d)\)?", word):
        return f"bit{match[1]}"
    if re.search(r"bool|^bit$|coil|discrete|flag", word):
        return "bool"
    if re.search(r"float|real|single|ieee|gleitkomma|double|^f(32|64)$", word):
        is_long = re.search(r"64|double|lreal", word) or registers == 4
        return "float64" if is_long else "float32"
    width = re.search(r"64|32|16", word)
    bits = int(width[0]) if width else 0
    if re.search(r"lint|lword|qword|longlong", word):
        bits = bits or 64
    elif re.search(r"dint|dword|long", word):
        bits = bits or 32
    bits = bits or {1: 16, 2: 32, 4: 64}.get(registers, 16)
    if re.search(r"^u|unsigned|vorzeichenlos|ohnevorzeichen|word|byte|enum|bitfield|bitmask", word):
        return f"uint{bits}"
    if re.search(r"int|signed|short|long|vorzeichen|^s\d|^i\d", word):
        return f"int{bits}"
    return ""


def _rows(text: str) -> tuple[list[list[str]], list[int]]:
    """Return the lines that hold anything, and their numbers from 1."""
    lines = text.splitlines()[:HEADER_ROWS_MAX]
    # Titles above the header hold no separator, and decimal commas are none.
    separator = max(";\t,", key=lambda each: sum(each in line for line in lines))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows, numbers = [], []
    for cells in reader:
        if any(cell.strip() for cell in cells):
            rows.append(cells)
            numbers.append(reader.line_num)
    return rows, numbers


def _address(text: str, *, is_hex: bool) -> tuple[str, int]:
    """Return an address as our tag list reads it, and how many registers it spans; 0 unknown."""
    first, *rest = _RANGE.split(text, maxsplit=1)
    first = re.sub(r"(?<=\d)[ '](?=\d)", "", first.strip())
    if match := re.fullmatch(r"([0134])[xX:](\d{4,5})", first):
        first = f"{match[1]}{match[2]}"
    elif match := re.fullmatch(r"([0-9a-fA-F]+)[hH]", first):
        first = f"0x{match[1]}"
    elif match := re.fullmatch(r"%MW(\d+)", first, re.IGNORECASE):
        first = f"holding:{match[1]}"
    elif is_hex and re.fullmatch(r"[0-9a-fA-F]+", first):
        first = f"0x{first}"
    if not re.fullmatch(r"\d+|0[xX][0-9a-fA-F]+|(coil|discrete|input|holding):\d+", first):
        return "", 0
    size = 0
    if rest and first.isdecimal() and rest[0].strip().isdecimal():
        size = int(rest[0]) - int(first) + 1
    return first, size if size in (1, 2, 4) else 0


def _is_traditional(address: str) -> bool:
    return address.isdecimal() and len(address) in (5, 6) and address[0] in "0134"


def _scale_and_unit(scale: str, unit: str) -> tuple[str, str]:
    """Return the factor and the unit; vendors also write `0.1 °C` for both."""
    if not scale and (match := _UNIT_WITH_SCALE.fullmatch(unit)):
        scale, unit = match[1], match[2]
    factor = _factor(scale)
    return "" if factor == "1" else factor, ucum_of_spelling(unit) or ("" if unit in "-–" else unit)


def _factor(text: str) -> str:
    """Return a factor as a plain number; empty when it is none or nought."""
    word = text.strip().replace(" ", "").replace("^", "**")
    if match := re.fullmatch(r"(?:1[/:]|[/÷:])(\d+)", word):
        return f"{1 / int(match[1]):.12g}" if int(match[1]) else ""
    if match := re.fullmatch(r"10(?:\*\*)(-?\d{1,2})", word):
        return f"{10.0 ** int(match[1]):.12g}"
    factor = _number(word.lstrip("xX*×"))
    return "" if factor and float(factor) == 0 else factor


def _number(text: str) -> str:
    """Return a number with a point; empty when it is none."""
    word = text.strip().replace(",", ".")
    return f"{float(word):.12g}" if re.fullmatch(_NUMBER, word) else ""


def _matched(table: Sequence[tuple[str, str]], text: str) -> str:
    for meaning, pattern in table:
        if text and re.search(pattern, text.lower()):
            return str(meaning)
    return ""


def _with_unique_tags(rows: Sequence[VendorRow]) -> list[VendorRow]:
    """Number the names that stand there more than once."""
    taken: set[str] = set()
    unique = []
    for row in rows:
        tag, count = row.tag, 1
        while tag in taken:
            count += 1
            tag = f"{row.tag}_{count}"
        taken.add(tag)
        unique.append(replace(row, tag=tag))
    return unique
