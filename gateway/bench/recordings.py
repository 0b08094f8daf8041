"""Recordings of machines, as people have them: text, Parquet and NumPy files in a folder.

Only the numbers count here: times are left out, and a row is taken as a scan, one a second. A
file is used as far as it is numeric; whatever cannot be read is no recording.
"""

import csv
import gzip
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from gateway.bench.arrow import has_arrow, parquet_values
from gateway.core.arrays import FloatArray

ROWS_MAX: Final = 20_000
"""Of each file."""
ROWS_MIN: Final = 16
"""Fewer say nothing about a signal."""
SAMPLES_MAX: Final = 8_000_000
"""Of all files together; each has an equal share."""
ARRAYS_MAX: Final = 4
"""Of a file with many; the first of them, which share what the file may have."""
TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".dat")
TIME_NAMES: Final = frozenset({"time", "timestamp", "datetime", "date", "ts", "time_ns", "t"})
EMPTY: Final = frozenset({"", "nan", "na", "n/a", "null", "none"})
SEPARATORS: Final = ";\t,"
"""In this order: a semicolon is never part of a number, a comma may be."""
NUMPY_SUFFIXES: Final = (".npy", ".npz")
PARQUET_SUFFIX: Final = ".parquet"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """The numeric columns of a file, or of one array in it."""

    name: str
    """Path below the folder, and which array."""
    value: FloatArray
    """Shape (n, m), n >= `ROWS_MIN`, m >= 1; NaN where nothing was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is in a folder."""

    recordings: tuple[Recording, ...]
    """By name."""
    used_files: int
    skipped_files: int
    """Of a suffix that is looked at, and without a numeric column or not to be read."""


def find_recordings(folder: Path, *, samples_max: int = SAMPLES_MAX) -> Found:
    """Return the recordings in a folder and in all folders below it.

    Args:
        folder: CSV and other text (plain or .gz), NumPy arrays of one or two dimensions, and with
            pyarrow also Parquet.
        samples_max: Bound on all samples together.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_looked_at(path)]
    share = samples_max // max(len(paths), 1)
    recordings: list[Recording] = []
    used = 0
    for path in paths:
        found = list(_recordings_in(path, path.relative_to(folder).as_posix(), samples_max=share))
        recordings += found
        used += bool(found)
    return Found(recordings=tuple(recordings), used_files=used, skipped_files=len(paths) - used)


def _is_looked_at(path: Path) -> bool:
    suffix = _suffix(path)
    return suffix in (*TEXT_SUFFIXES, *NUMPY_SUFFIXES) or (suffix == PARQUET_SUFFIX and has_arrow())


def _suffix(path: Path) -> str:
    return Path(path.stem if path.suffix == ".gz" else path.name).suffix.lower()


def _recordings_in(path: Path, name: str, *, samples_max: int) -> Iterator[Recording]:
    try:
        arrays = _arrays_in(path)
    except (OSError, EOFError, ValueError, csv.Error, zipfile.BadZipFile):
        return
    for part, array in arrays:
        rows = min(ROWS_MAX, samples_max // len(arrays) // max(array.shape[1], 1))
        value = array[:rows]
        value = value[:, ~np.isnan(value).all(axis=0)]
        if value.shape[0] >= ROWS_MIN and value.shape[1] > 0:
            yield Recording(name=f"{name} {part}".strip().replace("|", "/"), value=value)


def _arrays_in(path: Path) -> list[tuple[str, FloatArray]]:
    """Return what is numeric in a file by its name there, each of shape (n, m)."""
    suffix = _suffix(path)
    if suffix == PARQUET_SUFFIX:
        return [("", parquet_values(path, rows_max=ROWS_MAX, without=TIME_NAMES))]
    if suffix in TEXT_SUFFIXES:
        return [("", _text_values(path))]
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return [("", array) for array in _as_columns(loaded)]
    with loaded:
        arrays = ((key, array) for key in loaded.files for array in _as_columns(loaded[key]))
        return list(islice(arrays, ARRAYS_MAX))


def _as_columns(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> list[FloatArray]:
    """Return the array as columns of values, if it is that."""
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2):
        return []
    head = array[:ROWS_MAX]
    return [head.reshape(len(head), -1).astype(np.float64)] if head.size else []


def _text_values(path: Path) -> FloatArray:
    """Return the columns of which every cell is a number or empty."""
    with (
        gzip.open(path, "rt", encoding="utf-8-sig", newline="")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8-sig", newline="")
    ) as file:
        lines = [line for line in islice(file, ROWS_MAX + 1) if line.strip()]
    rows = _cells(lines)
    if not rows:
        return np.zeros((0, 0))
    names: Sequence[str] = ()
    if any(_number(cell) is None for cell in rows[0]):
        names, *rows = rows
    width = len(rows[0]) if rows else 0
    columns = []
    for place, cells in enumerate(zip(*(row for row in rows if len(row) == width), strict=True)):
        is_time = place < len(names) and names[place].strip().lower() in TIME_NAMES
        numbers = [_number(cell) for cell in cells]
        if not is_time and None not in numbers:
            columns.append(np.array(numbers, dtype=np.float64))
    return np.column_stack(columns) if columns else np.zeros((0, 0))


def _cells(lines: Sequence[str]) -> list[list[str]]:
    """Return the cells of lines; the last one tells what is between them: it is no heading."""
    separator = next((each for each in SEPARATORS if lines and each in lines[-1]), None)
    if separator is None:
        return [line.split() for line in lines]
    if separator != ",":
        lines = [line.replace(",", ".") for line in lines]
    return list(csv.reader(lines, delimiter=separator))


def _number(cell: str) -> float | None:
    """Return the number in a cell, NaN when it is empty, None when it holds something else."""
    text = cell.strip()
    if text.lower() in EMPTY:
        return np.nan
    try:
        return float(text)
    except ValueError:
        return None
