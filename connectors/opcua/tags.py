"""The tag list of an OPC UA connector: nodes, and how they are watched."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from connectors.opcua.nodes import MethodAddress, NodeAddress, parse_method, parse_node
from connectors.sheet import Line, Sheet, read_sheet
from connectors.taglist import COMMON_COLUMNS, TagEntry, check_names, tag_entry
from connectors.waveforms import RATE_HZ_MAX

OPCUA_COLUMNS = ("tag", "node", "element", "rate_hz", "dead_band", "call", *COMMON_COLUMNS)

_ELEMENT_MAX = 0xFFFF_FFFF
_PERCENT_MAX = 100


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
    rate_hz: float | None
    """Sampling rate of an array that is a waveform; None for a value that is none."""
    call: MethodAddress | None
    """What a command to the tag calls; None writes to the node."""


def read_opcua_tags(path: Path) -> tuple[OpcuaRow, ...]:
    """Return the lines of a node list.

    Raises:
        ConfigError: with every mistake in the file.
    """
    sheet = read_sheet(path, OPCUA_COLUMNS, required=("tag", "node"))
    rows = []
    for line in sheet.lines:
        entry, node = tag_entry(line), _node(line)
        element, rate_hz = _element(line), _rate_hz(line)
        dead_band, call = _dead_band(line), _call(line, entry)
        if rate_hz is not None and (element is not None or entry.writable):
            line.mistake(f'"{entry.name}" is a waveform: it has no element and is not writable')
        if element is not None and entry.writable:
            line.mistake(
                f'"{entry.name}" is writable, but an element of an array cannot be written'
            )
        if node is not None:
            row = OpcuaRow(
                entry=entry,
                node=node,
                element=element,
                dead_band=dead_band,
                rate_hz=rate_hz,
                call=call,
            )
            rows.append(row)
    check_names(sheet, [row.entry for row in rows])
    _check_nodes(sheet, rows)
    sheet.check()
    return tuple(rows)


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


def _rate_hz(line: Line) -> float | None:
    """Return the sampling rate of a line; None when its value is no waveform."""
    if not line.text("rate_hz"):
        return None
    rate_hz = line.number_of("rate_hz", 0.0)
    if not 0 < rate_hz <= RATE_HZ_MAX:
        line.mistake(f"rate_hz {line.text('rate_hz')} is not above 0 and up to {RATE_HZ_MAX:g}")
    return rate_hz


def _dead_band(line: Line) -> DeadBand:
    """Return the dead band of a line: `0.5` in engineering units, or `5%` of the range."""
    size = line.number_of("dead_band", 0.0, unit="%")
    is_percent = line.text("dead_band").endswith("%")
    if size < 0:
        line.mistake(f"dead_band {line.text('dead_band')} is below 0")
    if is_percent and size > _PERCENT_MAX:
        line.mistake(f"dead_band {line.text('dead_band')} is above {_PERCENT_MAX}%")
    return DeadBand(size=size, is_percent=is_percent)


def _check_nodes(sheet: Sheet, rows: Iterable[OpcuaRow]) -> None:
    owners: dict[tuple[NodeAddress, int | None], TagEntry] = {}
    for row in rows:
        owner = owners.setdefault((row.node, row.element), row.entry)
        if owner is not row.entry:
            which = "" if row.element is None else f" element {row.element}"
            sheet.mistake(row.entry.line, f'node {row.node}{which} is "{owner.name}" already')
