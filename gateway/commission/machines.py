"""What OPC UA servers and register maps say, as lines of tag lists."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

from connectors.modbus.tags import read_modbus_tags
from connectors.modbus.vendor_map import VendorMap, VendorRow
from connectors.opcua.browse import FoundNode
from connectors.opcua.nodes import NodeAddress, parse_node
from connectors.opcua.tags import read_opcua_tags
from gateway.commission.config_text import Value
from gateway.commission.merge import Cells, Sheets
from gateway.commission.proposal import examples
from gateway.commission.site import Machine
from gateway.commission.tag_names import tag_names

OPCUA_COLUMNS = ("tag", "node", "unit", "group", "dead_band", "low", "high", "writable")
OPCUA_WATCHED = ("unit", "low", "high")
MODBUS_COLUMNS = (
    *("tag", "address", "type", "order", "scale", "offset"),
    *("unit", "group", "low", "high", "writable"),
)
MODBUS_WATCHED = ("type", "order", "scale", "offset", "unit", "low", "high")
NOTES_MAX = 10
"""So many lines of a map are told about one by one."""


def node_of(cells: Cells, namespaces: Sequence[str]) -> NodeAddress | None:
    """Return the node of a line, its namespace as URI where the server has it."""
    try:
        node = parse_node(cells.get("node", ""))
    except ValueError:
        return None
    index = node.namespace
    if isinstance(index, int) and 0 < index < len(namespaces):
        return NodeAddress(namespace=namespaces[index], kind=node.kind, identifier=node.identifier)
    return node


def opcua_machine(
    name: str,
    table: Mapping[str, Value],
    found: Sequence[FoundNode],
    *,
    present: Sequence[Cells],
    gone: Collection[NodeAddress],
    namespaces: Sequence[str],
    makes_writable: bool,
) -> Machine:
    """Return what a server says.

    Args:
        name: Of the connector.
        table: Its options.
        found: Variables that are numbers, with their facts.
        present: Lines of the tag list as it is.
        gone: Nodes in it that the server has no more.
        namespaces: The server's, by index.
        makes_writable: Whether what the server lets us write may be written by commands.
    """

    def key(cells: Cells) -> str:
        return str(node_of(cells, namespaces) or cells.get("node", ""))

    keys = {key(cells) for cells in present}
    new = [node for node in found if str(node.node) not in keys]
    taken = {cells.get("tag", "") for cells in present}
    names = tag_names([node.path.split("/") for node in new], taken)
    tag_of = dict(zip((str(node.node) for node in new), names, strict=True))
    fresh = [_opcua_cells(node, tag_of, makes_writable=makes_writable) for node in found]
    unknown = sorted({f.unit_text for n in found if (f := n.facts) and f.unit_text and not f.unit})
    notes = []
    if unknown:
        notes.append(f"units that we do not know are left empty: {examples(unknown)}")
    return Machine(
        name=name,
        table=table,
        fresh=tuple(fresh),
        gone=frozenset(str(node) for node in gone),
        sheets=Sheets(columns=OPCUA_COLUMNS, watched=OPCUA_WATCHED, key=key),
        check=read_opcua_tags,
        notes=tuple(notes),
    )


def modbus_machine(
    name: str,
    table: Mapping[str, Value],
    vendor_map: VendorMap,
    *,
    present: Sequence[Cells],
    previous: Sequence[Cells],
    makes_writable: bool,
) -> Machine:
    """Return what a register map says.

    Args:
        name: Of the connector.
        table: Its options.
        vendor_map: As understood.
        present: Lines of the tag list as it is.
        previous: Lines that the last run made of the map.
        makes_writable: Whether what the map calls writable may be written by commands.
    """
    taken = {cells.get("tag", "") for cells in present}
    keys = {modbus_key(cells) for cells in present}
    fresh = []
    for row in vendor_map.rows:
        cells = _modbus_cells(row, makes_writable=makes_writable)
        if modbus_key(cells) not in keys and cells["tag"] in taken:
            cells["tag"] = f"{cells['tag']}_{row.line}"
        fresh.append(cells)
    now = {modbus_key(cells) for cells in fresh}
    assumed = [f"line {row.line}: {row.note}: {row.type}" for row in vendor_map.rows if row.note]
    left_out = [f"left out: {text}" for text in vendor_map.left_out]
    return Machine(
        name=name,
        table=table,
        fresh=tuple(fresh),
        gone=frozenset(modbus_key(cells) for cells in previous) & keys - now,
        sheets=Sheets(columns=MODBUS_COLUMNS, watched=MODBUS_WATCHED, key=modbus_key),
        check=read_modbus_tags,
        notes=(*_some(left_out), *_some(assumed)),
        drops_mistakes=True,
    )


def modbus_key(cells: Cells) -> str:
    """Return what a line is about: its address, and which bit of it."""
    kind = cells.get("type", "").lower()
    bit = kind if kind.startswith("bit") else ""
    return f"{cells.get('address', '').lower()} {bit}".strip()


def _opcua_cells(
    node: FoundNode, tag_of: Mapping[str, str], *, makes_writable: bool
) -> dict[str, str]:
    facts = node.facts
    assert facts is not None
    writable = ("yes" if makes_writable else "no") if facts.is_writable else ""
    return {
        # A node that has a line already keeps its name there.
        "tag": tag_of.get(str(node.node), node.browse_name),
        "node": str(node.node),
        "unit": facts.unit,
        "low": f"{facts.low:.12g}" if math.isfinite(facts.low) else "",
        "high": f"{facts.high:.12g}" if math.isfinite(facts.high) else "",
        "writable": writable,
    }


def _modbus_cells(row: VendorRow, *, makes_writable: bool) -> dict[str, str]:
    cells = {name: str(value) for name, value in asdict(row).items() if name in MODBUS_COLUMNS}
    if row.may_be_written:
        cells["writable"] = "yes" if makes_writable else "no"
    return cells


def _some(texts: Sequence[str]) -> Sequence[str]:
    if len(texts) <= NOTES_MAX:
        return texts
    return [*texts[:NOTES_MAX], f"and {len(texts) - NOTES_MAX} more like these"]
