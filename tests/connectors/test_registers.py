"""Registers as numbers: against pymodbus, and back."""

import struct
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from connectors.modbus.registers import (
    Area,
    BlockDecoder,
    ByteOrder,
    NumberType,
    Point,
    decode_text,
    encode_registers,
    payload_size,
    read_pdu,
)

PYMODBUS_TYPES = {
    NumberType.INT16: ModbusClientMixin.DATATYPE.INT16,
    NumberType.UINT16: ModbusClientMixin.DATATYPE.UINT16,
    NumberType.INT32: ModbusClientMixin.DATATYPE.INT32,
    NumberType.UINT32: ModbusClientMixin.DATATYPE.UINT32,
    NumberType.INT64: ModbusClientMixin.DATATYPE.INT64,
    NumberType.UINT64: ModbusClientMixin.DATATYPE.UINT64,
    NumberType.FLOAT32: ModbusClientMixin.DATATYPE.FLOAT32,
    NumberType.FLOAT64: ModbusClientMixin.DATATYPE.FLOAT64,
}
WORD_ORDERS: dict[ByteOrder, Literal["big", "little"]] = {
    ByteOrder.ABCD: "big",
    ByteOrder.BADC: "big",
    ByteOrder.CDAB: "little",
    ByteOrder.DCBA: "little",
}
SWAPPED = (ByteOrder.BADC, ByteOrder.DCBA)


def holding(address: int, number_type: NumberType, order: ByteOrder = ByteOrder.ABCD) -> Point:
    return Point(area=Area.HOLDING_REGISTER, address=address, type=number_type, order=order)


def by_pymodbus(point: Point, registers: list[int]) -> float:
    """Read one point with pymodbus; it knows word orders, and bytes are swapped for it."""
    mine = registers[point.address : point.end]
    if point.order in SWAPPED:
        mine = [int.from_bytes(word.to_bytes(2, "big"), "little") for word in mine]
    kind = PYMODBUS_TYPES[point.type]
    number = ModbusClientMixin.convert_from_registers(mine, kind, WORD_ORDERS[point.order])
    assert isinstance(number, int | float)
    return float(number)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[list[Point], list[int]]:
    """Draw points behind one another with gaps, shuffled, and the registers they stand in."""
    points, address = [], 0
    for _ in range(draw(st.integers(1, 20))):
        address += draw(st.integers(0, 3))
        kind, order = draw(st.sampled_from(list(PYMODBUS_TYPES))), draw(st.sampled_from(ByteOrder))
        points.append(holding(address, kind, order))
        address = points[-1].end
    words = draw(st.lists(st.integers(0, 0xFFFF), min_size=address, max_size=address))
    return draw(st.permutations(points)), words


@given(blocks())
def test_values_are_those_of_pymodbus(drawn: tuple[list[Point], list[int]]) -> None:
    points, words = drawn
    decoder = BlockDecoder(points, start=0)
    values = decoder.decode(struct.pack(f">{len(words)}H", *words))
    expected = [by_pymodbus(points[index], words) for index in decoder.order]
    np.testing.assert_array_equal(values, expected)
    assert sorted(decoder.order.tolist()) == list(range(len(points)))


@given(
    st.sampled_from(list(PYMODBUS_TYPES)),
    st.sampled_from(ByteOrder),
    st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False),
)
def test_what_is_written_reads_back(kind: NumberType, order: ByteOrder, value: float) -> None:
    """Either the type holds the value to its own precision, or it refuses."""
    point = holding(0, kind, order)
    try:
        octets = encode_registers(point, float(value))
    except ValueError:
        return
    [again] = BlockDecoder([point], start=0).decode(octets)
    if kind is NumberType.FLOAT32:
        assert again == np.float32(value)
    elif kind is NumberType.FLOAT64:
        assert again == float(value)
    else:
        assert again == float(round(float(value)))


@pytest.mark.parametrize(
    ("order", "octets"),
    [
        (ByteOrder.ABCD, "4212ABCD"),
        (ByteOrder.DCBA, "CDAB1242"),
        (ByteOrder.BADC, "1242CDAB"),
        (ByteOrder.CDAB, "ABCD4212"),
    ],
)
def test_orders_are_what_their_letters_say(order: ByteOrder, octets: str) -> None:
    point = holding(0, NumberType.UINT32, order)
    assert encode_registers(point, float(0x4212ABCD)) == bytes.fromhex(octets)


def test_a_signalling_nan_is_a_nan_like_any_other() -> None:
    point = holding(0, NumberType.FLOAT32)
    assert np.isnan(BlockDecoder([point], start=0).decode(bytes.fromhex("7FA00000"))).all()


def test_bits_of_a_register() -> None:
    bits = [
        Point(area=Area.HOLDING_REGISTER, address=5, type=NumberType.BIT, bit=bit)
        for bit in range(16)
    ]
    word = holding(5, NumberType.UINT16)
    flag = holding(6, NumberType.BOOL)
    decoder = BlockDecoder([*bits, word, flag], start=5)
    values = decoder.decode(struct.pack(">HH", 0b1000_0000_0000_0101, 2))
    by_point = dict(zip(decoder.order.tolist(), values.tolist(), strict=True))
    assert [index for index in range(16) if by_point[index]] == [0, 2, 15]
    assert by_point[16] == float(0b1000_0000_0000_0101)
    assert by_point[17] == 1.0


def test_decimal_digits_are_read_and_written() -> None:
    """What is above 9 is no digit, and the value is none."""
    short, wide = holding(0, NumberType.BCD16), holding(1, NumberType.BCD32, ByteOrder.CDAB)
    decoder = BlockDecoder([short, wide], start=0)
    values = decoder.decode(bytes.fromhex("1234 5678 9012".replace(" ", "")))
    by_point = dict(zip(decoder.order.tolist(), values.tolist(), strict=True))
    assert by_point == {0: 1234.0, 1: 90125678.0}
    [none] = BlockDecoder([short], start=0).decode(bytes.fromhex("12A4"))
    assert np.isnan(none)
    assert encode_registers(short, 1234.4) == bytes.fromhex("1234")
    assert encode_registers(wide, 90125678.0) == bytes.fromhex("56789012")
    for value in (-1.0, 10_000.0):
        with pytest.raises(ValueError, match="does not fit into bcd16"):
            encode_registers(short, value)


@given(st.integers(0, 99_999_999), st.sampled_from(ByteOrder))
def test_decimal_digits_read_back(number: int, order: ByteOrder) -> None:
    point = holding(0, NumberType.BCD32, order)
    [again] = BlockDecoder([point], start=0).decode(encode_registers(point, float(number)))
    assert again == number


def test_halves_of_a_register() -> None:
    """The high one comes first on the wire, unless the bytes are swapped."""
    points = [
        holding(0, NumberType.INT8_HIGH),
        holding(0, NumberType.INT8_LOW),
        holding(0, NumberType.UINT8_HIGH, ByteOrder.BADC),
        holding(0, NumberType.UINT8_LOW, ByteOrder.BADC),
        holding(1, NumberType.FLOAT32),
    ]
    decoder = BlockDecoder(points, start=0)
    values = decoder.decode(bytes.fromhex("80FE42280000"))
    by_point = dict(zip(decoder.order.tolist(), values.tolist(), strict=True))
    assert by_point == {0: -128.0, 1: -2.0, 2: 254.0, 3: 128.0, 4: 42.0}


@pytest.mark.parametrize(
    ("order", "octets"),
    [
        (ByteOrder.ABCD, b"xxPUMP-7 "),
        (ByteOrder.BADC, b"xxUPPM7- "),
        (ByteOrder.CDAB, b"xx-7MPPU"),
    ],
)
def test_text(order: ByteOrder, octets: bytes) -> None:
    length = 6 if order is ByteOrder.CDAB else 7
    point = Point(
        area=Area.HOLDING_REGISTER,
        address=11,
        type=NumberType.STRING,
        order=order,
        length=length,
    )
    payload = octets.ljust(10, b"\0")
    expected = "PUMP-7"
    assert decode_text(point, payload, start=10) == expected
    assert (point.size, point.type_text) == ((length + 1) // 2, f"string{length}")


def test_text_ends_at_the_first_zero_and_any_byte_is_a_character() -> None:
    point = Point(area=Area.HOLDING_REGISTER, address=0, type=NumberType.STRING, length=8)
    assert decode_text(point, b"A\xe9 \0xyz.", start=0) == "A\xe9"


def test_coils_come_eight_to_a_byte() -> None:
    """The example of Modbus 6.1: coils 20 to 38 as CD 6B 05."""
    points = [
        Point(area=Area.COIL, address=address, type=NumberType.BOOL) for address in (19, 27, 37)
    ]
    decoder = BlockDecoder(points, start=19)
    assert decoder.decode(bytes.fromhex("CD6B05")).tolist() == [1.0, 1.0, 1.0]
    assert payload_size(Area.COIL, count=19) == 3
    assert read_pdu(Area.COIL, start=19, count=19) == bytes.fromhex("0100130013")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (NumberType.INT16, 32768.0),
        (NumberType.UINT16, -1.0),
        (NumberType.UINT64, 2.0**64),
        (NumberType.FLOAT32, 1e39),
        (NumberType.FLOAT64, float("nan")),
        (NumberType.INT32, float("inf")),
    ],
)
def test_what_does_not_fit_is_refused(kind: NumberType, value: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_registers(holding(0, kind), value)
