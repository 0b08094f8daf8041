"""Tag lists as people and spreadsheets write them, and every mistake in them."""

from pathlib import Path

import pytest

from connectors.modbus.registers import Area, ByteOrder, NumberType
from connectors.modbus.tags import read_modbus_tags
from connectors.opcua.tags import DeadBand, read_opcua_tags
from connectors.taglist import check_groups
from gateway.core.errors import ConfigError


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "blower.csv"
    path.write_bytes(text.encode(encoding))
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_modbus_tags(path)
    return list(caught.value.mistakes)


def test_a_register_map(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "tag,address,type,order,scale,unit,group\n"
        "speed,40069,float32,CDAB,,rpm,\n"
        "flow,30011,int16,,0.1,m3/h,slow\n"
        "\n"
        "# a remark\n"
        "running,00003,bool,,,,\n"
        "tripped,10004,bool,,,,\n"
        "alarm,0x66,uint16,,,,\n"
        "hot,102,bit3,,,,\n"
        "level,input:20,float64,badc,,mm,\n"
        "deep,465536,uint16,,,,\n"
        "odd,12288,int16,,,,\n",
    )
    rows = {row.entry.name: row for row in read_modbus_tags(path)}
    points = {name: (row.point.area, row.point.address) for name, row in rows.items()}
    assert points == {
        "speed": (Area.HOLDING_REGISTER, 68),
        "flow": (Area.INPUT_REGISTER, 10),
        "running": (Area.COIL, 2),
        "tripped": (Area.DISCRETE_INPUT, 3),
        "alarm": (Area.HOLDING_REGISTER, 102),
        "hot": (Area.HOLDING_REGISTER, 102),
        "level": (Area.INPUT_REGISTER, 20),
        "deep": (Area.HOLDING_REGISTER, 65535),
        "odd": (Area.HOLDING_REGISTER, 12288),
    }
    assert rows["speed"].point.order is ByteOrder.CDAB
    assert rows["level"].point.order is ByteOrder.BADC
    assert (rows["hot"].point.type, rows["hot"].point.bit) == (NumberType.BIT, 3)
    assert rows["flow"].entry.group == "slow"
    tag = rows["flow"].entry.tag("blower")
    assert (tag.id, tag.unit, tag.scale, tag.offset) == ("blower.flow", "m3/h", 0.1, 0.0)


@pytest.mark.parametrize(
    ("encoding", "separator"),
    [("utf-8-sig", ","), ("utf-16", ";"), ("cp1252", ";"), ("utf-8", "\t")],
)
def test_what_spreadsheets_make_of_it(tmp_path: Path, encoding: str, separator: str) -> None:
    decimal = "0,5" if separator == ";" else "0.5"
    lines = [["Tag", "Address", "Type", "Scale", ""], ["Kühlung", "7", "INT16", decimal, ""]]
    text = "\r\n".join(separator.join(line) for line in lines) + "\r\n"
    [row] = read_modbus_tags(written(tmp_path, text, encoding))
    assert row.entry.name == "Kühlung"
    assert row.entry.scale == 0.5


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "tag,address,type,order,scale,low,high,writable,adress\n"
        "speed,40069,float32,,,,,,\n"
        "speed,40069,int16,,,,,,\n"
        "torque,40070,int16,XYZ,0,5,5,maybe,\n"
        "mode,9,int8,,,,,,\n"
        "bad tag,70000,int16,,,,,,\n"
        "in,30001,int16,,,,,yes,\n"
        "end,65535,float32,,,,,,\n"
        "coil,40001,coil,,,,,,\n"
        "wide,1,int16,,,,,,,,x\n"
        "rate,2,int16,,fast,,,,\n",
    )
    assert mistakes(path) == [
        "blower.csv:1: unknown column 'adress': is it \"address\"?",
        'blower.csv:3: tag "speed" stands in line 2 already',
        'blower.csv:3: address 40069 overlaps "speed" (40069, float32)',
        "blower.csv:4: scale is 0",
        "blower.csv:4: low 5 is not below high 5",
        "blower.csv:4: writable 'maybe' is neither yes nor no",
        "blower.csv:4: order 'XYZ' is not one of ABCD, DCBA, BADC, CDAB",
        'blower.csv:4: address 40070 overlaps "speed" (40069, float32)',
        "blower.csv:5: type 'int8' is not one of bool, int16, uint16, int32, uint32, int64, "
        "uint64, float32, float64, int8_high, int8_low, uint8_high, uint8_low, bcd16, bcd32, "
        "bit0 to bit15, string1 to string250, coil, discrete",
        "blower.csv:6: tag 'bad tag' is not made of letters, digits and . _ - : [ ]",
        "blower.csv:6: address '70000' is not 0 to 65535, 4xxxx, 3xxxx, or such as input:70",
        'blower.csv:7: "in" is writable, but input registers cannot be written',
        "blower.csv:8: address 65535 leaves no room for float32",
        "blower.csv:9: address 40001 is among the holding registers, not a coil",
        "blower.csv:10: 11 cells under 9 column names",
        "blower.csv:11: scale 'fast' is not a number",
    ]


def test_bits_may_share_a_register_but_not_each_other(tmp_path: Path) -> None:
    head = "tag,address,type\n"
    shared = head + "word,5,uint16\na,5,bit0\nb,5,bit1\n"
    assert len(read_modbus_tags(written(tmp_path, shared))) == 3
    assert mistakes(written(tmp_path, shared + "c,5,bit1\n")) == [
        'blower.csv:5: address 5 overlaps "b" (5, bit1)'
    ]
    assert mistakes(written(tmp_path, head + "wide,4,float32\na,5,bit0\n")) == [
        'blower.csv:3: address 5 overlaps "wide" (4, float32)'
    ]


def test_text_decimal_digits_and_halves(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "tag,address,type,writable\nname,100,string15,\nhigh,5,uint8_high,\nlow,5,INT8_low,\n"
        "total,40011,bcd32,yes\nrun,7,bit3,yes\n",
    )
    name, high, low, total, run = read_modbus_tags(path)
    assert (name.point.type, name.point.length, name.point.end) == (NumberType.STRING, 15, 108)
    assert (high.point.type_text, low.point.type_text) == ("uint8_high", "int8_low")
    assert (total.point.size, str(total.point)) == (2, "holding 10")
    assert run.entry.writable
    bad = written(
        tmp_path,
        "tag,address,type,writable\nname,100,string9,x\nother,104,int16,\nbig,1,string251,\n"
        "half,5,uint8_low,x\nagain,5,uint8_low,\nbit,input:3,bit3,x\n",
    )
    assert mistakes(bad) == [
        'blower.csv:2: "name" is writable, but text cannot be written',
        'blower.csv:3: address 104 overlaps "name" (100, string9)',
        "blower.csv:4: type 'string251' is not string1 to string250",
        'blower.csv:5: "half" is writable, but half a register cannot be written',
        'blower.csv:6: address 5 overlaps "half" (5, uint8_low)',
        'blower.csv:7: "bit" is writable, but input registers cannot be written',
    ]


def test_a_missing_column_is_the_only_mistake(tmp_path: Path) -> None:
    """Else every line would be wrong for the same reason."""
    assert mistakes(written(tmp_path, "tag,type\na,int16\nb,float\n")) == [
        "blower.csv:1: column 'address' is missing"
    ]


def test_nothing_to_read(tmp_path: Path) -> None:
    assert mistakes(written(tmp_path, ""))[0].startswith("blower.csv:1: the file is empty")
    assert mistakes(written(tmp_path, "tag,address,type\n")) == [
        "blower.csv:1: the list has no tags"
    ]
    assert "cannot be read" in mistakes(tmp_path / "nothing.csv")[0]


def test_a_node_list(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "tag,node,unit,group,dead_band,low,high,writable\n"
        "P101.Flow,ns=2;s=P101.Flow,m3/h,,0.5,0,20,\n"
        'db,"ns=3;s=""DB"".""x;y""",,,,,,x\n',
    )
    flow, db = read_opcua_tags(path)
    assert (flow.entry.name, flow.entry.high) == ("P101.Flow", 20.0)
    assert flow.dead_band == DeadBand(size=0.5)
    assert (flow.element, db.dead_band) == (None, DeadBand(size=0.0))
    assert str(db.node) == 'ns=3;s="DB"."x;y"'
    assert db.entry.writable


def test_elements_and_dead_bands_in_percent(tmp_path: Path) -> None:
    """Elements of one array are tags of their own; a dead band in percent stays one."""
    path = written(
        tmp_path,
        "tag;node;element;dead_band\na;i=4;0;2,5 %\nb;i=4;7;5%\nc;i=4;;0,5\n",
    )
    rows = read_opcua_tags(path)
    assert [row.element for row in rows] == [0, 7, None]
    assert [row.dead_band for row in rows] == [
        DeadBand(size=2.5, is_percent=True),
        DeadBand(size=5.0, is_percent=True),
        DeadBand(size=0.5),
    ]


def test_mistakes_in_elements_and_dead_bands(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "tag,node,element,dead_band,writable\na,i=4,-1,,\nb,i=5,2,120%,\nc,i=5,2,,\n"
        "d,i=6,1,x%,yes\n",
    )
    with pytest.raises(ConfigError) as caught:
        read_opcua_tags(path)
    assert list(caught.value.mistakes) == [
        "blower.csv:2: element '-1' is not a whole number from 0 on",
        "blower.csv:3: dead_band 120% is above 100%",
        'blower.csv:4: node i=5 element 2 is "b" already',
        "blower.csv:5: dead_band 'x%' is not a number",
        'blower.csv:5: "d" is writable, but an element of an array cannot be written',
    ]


def test_mistakes_in_a_node_list(tmp_path: Path) -> None:
    path = written(tmp_path, "tag,node,dead_band\na,i=4,-1\nb,i=4,\nc,s:Flow,\n")
    with pytest.raises(ConfigError) as caught:
        read_opcua_tags(path)
    assert list(caught.value.mistakes) == [
        "blower.csv:2: dead_band -1 is below 0",
        'blower.csv:3: node i=4 is "a" already',
        "blower.csv:4: node 's:Flow' is not a node id such as ns=2;s=P101.Flow",
    ]


def test_a_group_without_a_rate(tmp_path: Path) -> None:
    rows = read_modbus_tags(
        written(tmp_path, "tag,address,type,group\na,0,int16,slow\nb,1,int16,slow\nc,2,int16,\n")
    )
    with pytest.raises(ConfigError) as caught:
        check_groups([row.entry for row in rows], {}, file="blower.csv", connector="blower")
    assert list(caught.value.mistakes) == [
        "blower.csv:2: group 'slow' has no rate: add [connectors.blower.groups.slow]"
    ]
