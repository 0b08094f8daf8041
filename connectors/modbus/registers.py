"""Modbus registers as numbers, and back. Pure.

A register is 16 bits, sent high byte first (Modbus 4.2). How a value of 32 or 64 bits is spread
over registers is nobody's standard, so each point names its order after what the four bytes A
(most significant) to D look like on the wire: `ABCD`, `DCBA`, `BADC` (bytes swapped within each
register), `CDAB` (registers swapped). With 64 bits the same rule goes over four registers.

Text is spread in the same way, two characters to a register: `CDAB` turns its registers round.

Decoding is a table look-up: the bytes of all the points of a block are gathered in one step,
most significant first and points of one kind side by side, and then each kind is read at once.
Text is no number: it is read apart, by `decode_text`.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import FloatArray, IndexArray, frozen, index_column


class Area(Enum):
    """The four address spaces; the number is the function code that reads one (Modbus 6)."""

    COIL = 1
    DISCRETE_INPUT = 2
    HOLDING_REGISTER = 3
    INPUT_REGISTER = 4

    @property
    def is_bits(self) -> bool:
        """Whether an address holds one bit; otherwise a register of 16."""
        return self in (Area.COIL, Area.DISCRETE_INPUT)

    @property
    def word(self) -> str:
        """What people write before an address: `holding`, `input`, `coil`, `discrete`."""
        return self.name.partition("_")[0].lower()

    @property
    def is_writable(self) -> bool:
        """Whether Modbus can write there at all."""
        return self in (Area.COIL, Area.HOLDING_REGISTER)


class NumberType(StrEnum):
    """How the bits at a point are to be read."""

    BOOL = "bool"
    """One bit in a bit area; a register that is not zero otherwise."""
    BIT = "bit"
    """One bit of a register, counted from the least significant, 0 to 15."""
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT8_HIGH = "int8_high"
    """The high byte of a register, and so on: the one that is sent first, unless the order says
    that the bytes are swapped."""
    INT8_LOW = "int8_low"
    UINT8_HIGH = "uint8_high"
    UINT8_LOW = "uint8_low"
    BCD16 = "bcd16"
    """Four decimal digits, four bits each."""
    BCD32 = "bcd32"
    STRING = "string"
    """Text, one byte a character; ends at the first zero."""


class ByteOrder(StrEnum):
    """Order of the bytes on the wire; A is the most significant."""

    ABCD = "ABCD"
    DCBA = "DCBA"
    BADC = "BADC"
    CDAB = "CDAB"


DTYPES: dict[NumberType, np.dtype[np.generic]] = {
    NumberType.BOOL: np.dtype(">u2"),
    NumberType.BIT: np.dtype(">u2"),
    NumberType.INT16: np.dtype(">i2"),
    NumberType.UINT16: np.dtype(">u2"),
    NumberType.INT32: np.dtype(">i4"),
    NumberType.UINT32: np.dtype(">u4"),
    NumberType.INT64: np.dtype(">i8"),
    NumberType.UINT64: np.dtype(">u8"),
    NumberType.FLOAT32: np.dtype(">f4"),
    NumberType.FLOAT64: np.dtype(">f8"),
    NumberType.INT8_HIGH: np.dtype(">i1"),
    NumberType.INT8_LOW: np.dtype(">i1"),
    NumberType.UINT8_HIGH: np.dtype(">u1"),
    NumberType.UINT8_LOW: np.dtype(">u1"),
    NumberType.BCD16: np.dtype(">u2"),
    NumberType.BCD32: np.dtype(">u4"),
}
"""How the gathered bytes of a number are read; text is not among them."""
STRING_LENGTH_MAX = 250
"""Characters in the 125 registers that one request can read (Modbus 6.3)."""

_HIGH_HALVES = (NumberType.INT8_HIGH, NumberType.UINT8_HIGH)
_LOW_HALVES = (NumberType.INT8_LOW, NumberType.UINT8_LOW)
HALVES = (*_HIGH_HALVES, *_LOW_HALVES)
"""Types of one byte."""
_TRUTHS = (NumberType.BOOL, NumberType.BIT)
_DECIMALS = (NumberType.BCD16, NumberType.BCD32)
_SWAPPED = (ByteOrder.BADC, ByteOrder.DCBA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value in a device."""

    area: Area
    address: int
    """Zero-based, as on the wire, 0 to 65535."""
    type: NumberType
    order: ByteOrder = ByteOrder.ABCD
    bit: int = 0
    """Only for `NumberType.BIT`."""
    length: int = 0
    """Characters; only for `NumberType.STRING`."""

    @property
    def size(self) -> int:
        """Addresses that it takes: registers, or bits in a bit area."""
        if self.type is NumberType.STRING:
            return (self.length + 1) // 2
        return 1 if self.area.is_bits else max(1, DTYPES[self.type].itemsize // 2)

    @property
    def is_text(self) -> bool:
        """Whether its value is no number."""
        return self.type is NumberType.STRING

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.size

    @property
    def type_text(self) -> str:
        """Its type as people write it, such as `float32`, `bit3`, `string16`."""
        number = {NumberType.BIT: self.bit, NumberType.STRING: self.length}.get(self.type)
        return self.type.value if number is None else f"{self.type.value}{number}"

    def __str__(self) -> str:
        """Say where it is, as people write it: `holding 9000`."""
        return f"{self.area.word} {self.address}"


class _Form(Enum):
    """What is made of the gathered bytes."""

    NUMBER = 0
    TRUTH = 1
    DIGITS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """Values of one kind, side by side in the gathered bytes and in the result."""

    dtype: np.dtype[np.generic]
    octets: slice
    values: slice
    form: _Form
    mask: NDArray[np.uint16]
    """Bits that make a truth value 1; empty for the other forms."""


class BlockDecoder:
    """Reads the points of one block of registers or bits from the bytes of a response."""

    def __init__(self, points: Sequence[Point], *, start: int) -> None:
        """Build the tables.

        Args:
            points: All of one area, at `start` or behind it, and numbers; not empty.
            start: Address that the first byte of a response belongs to.
        """
        assert points
        assert len({point.area for point in points}) == 1
        assert all(point.address >= start for point in points)
        assert not any(point.is_text for point in points)
        order = sorted(range(len(points)), key=lambda index: _kind(points[index]))
        self.order: IndexArray = index_column(order)
        """Which of the points each value of a result belongs to, shape (n,)."""
        ordered = [points[index] for index in order]
        self._is_bits = points[0].area.is_bits
        if self._is_bits:
            self._gather = index_column([point.address - start for point in ordered])
            self._segments: tuple[_Segment, ...] = ()
        else:
            self._gather = _gather_table(ordered, start=start)
            self._segments = _segments(ordered)

    def decode(self, payload: bytes) -> FloatArray:
        """Return the values in `order`.

        Args:
            payload: Bytes of the response behind the byte count, of all addresses of the block.
        Returns:
            Shape (n,), as the device gave them: not a number and infinite values included;
            integers beyond 2**53 are rounded to the nearest float64. Decimal digits above 9
            give NaN.
        """
        octets = np.frombuffer(payload, dtype=np.uint8)
        if self._is_bits:
            # Modbus 6.1: the first address is the least significant bit of the first byte.
            bits = np.unpackbits(octets, bitorder="little")
            return bits[self._gather].astype(np.float64)
        gathered = octets[self._gather]
        values = np.empty(len(self.order), dtype=np.float64)
        with np.errstate(invalid="ignore"):  # widening a signalling NaN quietens it, no more
            for segment in self._segments:
                numbers = gathered[segment.octets].view(segment.dtype)
                match segment.form:
                    case _Form.NUMBER:
                        values[segment.values] = numbers
                    case _Form.TRUTH:
                        values[segment.values] = (numbers & segment.mask) != 0
                    case _Form.DIGITS:
                        values[segment.values] = _from_digits(numbers, segment.dtype.itemsize)
        return values


def decode_text(point: Point, payload: bytes, *, start: int) -> str:
    """Return the text at a point.

    Args:
        point: Of `NumberType.STRING`.
        payload: Bytes of the response behind the byte count.
        start: Address that the first byte belongs to.
    Returns:
        Up to the first zero, without the spaces behind it; each byte is the character of that
        number (ISO 8859-1), so that nothing is lost and nothing fails.
    """
    octets = np.frombuffer(payload, dtype=np.uint8)
    positions = 2 * (point.address - start) + _wire_positions(point.order, 2 * point.size)
    written = octets[positions].tobytes()[: point.length]
    return written.partition(b"\0")[0].decode("latin-1").rstrip(" ")


def encode_registers(point: Point, value: float) -> bytes:
    """Return the bytes of the registers that hold the value.

    Raises:
        ValueError: the type cannot hold it; integers are rounded to the nearest first.
    """
    assert not point.area.is_bits
    assert point.type is not NumberType.BIT
    assert not point.is_text
    assert point.type not in HALVES
    dtype = DTYPES[point.type]
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            number = np.array(value, dtype=dtype)
        is_held = bool(np.isfinite(number))
    else:
        whole = _whole(point.type, value)
        low, high = _limits(point.type)
        if whole is None or not low <= whole <= high:
            is_held, number = False, np.zeros((), dtype=dtype)
        else:
            digits = int(str(whole), 16) if point.type in _DECIMALS else whole
            is_held, number = True, np.array(digits, dtype=dtype)
    if not is_held:
        low, high = _limits(point.type)
        raise ValueError(f"{value} does not fit into {point.type} ({low:g} to {high:g})")
    significant_first = np.frombuffer(number.tobytes(), dtype=np.uint8)
    octets = np.empty_like(significant_first)
    octets[_wire_positions(point.order, dtype.itemsize)] = significant_first
    return octets.tobytes()


def _limits(number_type: NumberType) -> tuple[float, float]:
    """Return the least and the greatest value that a register type holds."""
    dtype = DTYPES[number_type]
    if dtype.kind == "f":
        reals = np.finfo(dtype.str[1:])
        return float(reals.min), float(reals.max)
    if number_type in _DECIMALS:
        return 0, 10 ** (2 * dtype.itemsize) - 1
    integers = np.iinfo(dtype.str[1:])
    return integers.min, integers.max


def _from_digits(numbers: NDArray[np.generic], size: int) -> FloatArray:
    """Return what decimal digits of four bits each say; NaN where one is above 9."""
    rest = numbers.astype(np.uint32)
    values = np.zeros(len(rest), dtype=np.float64)
    for digit in range(2 * size):
        here = (rest >> np.uint32(4 * digit)) & np.uint32(0xF)
        values += np.where(here > 9, np.nan, here * 10.0**digit)
    return values


def _whole(number_type: NumberType, value: float) -> int | None:
    """Return the nearest integer, 0 or 1 for a truth value, or None when there is none."""
    if not math.isfinite(value):
        return None
    return int(value != 0) if number_type is NumberType.BOOL else round(value)


def read_pdu(area: Area, *, start: int, count: int) -> bytes:
    """Return the request that reads `count` addresses from `start` (Modbus 6.1 to 6.4)."""
    return struct.pack(">BHH", area.value, start, count)


def payload_size(area: Area, *, count: int) -> int:
    """Return the number of bytes that hold the values of `count` addresses."""
    return (count + 7) // 8 if area.is_bits else 2 * count


def _kind(point: Point) -> tuple[int, str, int]:
    """Sorts wide values first, so that every view into the gathered bytes is aligned."""
    dtype = DTYPES[point.type]
    return (-dtype.itemsize, dtype.str, _form(point).value)


def _form(point: Point) -> _Form:
    if point.type in _TRUTHS:
        return _Form.TRUTH
    return _Form.DIGITS if point.type in _DECIMALS else _Form.NUMBER


def _gather_table(points: Sequence[Point], *, start: int) -> IndexArray:
    """Return where each byte of each point stands in the payload, most significant first."""
    return index_column(
        np.concatenate([2 * (point.address - start) + _octets_of(point) for point in points])
    )


def _octets_of(point: Point) -> IndexArray:
    """Return the positions of a number's bytes behind its address, most significant first."""
    if point.type in HALVES:
        is_second = (point.type in _LOW_HALVES) != (point.order in _SWAPPED)
        return np.array([int(is_second)], dtype=np.int32)
    return _wire_positions(point.order, DTYPES[point.type].itemsize)


def _wire_positions(order: ByteOrder, size: int) -> IndexArray:
    """Return the positions on the wire of a value's bytes, most significant first."""
    positions = np.arange(size, dtype=np.int32).reshape(-1, 2)
    if order in (ByteOrder.CDAB, ByteOrder.DCBA):
        positions = positions[::-1]
    if order in _SWAPPED:
        positions = positions[:, ::-1]
    return positions.reshape(-1)


def _segments(points: Sequence[Point]) -> tuple[_Segment, ...]:
    """Return the runs of one kind; the points are sorted by it."""
    segments = []
    begin = octet = 0
    while begin < len(points):
        kind = _kind(points[begin])
        end = begin
        while end < len(points) and _kind(points[end]) == kind:
            end += 1
        dtype = DTYPES[points[begin].type]
        size = (end - begin) * dtype.itemsize
        segments.append(
            _Segment(
                dtype=dtype,
                octets=slice(octet, octet + size),
                values=slice(begin, end),
                form=_form(points[begin]),
                mask=_masks(points[begin:end]),
            )
        )
        begin, octet = end, octet + size
    return tuple(segments)


def _masks(points: Sequence[Point]) -> NDArray[np.uint16]:
    """Return the bits that make each truth value true; empty for other forms."""
    truths = [point for point in points if point.type in _TRUTHS]
    masks = [1 << point.bit if point.type is NumberType.BIT else 0xFFFF for point in truths]
    return frozen(np.array(masks, dtype=np.uint16))
