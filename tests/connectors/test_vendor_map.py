"""Register maps as vendors write them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.modbus.tags import MODBUS_COLUMNS, read_modbus_tags
from connectors.modbus.vendor_columns import Meaning
from connectors.modbus.vendor_map import number_type, read_vendor_map, tag_text
from gateway.core.errors import ConfigError

GERMAN = """\
Registerliste Kompressor SK-45;;;;;
Stand 2023-05;;;;;
Registeradresse;Bezeichnung;Datentyp;Einheit;Faktor;Zugriff
40001;Drehzahl;UINT16;1/min;1;R
40002;Netzdruck;INT16;bar;0,01;R
40004-40005;Betriebsstunden;UINT32;h;1/10;R
Sollwerte;;;;;
40006;Sollwert Druck;vorzeichenlos 16 Bit;bar;0,01;R/W
40010;Seriennummer;STRING;;;R
40020;Status;;;;R
"""
ENGLISH = """\
Unit ID,Address (hex),Parameter,Format,Words,Unit,Function code,Word order,Min,Max
1,0000,Flow rate,Float,2,m³/h,04,LSW first,0,250
1,000A,Flow rate,Float,2,l/blink,04,MSW first,,
1,0010h,Running,bit,1,,FC 2,,,
1,20,Energy,unsigned long,2,0.1 kWh,Holding,,,
"""

WORDS: dict[Meaning, tuple[str, ...]] = {
    Meaning.ADDRESS: ("Address", "Register", "Adresse", "Registeradresse", "Modbus Address"),
    Meaning.TAG: ("Name", "Bezeichnung", "Description", "Signal", "Parameter"),
    Meaning.TYPE: ("Data type", "Datentyp", "Type", "Format"),
    Meaning.UNIT: ("Unit", "Einheit", "Units", "UoM"),
    Meaning.SCALE: ("Scale", "Faktor", "Scaling factor", "Skalierung"),
}
TYPES = {"UINT16": "uint16", "Int 16": "int16", "FLOAT": "float32", "DWORD": "uint32"}


def written(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path = folder / "vendor.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_german_map(tmp_path: Path, encoding: str) -> None:
    """Titles above the header, decimal commas, headings between: addresses stay as written."""
    found = read_vendor_map(written(tmp_path, GERMAN, encoding=encoding), {})
    rows = [(row.tag, row.address, row.type, row.scale, row.unit) for row in found.rows]
    assert rows == [
        ("Drehzahl", "40001", "uint16", "", "{rev}/min"),
        ("Netzdruck", "40002", "int16", "0.01", "bar"),
        ("Betriebsstunden", "40004", "uint32", "0.1", "h"),
        ("Sollwert_Druck", "40006", "uint16", "0.01", "bar"),
        ("Status", "40020", "uint16", "", ""),
    ]
    assert [row.may_be_written for row in found.rows] == [False, False, False, True, False]
    assert [row.note for row in found.rows][-1] == "type assumed"
    assert found.left_out == ("vendor.csv:9: 'STRING' is no number",)


def test_an_english_map(tmp_path: Path) -> None:
    """Areas by function code, hexadecimal addresses, word orders, and a unit with its factor."""
    found = read_vendor_map(written(tmp_path, ENGLISH), {})
    rows = [(row.tag, row.address, row.type, row.order) for row in found.rows]
    assert rows == [
        ("Flow_rate", "input:0x0000", "float32", "CDAB"),
        ("Flow_rate_2", "input:0x000A", "float32", "ABCD"),
        ("Running", "discrete:0x0010", "bool", ""),
        ("Energy", "0x20", "uint32", ""),
    ]
    assert [row.unit for row in found.rows] == ["m3/h", "l/blink", "", "kW.h"]
    assert [row.scale for row in found.rows] == ["", "", "", "0.1"]
    assert (found.rows[0].low, found.rows[0].high) == ("0", "250")


def test_a_person_knows_better(tmp_path: Path) -> None:
    path = written(tmp_path, "Register,Offset,Name\n7,40001,a\n8,40002,b\n")
    assert [row.address for row in read_vendor_map(path, {}).rows] == ["7", "8"]
    chosen = read_vendor_map(path, {Meaning.ADDRESS: "offset"})
    assert [row.address for row in chosen.rows] == ["40001", "40002"]
    with pytest.raises(ConfigError, match="no column is called 'Adress'"):
        read_vendor_map(path, {Meaning.ADDRESS: "Adress"})


def test_no_header_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--column address=HEADER"):
        read_vendor_map(written(tmp_path, "a,b\n1,2\n"), {})
    with pytest.raises(ConfigError, match="no line below the header"):
        read_vendor_map(written(tmp_path, "Address,Name\n,x\n"), {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_any_order_of_columns_and_any_of_their_words(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever the columns are called and wherever they stand, the same values come out."""
    meanings = data.draw(st.permutations(list(WORDS)))
    separator = data.draw(st.sampled_from([",", ";", "\t"]))
    header = [data.draw(st.sampled_from(WORDS[meaning])) for meaning in meanings]
    types = data.draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=8))
    lines = [separator.join(header)]
    for i, kind in enumerate(types):
        cells = {
            Meaning.ADDRESS: str(40001 + 2 * i),
            Meaning.TAG: f"value {i}",
            Meaning.TYPE: kind,
            Meaning.UNIT: "°C",
            Meaning.SCALE: "0.5",
        }
        lines.append(separator.join(cells[meaning] for meaning in meanings))
    found = read_vendor_map(written(tmp_path, "\n".join(lines)), {})
    rows = [(row.tag, row.address, row.type, row.unit, row.scale) for row in found.rows]
    expected = [
        (f"value_{i}", str(40001 + 2 * i), TYPES[kind], "Cel", "0.5")
        for i, kind in enumerate(types)
    ]
    assert expected == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.lists(st.text(max_size=12), min_size=4, max_size=4), max_size=8))
def test_any_cells_give_lines_or_reasons(tmp_path: Path, table: list[list[str]]) -> None:
    """Nonsense never raises anything but our own error, and names are always fit for tags."""
    path = tmp_path / "vendor.csv"
    body = "\n".join(",".join(cell.replace(",", " ") for cell in row) for row in table)
    path.write_text(f"Address,Name,Type,Scale\n{body}", encoding="utf-8", errors="replace")
    try:
        found = read_vendor_map(path, {})
    except ConfigError:
        return
    sheet = tmp_path / "tags.csv"
    mistakes: list[str] = []
    for row in found.rows:
        cells = {name: str(getattr(row, name, "")) for name in MODBUS_COLUMNS}
        line = ",".join(cells.values())
        sheet.write_text(f"{','.join(MODBUS_COLUMNS)}\n{line}\n", encoding="utf-8")
        try:
            read_modbus_tags(sheet)
        except ConfigError as error:
            mistakes += error.mistakes
    assert [mistake for mistake in mistakes if ": tag " in mistake] == []


@pytest.mark.parametrize(
    ("word", "registers", "kind"),
    [
        ("Float", 2, "float32"),
        ("IEEE 754 double", 4, "float64"),
        ("LREAL", 0, "float64"),
        ("S32", 2, "int32"),
        ("unsigned int", 2, "uint32"),
        ("WORD", 1, "uint16"),
        ("vorzeichenbehaftet 32 Bit", 2, "int32"),
        ("Bit 3", 1, "bit3"),
        ("BOOL", 1, "bool"),
        ("string[8]", 8, None),
        ("see note", 1, ""),
    ],
)
def test_words_for_types(word: str, registers: int, kind: str | None) -> None:
    assert number_type(word, registers=registers) == kind


def test_names_become_tags() -> None:
    assert tag_text(" Öl-Temp. (Eintritt) / °C ") == "Öl-Temp._Eintritt_C"
