"""What stands in one cell: a number, nothing, or a time."""

import re
from datetime import UTC, datetime
from typing import Final

import numpy as np

TIME_NAMES: Final = ("time", "timestamp", "datetime", "date", "ts", "time_ns", "t")
"""Names that a time column is looked for under, upper case or lower."""

NS_PER_S: Final = 1_000_000_000
_NOTHING: Final = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "none", "-", "?", "bad"})
"""What historians and spreadsheets write for a value that is not there."""
_WORDS: Final = {"true": 1.0, "false": 0.0}
_EPOCH_UNITS_NS: Final = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (1e8, NS_PER_S))
"""A time in 1973 or later is above the first figure when it counts in so many nanoseconds."""
_TIME_MAX: Final = 9e18
"""Nanoseconds in 63 bits end in 2262."""
_DOTTED_DATE: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(.*)")


def number_in(text: str, *, has_decimal_comma: bool) -> float | None:
    """Return the number in a cell, NaN when there is none, None when it holds something else.

    Args:
        text: The cell.
        has_decimal_comma: Whether a comma is a decimal point: it separates nothing in this file.
    """
    cell = text.strip()
    if has_decimal_comma:
        cell = cell.replace(",", ".")
    try:
        number = float(cell)
    except ValueError:
        word = cell.lower()
        return np.nan if word in _NOTHING else _WORDS.get(word)
    return number if abs(number) < np.inf else np.nan


def time_ns_in(text: str) -> int:
    """Return the time in a cell, nanoseconds UTC.

    A number counts seconds, milliseconds, microseconds or nanoseconds since 1970 by its size; one
    too small for a date counts seconds from the start of the recording. A date is ISO 8601, or
    begins with day.month.year; without an offset it is UTC.

    Raises:
        ValueError: it is none of these; says what to write instead.
    """
    try:
        number = float(text)
    except ValueError:
        return _date_ns(text)
    if not abs(number) < _TIME_MAX:
        raise ValueError(f"{text!r} is no time")
    unit_ns = next((unit for least, unit in _EPOCH_UNITS_NS if abs(number) >= least), NS_PER_S)
    is_whole = text.strip().lstrip("+-").isdecimal()
    # Nanoseconds since 1970 do not fit into a float.
    return int(text) * unit_ns if is_whole else round(number * unit_ns)


def is_date(text: str) -> bool:
    """Return whether a cell holds a date with a year, rather than a number."""
    try:
        float(text)
    except ValueError:
        try:
            _date_ns(text)
        except ValueError:
            return False
        return True
    return False


def _date_ns(text: str) -> int:
    cell = text.strip()
    dotted = _DOTTED_DATE.fullmatch(cell)
    if dotted is not None:
        cell = f"{dotted[3]}-{int(dotted[2]):02}-{int(dotted[1]):02}{dotted[4]}"
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no time: write 2026-03-09T10:14:33, with Z or an offset if it is not "
            "UTC, or seconds since 1970"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    if not abs(whole.timestamp()) < _TIME_MAX / NS_PER_S:
        raise ValueError(f"{text!r} is no time of this age")
    return int(whole.timestamp()) * NS_PER_S + moment.microsecond * 1_000
