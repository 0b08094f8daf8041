"""The guess of a byte order, scored on numbers as machines have them."""

import random
import struct

import pytest

from connectors.modbus.order_guess import guess_order
from connectors.modbus.registers import Area, ByteOrder, NumberType, Point, encode_registers

TYPES = [NumberType.FLOAT32, NumberType.FLOAT64, NumberType.INT32, NumberType.UINT32]


def point(kind: NumberType, order: ByteOrder = ByteOrder.ABCD) -> Point:
    return Point(area=Area.HOLDING_REGISTER, address=10, type=kind, order=order)


@pytest.mark.parametrize(
    ("kind", "share_min"), list(zip(TYPES, (0.97, 0.97, 0.9, 0.9), strict=True))
)
def test_the_guess_is_right_where_always_the_same_is_right_once_in_four(
    kind: NumberType, share_min: float
) -> None:
    """Values from 0.5 to 20,000 that move by a hundredth; seeds fixed."""
    draw = random.Random(7)
    right = 0
    for _ in range(1000):
        order = draw.choice(list(ByteOrder))
        value = 10 ** draw.uniform(-0.3, 4.3)
        readings = [
            encode_registers(point(kind, order), value * (1 + draw.uniform(-0.01, 0.01)))
            for _ in range(2)
        ]
        right += guess_order([point(kind)], readings).best is order
    assert right >= share_min * 1000


def test_a_steady_speed_is_recognised() -> None:
    """2960.5 rpm has few digits; its bytes swapped are 0.000188, with many."""
    payload = struct.pack(">f", 2960.5)
    guess = guess_order([point(NumberType.FLOAT32)], [payload, payload])
    assert guess.best is ByteOrder.ABCD
    assert guess.readings[0].values == (2960.5,)


def test_a_known_range_decides() -> None:
    payload = encode_registers(point(NumberType.UINT32, ByteOrder.CDAB), 7.0)
    guess = guess_order([point(NumberType.UINT32)], [payload], low=0, high=100)
    assert guess.best is ByteOrder.CDAB
    assert [reading.is_plausible for reading in guess.readings] == [False, False, False, True]


def test_zeros_tell_nothing() -> None:
    assert guess_order([point(NumberType.FLOAT32)], [bytes(4), bytes(4)]).best is None


def test_nothing_plausible_is_no_guess() -> None:
    guess = guess_order([point(NumberType.FLOAT32)], [b"\x7f\xff\x7f\xff"])
    assert guess.best is None
    assert not any(reading.is_plausible for reading in guess.readings)


def test_several_values_are_judged_together() -> None:
    points = [
        Point(area=Area.HOLDING_REGISTER, address=10 + 2 * index, type=NumberType.FLOAT32)
        for index in range(3)
    ]
    payload = b"".join(
        encode_registers(point(NumberType.FLOAT32, ByteOrder.DCBA), value)
        for value in (1.25, 0.0, 987.0)
    )
    guess = guess_order(points, [payload])
    assert guess.best is ByteOrder.DCBA
    assert next(each for each in guess.readings if each.order is guess.best).values == (
        1.25,
        0.0,
        987.0,
    )
