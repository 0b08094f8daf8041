"""A recording as an OPC UA server: the columns of a CSV file become variables.

Separator (`,` or `;`) and decimal comma are detected; a file may be compressed (`.gz`). Rows come
in the file's own timing divided by the speed; source times are the present, as a live machine's
are. An empty cell becomes a Bad value.
"""

import csv
import gzip
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.core.errors import ConfigError
from gateway.core.tags import TagId
from gateway.simulate.server import ServedNode

TIME_NAMES = ("time", "datetime", "timestamp", "date", "t")
"""Names of a time column, without regard to case, unless one is given."""
CONNECTOR = "replay"
SIZE_BYTES_MAX = 512 * 1024 * 1024
NS_PER_S = 1_000_000_000
PLAUSIBLE_EPOCH = 10_000_000_000
"""A number above it is no count of seconds since 1970 (that would be the year 2286)."""
EMPTY = frozenset({"", "nan", "NaN", "NA", "null", "None"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The rows of a file in the order of time."""

    columns: tuple[str, ...]
    """Names of the value columns as in the file."""
    time_s: tuple[float, ...]
    """Time of each row since the first one; never falls."""
    rows: tuple[tuple[float, ...], ...]
    """Values of each row in the order of `columns`; NaN where empty."""

    def nodes(self) -> tuple[ServedNode, ...]:
        """Return one variable for each column: `Volume Flow RateRMS` is `Volume_Flow_RateRMS`."""
        return tuple(
            ServedNode(identifier=name, tag=TagId(f"{CONNECTOR}.{name}"))
            for name in identifiers_of(self.columns)
        )


def identifiers_of(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the columns are called as nodes and tags: letters, digits, `_`, `-`, `.`."""
    return tuple(re.sub(r"[^\w.-]+", "_", name.strip()) for name in columns)


def read_recording(path: Path, *, time_column: str | None = None) -> Recording:
    """Return the rows of a CSV file.

    Raises:
        ConfigError: with file, line and remedy, for the first mistake.
    """
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="")
        ) as file:
            text = file.read(SIZE_BYTES_MAX + 1)
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: save it as CSV in UTF-8") from error
    if len(text) > SIZE_BYTES_MAX:
        raise ConfigError(f"{path}: is larger than {SIZE_BYTES_MAX // 2**20} MiB: cut it")
    header, _, _ = text.partition("\n")
    separator = ";" if header.count(";") > header.count(",") else ","
    lines = csv.reader(text.splitlines(), delimiter=separator)
    return _Reader(path, separator, time_column).read(lines)


class _Reader:
    """Reads the lines of one file."""

    def __init__(self, path: Path, separator: str, time_column: str | None) -> None:
        self._path = path
        self._separator = separator
        self._time_column = time_column
        self._line = 1

    def read(self, lines: Iterator[list[str]]) -> Recording:
        """Return what the lines say."""
        names = next(lines, [])
        time_index = self._find_time(names)
        columns = tuple(name for index, name in enumerate(names) if index != time_index)
        self._check_columns(columns)
        times: list[float] = []
        rows: list[tuple[float, ...]] = []
        for self._line, cells in enumerate(lines, 2):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise self._mistake(
                    f"has {len(cells)} cells, the first line has {len(names)}: complete the line"
                )
            times.append(self._time(cells[time_index]))
            if len(times) > 1 and times[-1] < times[-2]:
                raise self._mistake(f"{cells[time_index]!r} is before the line above: sort by time")
            values = (self._number(cell) for i, cell in enumerate(cells) if i != time_index)
            rows.append(tuple(values))
        if not rows:
            raise self._mistake("has no rows below the first line: export it again, with data")
        first = times[0]
        return Recording(
            columns=columns, time_s=tuple(time - first for time in times), rows=tuple(rows)
        )

    def _find_time(self, names: list[str]) -> int:
        wanted = self._time_column
        if wanted is not None:
            if wanted not in names:
                raise self._mistake(f"has no column {wanted!r}: it has {', '.join(names)}")
            return names.index(wanted)
        for index, name in enumerate(names):
            if name.strip().lower() in TIME_NAMES:
                return index
        raise self._mistake("has no time column: name it with --time COLUMN")

    def _check_columns(self, columns: tuple[str, ...]) -> None:
        if not columns:
            raise self._mistake("has no column beside the time: there is nothing to replay")
        names = identifiers_of(columns)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not all(names):
            raise self._mistake(f"names a column twice or not at all {twice}: rename it")

    def _time(self, cell: str) -> float:
        """Return seconds: from a date, or a number of seconds, ms, µs or ns since 1970."""
        text = cell.strip()
        try:
            number = float(text)
        except ValueError:
            try:
                time = datetime.fromisoformat(text)
            except ValueError:
                raise self._mistake(
                    f"{text!r} is no time: write 2026-01-31 12:00:00 or seconds"
                ) from None
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        if not math.isfinite(number):
            raise self._mistake(f"{text!r} is no time")
        while abs(number) > PLAUSIBLE_EPOCH:
            number /= 1000.0
        return number

    def _number(self, cell: str) -> float:
        text = cell.strip()
        if text in EMPTY:
            return math.nan
        if self._separator == ";":
            text = text.replace(",", ".")
        try:
            return float(text)
        except ValueError:
            raise self._mistake(f"{cell!r} is no number: correct it or leave it empty") from None

    def _mistake(self, text: str) -> ConfigError:
        return ConfigError(f"{self._path}:{self._line}: {text}")
