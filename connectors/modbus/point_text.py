"""Addresses and types of Modbus points as people write them. Pure."""

import re

from connectors.modbus.registers import (
    STRING_LENGTH_MAX,
    Area,
    ByteOrder,
    NumberType,
    Point,
)

ADDRESS_MAX = 0xFFFF

_BIT_TYPE = re.compile(r"bit(1[0-5]|[0-9])")
_STRING_TYPE = re.compile(r"string(\d{1,3})")
_PREFIXED = re.compile(r"(?P<area>[a-z]+)[: ]\s*(?P<address>\w+)")
_AREA_BY_WORD = {area.word: area for area in Area}
_AREA_BY_DIGIT = {
    "0": Area.COIL,
    "1": Area.DISCRETE_INPUT,
    "3": Area.INPUT_REGISTER,
    "4": Area.HOLDING_REGISTER,
}
_NUMBERED = (NumberType.BIT, NumberType.STRING)
"""Types that are written with a number behind them."""


def parse_point(address_text: str, type_text: str, order: ByteOrder) -> Point:
    """Return where a value is and how to read it.

    Args:
        address_text: Such as `40069`, `0x44`, `input:10`.
        type_text: Such as `float32`, `bit3`, `string16`, `coil`.
        order: Of the bytes on the wire.
    Raises:
        ValueError: one of them is wrong, or they do not fit together.
    """
    word = type_text.lower()
    number_type, bit, length = _parse_type(word)
    area, address = _parse_address(address_text, number_type)
    area_of_type = _AREA_BY_WORD.get(word)
    if area and area_of_type and area is not area_of_type:
        raise ValueError(f"address {address_text} is among the {area_words(area)}, not a {word}")
    area = area or area_of_type or Area.HOLDING_REGISTER
    if area.is_bits and number_type is not NumberType.BOOL:
        raise ValueError(f"type {word!r} does not fit {area_words(area)}: use bool")
    point = Point(area=area, address=address, type=number_type, order=order, bit=bit, length=length)
    if point.end > ADDRESS_MAX + 1:
        raise ValueError(f"address {address_text} leaves no room for {point.type_text}")
    return point


def parse_area(word: str) -> Area:
    """Return the area that people write so, such as `holding`.

    Raises:
        ValueError: there is none.
    """
    if word not in _AREA_BY_WORD:
        raise ValueError(f"{word!r} is not one of {', '.join(_AREA_BY_WORD)}")
    return _AREA_BY_WORD[word]


def area_words(area: Area) -> str:
    """Return the name of an area in words, such as `holding registers`."""
    return f"{area.name.lower().replace('_', ' ')}s"


def _parse_type(word: str) -> tuple[NumberType, int, int]:
    """Return the type, its bit and its length, each 0 where the type has none.

    Raises:
        ValueError: it is no type.
    """
    if match := _BIT_TYPE.fullmatch(word):
        return NumberType.BIT, int(match[1]), 0
    if match := _STRING_TYPE.fullmatch(word):
        length = int(match[1])
        if not 1 <= length <= STRING_LENGTH_MAX:
            raise ValueError(f"type {word!r} is not string1 to string{STRING_LENGTH_MAX}")
        return NumberType.STRING, 0, length
    if word in (Area.COIL.word, Area.DISCRETE_INPUT.word):
        return NumberType.BOOL, 0, 0
    names = [name.value for name in NumberType if name not in _NUMBERED]
    if word not in names:
        raise ValueError(
            f"type {word!r} is not one of {', '.join(names)}, bit0 to bit15, "
            f"string1 to string{STRING_LENGTH_MAX}, coil, discrete"
        )
    return NumberType(word), 0, 0


def _parse_address(text: str, number_type: NumberType) -> tuple[Area | None, int]:
    """Return the area, None when the text names none, and the zero-based address.

    Five and six digits that open with 0, 1, 3 or 4 are traditional: one-based, the first digit
    names the area. A register type at 1xxxx is an ordinary zero-based address all the same.

    Raises:
        ValueError: it is no address.
    """
    match = _PREFIXED.fullmatch(text.lower())
    if match and match["area"] in _AREA_BY_WORD:
        return _AREA_BY_WORD[match["area"]], _zero_based(match["address"], text)
    is_traditional = text.isdecimal() and len(text) in (5, 6)
    area = _AREA_BY_DIGIT.get(text[0]) if is_traditional else None
    if area is None or (area.is_bits and number_type is not NumberType.BOOL):
        return None, _zero_based(text, text)
    address = int(text[1:]) - 1
    if not 0 <= address <= ADDRESS_MAX:
        raise ValueError(f"address {text} does not count from 1 to 65536 behind its first digit")
    return area, address


def _zero_based(digits: str, text: str) -> int:
    try:
        address = int(digits, 16 if digits.lower().startswith("0x") else 10)
    except ValueError:
        address = -1
    if not 0 <= address <= ADDRESS_MAX:
        raise ValueError(f"address {text!r} is not 0 to 65535, 4xxxx, 3xxxx, or such as input:70")
    return address
