"""OPC UA values in asyncua's types, which are subclasses of Python's that nobody writes out."""

from datetime import datetime
from typing import cast

from asyncua import ua

Plain = bool | int | float | str | bytes | None


def variant(value: object, kind: ua.VariantType) -> ua.Variant:
    """Return a value of a built-in type."""
    return ua.Variant(value, kind, is_array=isinstance(value, list))


def status_code(code: int) -> ua.StatusCode:
    """Return a status code."""
    return ua.StatusCode(ua.UInt32(code))


def data_value(
    value: ua.Variant | float,
    *,
    status: int | None = 0,
    source: datetime | None = None,
    server: datetime | None = None,
    source_pico: int | None = None,
    server_pico: int | None = None,
) -> ua.DataValue:
    """Return a value with quality and times; a plain number is a Double."""
    if not isinstance(value, ua.Variant):
        value = variant(float(value), ua.VariantType.Double)
    return ua.DataValue(
        value,
        None if status is None else status_code(status),
        cast("ua.DateTime | None", source),
        cast("ua.DateTime | None", server),
        cast("ua.UInt16 | None", source_pico),
        cast("ua.UInt16 | None", server_pico),
    )


def item(handle: int, value: ua.DataValue) -> ua.MonitoredItemNotification:
    """Return a change of one monitored item."""
    return ua.MonitoredItemNotification(cast("ua.IntegerId", handle), value)
