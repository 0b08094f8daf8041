"""Requests that write to a Modbus device. Pure."""

import math
import struct
from typing import Literal

from connectors.modbus.exchange import Request
from connectors.modbus.registers import Area, NumberType, Point, encode_registers, read_pdu

WriteFunctions = Literal["single", "multiple"]

ON = 0xFF00
"""Modbus 6.5: any other value than this and zero is refused."""
REMEDIES = {
    1: "The device does not know this function: try another `write_functions` or `bit_writes`.",
    2: "Check the address: the device may read there and not allow writes.",
    3: "Check the value against what the device allows.",
    4: "The device failed while writing: look at its own display.",
    5: "The device is still at it: read the tag before writing again.",
    6: "The device is busy: write again when it is not.",
}
"""What to do about an exception."""
OTHER_REMEDY = "Check the address, the value, and whether the device allows writes."


def write_request(point: Point, raw: float, functions: WriteFunctions) -> Request:
    """Return the request that writes a raw value (Modbus 6.5, 6.6, 6.11, 6.12).

    Args:
        point: Where to; no bit of a register.
        raw: As the device holds it; integers are rounded to the nearest.
        functions: Which to use for one coil or one register.
    Raises:
        ValueError: the point cannot hold it.
    """
    if not math.isfinite(raw):
        raise ValueError(f"{raw} cannot be written")
    if point.area is Area.COIL:
        if functions == "single":
            return Request(struct.pack(">BHH", 5, point.address, ON if raw else 0), 4)
        return Request(struct.pack(">BHHBB", 15, point.address, 1, 1, int(raw != 0)), 4)
    octets = encode_registers(point, raw)
    if point.size == 1 and functions == "single":
        return Request(struct.pack(">BH", 6, point.address) + octets, 4)
    head = struct.pack(">BHHB", 16, point.address, point.size, len(octets))
    return Request(head + octets, 4)


def mask_request(point: Point, raw: float) -> Request:
    """Return the request that sets or clears one bit of a register (Modbus 6.16).

    Raises:
        ValueError: the value is neither 0 nor 1.
    """
    octets_mask = _wire_mask(point)
    wanted = octets_mask if _bit_value(point, raw) else 0
    return Request(struct.pack(">BHHH", 22, point.address, ~octets_mask & 0xFFFF, wanted), 6)


def register_request(point: Point) -> Request:
    """Return the request that reads the register of a bit."""
    return Request(read_pdu(point.area, start=point.address, count=1), 2)


def changed_register_request(
    point: Point, raw: float, payload: bytes, functions: WriteFunctions
) -> Request:
    """Return the request that writes a register back with one bit changed.

    Args:
        point: The bit.
        raw: 0 or 1.
        payload: The register as it was read.
        functions: Which to use for one register.
    Raises:
        ValueError: the value is neither 0 nor 1.
    """
    (word,) = struct.unpack(">H", payload)
    mask = _wire_mask(point)
    word = word | mask if _bit_value(point, raw) else word & ~mask
    octets = struct.pack(">H", word)
    if functions == "single":
        return Request(struct.pack(">BH", 6, point.address) + octets, 4)
    return Request(struct.pack(">BHHB", 16, point.address, 1, 2) + octets, 4)


def _bit_value(point: Point, raw: float) -> int:
    if raw not in (0.0, 1.0):
        raise ValueError(f"{raw} does not fit into {point.type_text} (0 to 1)")
    return int(raw)


def _wire_mask(point: Point) -> int:
    """Return the bit as it stands in the register on the wire, whatever the order of its bytes."""
    assert point.type is NumberType.BIT
    word = Point(area=point.area, address=point.address, type=NumberType.UINT16, order=point.order)
    return int.from_bytes(encode_registers(word, 1 << point.bit), "big")
