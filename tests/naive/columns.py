"""Columns as `gateway.wire.columns` and `gateway.wire.values` write them, read one at a time.

Plain integers, floats and struct; no numpy. It knows the format from its description only.
"""

import math
import struct
from collections.abc import Iterator, Sequence


class Columns:
    """Reads columns from bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    @property
    def left(self) -> bytes:
        """What was not read."""
        return bytes(self._data)

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = next(self._data)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self) -> int:
        return _unzigzag(self.unsigned())

    def integers(self, count: int) -> list[int]:
        """A first number and the differences after it."""
        if count == 0:
            return []
        values = [self.signed()]
        for step in self.steps(count - 1):
            values.append(_wrapped(values[-1] + step))
        return values

    def steps(self, count: int) -> list[int]:
        if count == 0:
            return []
        if next(self._data) == 0:
            return [self.signed()] * count
        unit, width = self.unsigned(), next(self._data)
        planes = [[next(self._data) for _ in range(count)] for _ in range(width)]
        zigzags = [sum(plane[i] << 8 * k for k, plane in enumerate(planes)) for i in range(count)]
        return [_wrapped(_unzigzag(zigzag) * unit) for zigzag in zigzags]

    def values(self, sizes: Sequence[int]) -> list[float]:
        """Groups of values, as many in each as said."""
        if not sizes:
            return []
        modes = self.integers(len(sizes))
        units = iter([_double(bits) for bits in self.integers(modes.count(34))])
        unit_of_group = [next(units) if mode == 34 else math.nan for mode in modes]
        count = self.unsigned()
        exceptions = dict(zip(self.integers(count), self.integers(count), strict=True))
        firsts = self.integers(len(sizes))
        steps = iter(self.steps(sum(sizes)))
        values: list[float] = []
        for size, mode, unit, first in zip(sizes, modes, unit_of_group, firsts, strict=True):
            values += _group(mode, unit, first, [next(steps) for _ in range(size)])
        return [
            _double(exceptions[place]) if place in exceptions else value
            for place, value in enumerate(values)
        ]


def _group(mode: int, unit: float, first: int, steps: list[int]) -> Iterator[float]:
    integer = _wrapped(first - steps[0])
    for step in steps:
        integer = _wrapped(integer + step)
        yield _value(mode, unit, integer)


def _value(mode: int, unit: float, integer: int) -> float:
    if mode == 32:
        return _single(struct.pack("<q", integer)[:4])
    if mode == 33:
        return _double(integer)
    if mode == 34:
        return float(integer) * unit
    if mode > 48:
        return float(integer) * float(f"1e-{mode - 48}")
    if mode > 16:
        return _rounded_to_single(float(integer) / float(f"1e{mode - 16}"))
    return float(integer) / float(f"1e{mode}")


def _rounded_to_single(value: float) -> float:
    try:
        return _single(struct.pack("<f", value))
    except OverflowError:
        return math.copysign(math.inf, value)


def _single(data: bytes) -> float:
    (value,) = struct.unpack("<f", data)
    return float(value)


def _double(bits: int) -> float:
    (value,) = struct.unpack("<d", struct.pack("<q", bits))
    return float(value)


def _unzigzag(zigzag: int) -> int:
    return (zigzag >> 1) ^ -(zigzag & 1)


def _wrapped(number: int) -> int:
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
