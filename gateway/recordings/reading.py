"""Makes a recording of a file: finds its times, its numbers, and what is neither."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray, TimeArray, frozen
from gateway.core.errors import ConfigError
from gateway.recordings.cells import NS_PER_S, TIME_NAMES, is_date, time_ns_in
from gateway.recordings.table import Piece, Table

ROWS_MAX: Final = 5_000_000
NAMES_SHOWN_MAX: Final = 20

_PARQUET_MARK: Final = b"PAR1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """Columns of numbers over time; the arrays are read-only."""

    time_ns: TimeArray
    """UTC, shape (n,); in the order of the file, not necessarily rising."""
    columns: tuple[str, ...]
    """Names of the m columns."""
    value: FloatArray
    """Shape (n, m); NaN where nothing, or nothing finite, stands in the file."""
    text: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns that were asked for as text, n cells each."""
    left_out: tuple[str, ...] = ()
    """Columns of words, which nobody asked for."""


def read_recording(
    path: Path,
    *,
    time_column: str | None = None,
    columns: Sequence[str] | None = None,
    text: Sequence[str] = (),
    period_s: float | None = None,
) -> Recording:
    """Return the recording in a CSV file, plain or gzip, or in a Parquet file.

    Args:
        path: CSV: separated by comma, semicolon or tab, with a line of names first.
        time_column: Name of the column with the times; None looks for it by its name, then by
            what stands in it.
        columns: Which columns to read as numbers, in this order; None is all that hold numbers.
        text: Columns to read as text.
        period_s: Time between rows, for a file without times.
    Raises:
        ConfigError: the file cannot be read or understood; says where and what to do.
    """
    table = _open(path)
    time_name = _time_name(path, table, time_column, has_period=period_s is not None)
    known = [name for name in table.names if name != time_name and name not in text]
    wanted = known if columns is None else list(columns)
    unknown = [name for name in (*wanted, *text) if name not in table.names]
    if unknown:
        shown = ", ".join(table.names[:NAMES_SHOWN_MAX])
        raise ConfigError(
            *(f"{path}: there is no column {name!r}; it has {shown}" for name in unknown)
        )
    typed = None if time_name is None else table.times(time_name)
    as_text = dict.fromkeys(
        [*text, *([] if time_name is None or typed is not None else [time_name])]
    )
    gathered = _Gathered(path, wanted, list(as_text))
    for piece in table.pieces(numbers=wanted, text=list(as_text)):
        gathered.add(piece, time_name=time_name if typed is None else None)
    if not gathered.rows:
        raise ConfigError(f"{path}:2: has no rows under its names: export it again, with data")
    kept, left_out = gathered.sorted_out(is_chosen=columns is not None)
    if typed is not None:
        time_ns = typed
    elif time_name is not None:
        time_ns = np.array(gathered.time_ns, dtype=np.int64)
    else:
        assert period_s is not None
        time_ns = np.round(np.arange(gathered.rows) * (period_s * NS_PER_S)).astype(np.int64)
    return Recording(
        time_ns=frozen(time_ns),
        columns=tuple(kept),
        value=frozen(gathered.values(kept)),
        text={name: tuple(gathered.cells[name]) for name in text},
        left_out=tuple(left_out),
    )


def usual_period_s(time_ns: TimeArray) -> float:
    """Return the median time between rows, in seconds; 1 where there is none above zero."""
    steps = np.diff(time_ns)
    steps = steps[steps > 0]
    return float(np.median(steps)) / 1e9 if len(steps) else 1.0


class _Gathered:
    """What was read so far."""

    def __init__(self, path: Path, numbers: Sequence[str], text: Sequence[str]) -> None:
        self._path = path
        self.rows = 0
        self.time_ns: list[int] = []
        self.cells: dict[str, list[str]] = {name: [] for name in text}
        self._numbers: dict[str, list[FloatArray]] = {name: [] for name in numbers}
        self._word_count = dict.fromkeys(numbers, 0)
        self._first_word: dict[str, tuple[int, str]] = {}

    def add(self, piece: Piece, *, time_name: str | None) -> None:
        """Take in a piece.

        Raises:
            ConfigError: a time is none, or there are too many rows.
        """
        for name, cells in piece.cells.items():
            self.cells[name] += cells
        if time_name is not None:
            self.time_ns += self._times(piece, piece.cells[time_name])
        count = len(next(iter([*piece.numbers.values(), *piece.cells.values()]), ()))
        for name, numbers in piece.numbers.items():
            self._numbers[name].append(numbers)
        for name, words in piece.words.items():
            self._word_count[name] += len(words)
            if words:
                position, word = words[0]
                self._first_word.setdefault(name, (piece.lines[position], word))
        self.rows += count
        if self.rows > ROWS_MAX:
            raise ConfigError(f"{self._path}: more than {ROWS_MAX} rows; split the file")

    def sorted_out(self, *, is_chosen: bool) -> tuple[list[str], list[str]]:
        """Return the columns of numbers and those of words.

        Args:
            is_chosen: Whether a person named the columns: then every one must be of numbers.
        Raises:
            ConfigError: a word stands among numbers, or there is no column of numbers.
        """
        mistakes: list[str] = []
        kept: list[str] = []
        left_out: list[str] = []
        for name, parts in self._numbers.items():
            number_count = sum(int(np.isfinite(part).sum()) for part in parts)
            if self._word_count[name] > number_count and not is_chosen:
                left_out.append(name)
                continue
            kept.append(name)
            if self._word_count[name]:
                line, word = self._first_word[name]
                mistakes.append(
                    f"{self._path}:{line}: {word!r} under {name!r} is no number: correct it, "
                    "leave it empty, or leave the column out by naming the others"
                )
        if not kept:
            mistakes.append(f"{self._path}:1: no column beside the time holds numbers")
        if mistakes:
            raise ConfigError(*mistakes)
        return kept, left_out

    def values(self, names: Sequence[str]) -> FloatArray:
        """Return these columns side by side, shape (n, m)."""
        return np.column_stack([np.concatenate(self._numbers[name]) for name in names])

    def _times(self, piece: Piece, cells: Sequence[str]) -> list[int]:
        times: list[int] = []
        for position, cell in enumerate(cells):
            try:
                times.append(time_ns_in(cell))
            except ValueError as error:
                raise ConfigError(f"{self._path}:{piece.lines[position]}: {error}") from error
        return times


def _open(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET_MARK)) == _PARQUET_MARK
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if is_parquet:
        from gateway.recordings.parquet_files import ParquetTable  # here: pyarrow is heavy

        return ParquetTable(path)
    from gateway.recordings.csv_files import CsvTable

    return CsvTable(path)


def _time_name(path: Path, table: Table, given: str | None, *, has_period: bool) -> str | None:
    """Return the column with the times; None when the period is given and there is none."""
    if given is not None:
        if given not in table.names:
            shown = ", ".join(table.names[:NAMES_SHOWN_MAX])
            raise ConfigError(f"{path}:1: there is no column {given!r}: it has {shown}")
        return given
    by_name = [k for name in TIME_NAMES for k in table.names if k.lower() == name]
    if by_name:
        return by_name[0]
    by_content = next((k for k in table.names if table.times(k) is not None), None)
    if by_content is None:
        first = table.first_cells()
        by_content = next((k for k in table.names if is_date(first.get(k, ""))), None)
    if by_content is None and not has_period:
        raise ConfigError(
            f"{path}:1: none of the columns {', '.join(table.names[:NAMES_SHOWN_MAX])} is called "
            "time, timestamp or datetime, and none holds dates: name it with --time COLUMN"
        )
    return by_content
