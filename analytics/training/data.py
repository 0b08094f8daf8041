"""Reads recordings from CSV files: any names, any usual separator, ISO or epoch times.

A mistake is told with its line and what to do about it, because these files come from historians
and spreadsheets, and from people who have not made one for this program before.
"""

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from analytics.instants import NS_PER_S
from gateway.core.arrays import FloatArray, TimeArray, frozen
from gateway.core.errors import ConfigError

ROWS_MAX: Final = 5_000_000
TIME_NAMES: Final = ("time", "timestamp", "datetime", "date", "ts", "time_ns", "t")
"""Names that a time column is looked for under, upper case or lower."""

_GZIP_MARK: Final = b"\x1f\x8b"
_SEPARATORS: Final = ";\t,"
"""In this order: a semicolon is never part of a number, a comma may be."""
_EPOCH_UNITS_NS: Final = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (1e8, NS_PER_S))
"""A time in 1973 or later is above the first figure when it counts in so many nanoseconds."""
_TIME_MAX: Final = 9e18
"""Nanoseconds in 63 bits end in 2262."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """Columns of numbers over time; the arrays are read-only."""

    time_ns: TimeArray
    """UTC, shape (n,); in the order of the file, not necessarily rising."""
    columns: tuple[str, ...]
    """Names of the m columns."""
    value: FloatArray
    """Shape (n, m); NaN where the cell is empty."""


def read_recording(
    path: Path, *, time_column: str | None = None, columns: Sequence[str] | None = None
) -> Recording:
    """Return the recording in a CSV file, plain or gzip.

    Args:
        path: Separated by comma, semicolon or tab, with a line of names first.
        time_column: Name of the column with the times; None looks for it by name.
        columns: Which columns to read, in this order; None is all but the times.
    Raises:
        ConfigError: the file cannot be read or understood; says where and what to do.
    """
    lines = _lines(path)
    header, separator = _header(path, next(lines, ""))
    time_at = _time_position(path, header, time_column)
    wanted = [name for k, name in enumerate(header) if k != time_at] if columns is None else columns
    unknown = [name for name in wanted if name not in header]
    if unknown:
        raise ConfigError(
            *(
                f"{path}: there is no column {name!r}; it has {', '.join(header)}"
                for name in unknown
            )
        )
    at = [header.index(name) for name in wanted]
    times: list[int] = []
    values: list[list[float]] = []
    for number, cells in _records(path, lines, separator):
        place = f"{path}:{number}"
        if len(cells) != len(header):
            raise ConfigError(f"{place}: {len(cells)} cells under {len(header)} names")
        if len(times) == ROWS_MAX:
            raise ConfigError(f"{place}: more than {ROWS_MAX} rows; split the file")
        times.append(_time_ns(place, cells[time_at]))
        values.append(
            [_value(place, cells[k], header[k], is_comma_free=separator != ",") for k in at]
        )
    if not times:
        raise ConfigError(f"{path}: has no rows under its line of names")
    return Recording(
        time_ns=frozen(np.array(times, dtype=np.int64)),
        columns=tuple(wanted),
        value=frozen(np.array(values, dtype=np.float64).reshape(len(times), len(wanted))),
    )


def usual_period_s(time_ns: TimeArray) -> float:
    """Return the median time between rows, in seconds; 1 where there is none above zero."""
    steps = np.diff(time_ns)
    steps = steps[steps > 0]
    return float(np.median(steps)) / 1e9 if len(steps) else 1.0


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(len(_GZIP_MARK)) == _GZIP_MARK
        opened = gzip.open if is_packed else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as text:
            yield from text
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: save it as UTF-8") from error
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _records(path: Path, lines: Iterator[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of every line that has any, with its number in the file."""
    reader = csv.reader(lines, delimiter=separator)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num + 1, cells
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num + 1}: {error}") from error


def _header(path: Path, line: str) -> tuple[list[str], str]:
    """Return the names in the first line, and the separator of the file."""
    separator = next((mark for mark in _SEPARATORS if mark in line), None)
    if separator is None:
        raise ConfigError(
            f"{path}:1: no separator (comma, semicolon or tab) in the first line: it must hold "
            "the names of a time column and of at least one more"
        )
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator))]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ConfigError(f"{path}:1: the name {min(repeated)!r} stands over several columns")
    return names, separator


def _time_position(path: Path, header: Sequence[str], given: str | None) -> int:
    if given is not None:
        if given not in header:
            raise ConfigError(f"{path}: there is no column {given!r}; it has {', '.join(header)}")
        return header.index(given)
    found = [k for name in TIME_NAMES for k, own in enumerate(header) if own.lower() == name]
    if not found:
        raise ConfigError(
            f"{path}:1: none of the columns {', '.join(header)} is called time, timestamp or "
            "datetime: say which one holds the times with --time"
        )
    return found[0]


def _time_ns(place: str, text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        return _iso_time_ns(place, text)
    if not abs(number) < _TIME_MAX:
        raise ConfigError(f"{place}: {text!r} is no time")
    # Too small for a date is seconds from the start of the recording.
    unit_ns = next((unit for least, unit in _EPOCH_UNITS_NS if abs(number) >= least), NS_PER_S)
    is_whole = text.strip().lstrip("+-").isdecimal()
    # Nanoseconds since 1970 do not fit into a float.
    return int(text) * unit_ns if is_whole else round(number * unit_ns)


def _iso_time_ns(place: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigError(
            f"{place}: {text!r} is no time: write 2026-03-09T10:14:33, with Z or an offset if it "
            "is not UTC, or seconds since 1970"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    if not abs(whole.timestamp()) < _TIME_MAX / NS_PER_S:
        raise ConfigError(f"{place}: {text!r} is no time of this age")
    return int(whole.timestamp()) * NS_PER_S + moment.microsecond * 1_000


def _value(place: str, text: str, column: str, *, is_comma_free: bool) -> float:
    number = text.strip()
    if not number:
        return np.nan
    if is_comma_free:
        # A spreadsheet of many countries writes 1,5 and separates with semicolons.
        number = number.replace(",", ".")
    try:
        return float(number)
    except ValueError as error:
        raise ConfigError(
            f"{place}: {text!r} under {column!r} is no number; leave the column out by naming the "
            "others with --tags"
        ) from error
