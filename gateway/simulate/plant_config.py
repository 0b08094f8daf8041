"""A ready gateway configuration for the simulated plant: tag lists, and tables for gateway.toml."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.simulate.points import (
    ALARM_WORD_ADDRESS,
    ALARM_WORD_TAG,
    ASSETS,
    COMPRESSOR_CONNECTOR,
    COMPRESSOR_POINTS,
    COMPRESSORS,
    MODBUS_UNIT,
    NAMESPACE_INDEX,
    POINTS,
    POLL_COUNT_ADDRESS,
    POLL_COUNT_TAG,
    PUMP_CONNECTOR,
    PUMP_POINTS,
    PUMPS,
    SETPOINT_NAME,
    SETPOINT_RPM_MAX,
    SETPOINT_RPM_MIN,
    node_of,
    setpoint_tag,
)
from gateway.simulate.server import ServedNode

PUMP_COLUMNS = ("tag", "node", "unit", "group", "dead_band", "low", "high", "writable")
COMPRESSOR_COLUMNS = ("tag", "address", "type", "order", "scale", "unit", "group")
PUMP_SHEET = "pumps.csv"
COMPRESSOR_SHEET = "compressor.csv"
PUMP_NAMEPLATE = """\
rated_speed_rpm     = 2950
rated_flow_m3h      = 60
rated_head_m        = 66
shutoff_head_m      = 84
rated_current_a     = 27.5
npsh_required_m     = 4
filter_dp_clean_bar = 0.06
"""
"""What the makers of pump, motor and filter print: figures of the series, not of this machine."""
COMPRESSOR_NAMEPLATE = """\
rated_speed_rpm              = 2950
rated_flow_m3h               = 480
rated_discharge_pressure_bar = 7.5
rated_current_a              = 97
inlet_dp_clean_mbar          = 26
"""
GAP_REGISTERS_MAX = 100
"""One request takes everything, so that every sample stands beside its poll count."""


def plant_nodes() -> tuple[ServedNode, ...]:
    """Return the variables of the plant's OPC UA server: the pumps' points, then the setpoints."""
    measured = (
        ServedNode(
            identifier=point.node,
            tag=point.tag,
            unit=point.sensor.unit,
            low=point.sensor.low,
            high=point.sensor.high,
        )
        for point in PUMP_POINTS
    )
    setpoints = (
        ServedNode(
            identifier=node_of(pump, SETPOINT_NAME),
            tag=setpoint_tag(pump),
            unit="/min",
            low=SETPOINT_RPM_MIN,
            high=SETPOINT_RPM_MAX,
            is_writable=True,
        )
        for pump in PUMPS
    )
    return (*measured, *setpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantTables:
    """The plant's part of a gateway.toml."""

    connectors: str
    """The `[connectors.*]` tables."""
    twins: str
    """The `[twins.*]` tables."""


def plant_tables(
    *, opcua_endpoint: str, modbus_address: str, security: str = "None"
) -> PlantTables:
    """Return the tables for given end points.

    Args:
        opcua_endpoint: Such as `opc.tcp://127.0.0.1:4840`.
        modbus_address: Such as `127.0.0.1:5020`.
        security: Name of the OPC UA security policy, `None` or `Basic256Sha256`.
    """
    # A certificate of its own making stands in nobody's list: the first one shown is taken.
    trust = "" if security == "None" else 'trust    = "first_use"\n'
    connectors = f"""\
[connectors.{PUMP_CONNECTOR}]
type     = "opcua"
endpoint = "{opcua_endpoint}"
security = "{security}"
{trust}tags     = "{PUMP_SHEET}"

[connectors.{COMPRESSOR_CONNECTOR}]
type    = "modbus"
address = "{modbus_address}"
unit    = {MODBUS_UNIT}
tags    = "{COMPRESSOR_SHEET}"
gap_registers_max = {GAP_REGISTERS_MAX}
"""
    return PlantTables(connectors=connectors, twins="\n".join(_twin(asset) for asset in ASSETS))


def write_sheets(folder: Path) -> tuple[Path, Path]:
    """Write `pumps.csv` and `compressor.csv` into a folder and return their paths."""
    pumps, compressor = folder / PUMP_SHEET, folder / COMPRESSOR_SHEET
    _write(pumps, PUMP_COLUMNS, _pump_rows())
    _write(compressor, COMPRESSOR_COLUMNS, _compressor_rows())
    return pumps, compressor


def _twin(asset: str) -> str:
    is_pump = asset not in COMPRESSORS
    kind = "centrifugal_pump" if is_pump else "compressor"
    nameplate = PUMP_NAMEPLATE if is_pump else COMPRESSOR_NAMEPLATE
    rows = [f'{point.sensor.role} = "{point.tag}"' for point in POINTS if point.asset == asset]
    # An inline table stands on one line in TOML 1.0; these are too many for it.
    return "\n".join(
        (f"[twins.{asset}]", f'type = "{kind}"', nameplate, f"[twins.{asset}.tags]", *rows, "")
    )


def _pump_rows() -> Iterable[Sequence[object]]:
    for node in plant_nodes():
        name = node.tag.removeprefix(f"{PUMP_CONNECTOR}.")
        node_id = f"ns={NAMESPACE_INDEX};s={node.identifier}"
        writable = "true" if node.is_writable else ""
        yield (name, node_id, node.unit, "", "", node.low, node.high, writable)


def _compressor_rows() -> Iterable[Sequence[object]]:
    prefix = f"{COMPRESSOR_CONNECTOR}."
    for index, point in enumerate(COMPRESSOR_POINTS):
        name = point.tag.removeprefix(prefix)
        yield (name, 2 * index, "float32", "ABCD", 1, point.sensor.unit, "")
    yield (POLL_COUNT_TAG.removeprefix(prefix), POLL_COUNT_ADDRESS, "uint32", "ABCD", 1, "", "")
    yield (ALARM_WORD_TAG.removeprefix(prefix), ALARM_WORD_ADDRESS, "uint16", "ABCD", 1, "", "")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
