"""Which numbers the built-in types of OPC UA can hold. Pure.

What does not fit is refused before anything is written: a value that was cut, wrapped or rounded
on its way would be another command than the one that a person confirmed.
"""

import math

BOOLEAN = 1
FLOAT = 10
DOUBLE = 11
ENUMERATION = 29
"""Node ids of data types in namespace 0 (OPC 10000-6, 5.1.2); an enumeration travels as Int32."""
FLOAT_END = 2.0**128 - 2.0**103
"""From here on a number rounds to infinity in IEC 60559 binary32."""
WHOLE_TOLERANCE = 1e-6
"""Relative; so far a number may be from a whole one, for what scale and offset leave behind."""

_WHOLE = {
    2: ("SByte", -(2**7), 2**7 - 1),
    3: ("Byte", 0, 2**8 - 1),
    4: ("Int16", -(2**15), 2**15 - 1),
    5: ("UInt16", 0, 2**16 - 1),
    6: ("Int32", -(2**31), 2**31 - 1),
    7: ("UInt32", 0, 2**32 - 1),
    8: ("Int64", -(2**63), 2**63 - 1),
    9: ("UInt64", 0, 2**64 - 1),
}


def holds_numbers(type_id: int) -> bool:
    """Tell whether a built-in type is a number or a truth value."""
    return type_id in _WHOLE or type_id in (BOOLEAN, FLOAT, DOUBLE)


def number_for(type_id: int, value: float) -> bool | int | float:
    """Return a number as a type holds it.

    Args:
        type_id: Of a type that `holds_numbers`.
        value: As the server counts, without scale and offset.
    Raises:
        ValueError: the type cannot hold it; says why.
    """
    assert holds_numbers(type_id), type_id
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number that can be written")
    if type_id == DOUBLE:
        return value
    if type_id == FLOAT:
        if abs(value) >= FLOAT_END:
            raise ValueError(f"{value:g} is beyond what a Float holds")
        return value
    whole = round(value)
    if abs(value - whole) > WHOLE_TOLERANCE * max(1.0, abs(value)):
        raise ValueError(f"{value:g} is no whole number, and the server takes no other")
    if type_id == BOOLEAN:
        if whole not in (0, 1):
            raise ValueError(f"{whole} is neither 0 nor 1, and the server takes no other")
        return bool(whole)
    name, low, high = _WHOLE[type_id]
    if not low <= whole <= high:
        raise ValueError(f"{whole} is outside {low} to {high}, which a {name} holds")
    return whole
