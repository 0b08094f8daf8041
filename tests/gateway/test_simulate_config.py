"""The generated gateway configuration names exactly what the servers serve."""

import csv
import tomllib
from pathlib import Path

from gateway.simulate.plant_config import (
    COMPRESSOR_COLUMNS,
    PUMP_COLUMNS,
    plant_nodes,
    plant_tables,
    write_sheets,
)
from gateway.simulate.points import MODBUS_TAGS, POINTS

TABLES = plant_tables(opcua_endpoint="opc.tcp://127.0.0.1:4840", modbus_address="127.0.0.1:5020")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_sheets_have_a_line_for_every_value(tmp_path: Path) -> None:
    pumps, compressor = (rows_of(path) for path in write_sheets(tmp_path))
    assert tuple(pumps[0]) == PUMP_COLUMNS
    assert tuple(compressor[0]) == COMPRESSOR_COLUMNS
    assert [f"pumps.{row['tag']}" for row in pumps] == [node.tag for node in plant_nodes()]
    assert [f"compressor.{row['tag']}" for row in compressor] == list(MODBUS_TAGS)
    assert pumps[1] == {
        "tag": "P101.Flow",
        "node": "ns=2;s=P101.Flow",
        "unit": "m3/h",
        "group": "",
        "dead_band": "",
        "low": "0",
        "high": "120",
        "writable": "",
    }
    assert [row["tag"] for row in pumps if row["writable"] == "true"] == [
        "P101.SpeedSetpoint",
        "P102.SpeedSetpoint",
    ]
    assert [int(row["address"]) for row in compressor] == [*range(0, 18, 2), 100, 102]
    assert [row["type"] for row in compressor] == ["float32"] * 9 + ["uint32", "uint16"]


def test_tables_connect_and_map_every_role() -> None:
    document = tomllib.loads(TABLES.connectors + "\n" + TABLES.twins)
    assert document["connectors"]["pumps"]["endpoint"] == "opc.tcp://127.0.0.1:4840"
    assert document["connectors"]["compressor"]["address"] == "127.0.0.1:5020"
    types = {asset: table["type"] for asset, table in document["twins"].items()}
    assert types == {
        "P-101": "centrifugal_pump",
        "P-102": "centrifugal_pump",
        "K-01": "compressor",
    }
    mapping = {
        (asset, role): tag
        for asset, table in document["twins"].items()
        for role, tag in table["tags"].items()
    }
    assert mapping == {(point.asset, point.sensor.role): point.tag for point in POINTS}
    assert mapping["P-101", "flow_m3h"] == "pumps.P101.Flow"


def test_a_secured_connection_trusts_the_first_certificate() -> None:
    tables = plant_tables(
        opcua_endpoint="opc.tcp://127.0.0.1:4840",
        modbus_address="127.0.0.1:5020",
        security="Basic256Sha256",
    )
    pumps = tomllib.loads(tables.connectors)["connectors"]["pumps"]
    assert (pumps["security"], pumps["trust"]) == ("Basic256Sha256", "first_use")
    assert "trust" not in tomllib.loads(TABLES.connectors)["connectors"]["pumps"]
