"""What a variable of an OPC UA server is: its type, unit, range and access, for a tag list."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIdNames

from connectors.ucum import ucum_of_code, ucum_of_spelling

FACT_ATTRIBUTES = (
    AttributeIds.DataType,
    AttributeIds.ValueRank,
    AttributeIds.UserAccessLevel,
    AttributeIds.AccessLevel,
)
"""Read of every variable, in this order; the values of `EURange` and `EngineeringUnits` follow."""

SCALAR_RANK = -1
"""OPC 10000-3, 5.6.2: -1 is a scalar, -2 anything, -3 a scalar or one dimension, above an array."""
_NUMERIC_TYPES = frozenset(range(1, 12))
"""Boolean, SByte to UInt64, Float, Double (OPC 10000-6, 5.1.2)."""
_TYPES_OF_TEXT = frozenset((12, 13, 14, 15, 16, 17, 18, 20, 21, 22))
_WRITE_BIT = 1
_TEXT_LENGTH_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the server says of a variable."""

    data_type: str
    """Such as `Double` or `Int16[]`; empty when it does not tell."""
    is_numeric: bool
    """Whether it is one number or one yes or no: what a tag can be."""
    value: float | int | bool | str | None
    """Present value, text where it is no number; None when not asked for or not to be read."""
    unit: str
    """UCUM; empty when there is none or it is unknown to us."""
    unit_text: str
    """As the server shows it."""
    low: float
    """Of `EURange`; minus infinity without one."""
    high: float
    is_writable: bool


def is_scalar(row: Sequence[ua.DataValue]) -> bool:
    """Tell whether a variable may hold a single value; `row` as in `facts_of`."""
    rank = _plain(row[1])
    return not isinstance(rank, int) or rank < 0


def needs_value(row: Sequence[ua.DataValue]) -> bool:
    """Tell whether only the value shows what type it is: a type of the server's own, or none."""
    data_type = _plain(row[0])
    if not isinstance(data_type, ua.NodeId):
        return True
    identifier = data_type.Identifier
    is_known = data_type.NamespaceIndex == 0 and identifier in _NUMERIC_TYPES | _TYPES_OF_TEXT
    return not is_known or _plain(row[1]) != SCALAR_RANK


def facts_of(row: Sequence[ua.DataValue], data: ua.DataValue | None) -> Facts:
    """Return the facts of a variable.

    Args:
        row: Answers for `FACT_ATTRIBUTES`, then `EURange` and `EngineeringUnits`.
        data: Its value; None when it was not asked for.
    """
    data_type, rank, user_access, access, eu_range, units = (_plain(each) for each in row)
    level = user_access if isinstance(user_access, int) else access
    low, high = -math.inf, math.inf
    if isinstance(eu_range, ua.Range) and eu_range.Low < eu_range.High:
        low, high = float(eu_range.Low), float(eu_range.High)
    unit, unit_text = "", ""
    if isinstance(units, ua.EUInformation):
        unit_text = (units.DisplayName.Text if units.DisplayName else None) or ""
        unit = ucum_of_code(units.UnitId) or ucum_of_spelling(unit_text)
    return Facts(
        data_type=_type_name(data_type, rank, data),
        is_numeric=_is_numeric(data_type, rank, data),
        value=_shown(data),
        unit=unit,
        unit_text=unit_text,
        low=low,
        high=high,
        is_writable=isinstance(level, int) and bool(level >> _WRITE_BIT & 1),
    )


def _plain(data: ua.DataValue) -> object:
    """Return what an answer holds; None when it is Bad or empty."""
    if data.StatusCode is not None and not data.StatusCode.is_good():
        return None
    return data.Value.Value if data.Value is not None else None


def _is_numeric(data_type: object, rank: object, data: ua.DataValue | None) -> bool:
    if data is not None and data.Value is not None and data.Value.VariantType.value:
        return data.Value.VariantType.value in _NUMERIC_TYPES and not data.Value.is_array
    if isinstance(rank, int) and rank > SCALAR_RANK:
        return False
    return (
        isinstance(data_type, ua.NodeId)
        and data_type.NamespaceIndex == 0
        and data_type.Identifier in _NUMERIC_TYPES
    )


def _type_name(data_type: object, rank: object, data: ua.DataValue | None) -> str:
    """Return the name of the type; of one of the server's own, what its values are made of."""
    name = ""
    if isinstance(data_type, ua.NodeId):
        name = str(data_type.to_string())
        if data_type.NamespaceIndex == 0:
            name = ObjectIdNames.get(int(data_type.Identifier), name)
        elif data is not None and data.Value is not None and data.Value.VariantType.value:
            name = data.Value.VariantType.name
    is_array = isinstance(rank, int) and rank > SCALAR_RANK
    return f"{name}[]" if is_array else name


def _shown(data: ua.DataValue | None) -> float | int | bool | str | None:
    value = None if data is None else _plain(data)
    match value:
        case None | bool() | int() | float():
            return value
        case datetime():
            text = value.isoformat(sep=" ", timespec="seconds")
        case ua.LocalizedText():
            text = value.Text or ""
        case _:
            text = str(value)
    return text if len(text) <= _TEXT_LENGTH_MAX else f"{text[: _TEXT_LENGTH_MAX - 1]}…"
