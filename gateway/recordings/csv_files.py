"""A CSV file as a table: separator, names, and its rows in pieces."""

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray
from gateway.core.errors import ConfigError
from gateway.recordings.cells import number_in
from gateway.recordings.table import Piece

PIECE_ROWS: Final = 10_000
FIRST_ROWS: Final = 100
"""Rows that are looked at to tell what a column holds."""

_GZIP_MARK: Final = b"\x1f\x8b"
_SEPARATORS: Final = ";\t,"
"""In this order: a semicolon is never part of a number, a comma may be."""


class CsvTable:
    """Implements `Table` for a file of text, plain or gzip."""

    def __init__(self, path: Path) -> None:
        """Read the line of names.

        Raises:
            ConfigError: the file cannot be read, or its first line holds no names.
        """
        self._path = path
        self._separator, self._names = _names(path, next(_lines(path), ""))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return self._names

    def first_cells(self) -> Mapping[str, str]:
        """Return the first cell of each column that is not empty, among the first rows."""
        first: dict[str, str] = {}
        for _, cells in islice(self._rows(), FIRST_ROWS):
            for name, cell in zip(self.names, cells, strict=True):
                if cell.strip():
                    first.setdefault(name, cell)
        return first

    def times(self, name: str) -> None:
        """Return None: in a CSV file everything is text."""

    def pieces(self, *, numbers: Sequence[str], text: Sequence[str]) -> Iterator[Piece]:
        """Yield all rows; raises as `Table.pieces`."""
        number_at = [self.names.index(name) for name in numbers]
        text_at = [self.names.index(name) for name in text]
        rows = self._rows()
        while part := list(islice(rows, PIECE_ROWS)):
            columns = list(zip(*(cells for _, cells in part), strict=True))
            read = {
                name: self._read(columns[k]) for name, k in zip(numbers, number_at, strict=True)
            }
            yield Piece(
                lines=[line for line, _ in part],
                cells={name: columns[k] for name, k in zip(text, text_at, strict=True)},
                numbers={name: values for name, (values, _) in read.items()},
                words={name: words for name, (_, words) in read.items()},
            )

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of every line that has any, with its number in the file."""
        lines = _lines(self._path)
        next(lines, None)
        reader = csv.reader(lines, delimiter=self._separator)
        try:
            for cells in reader:
                # A line of separators only is what a spreadsheet writes for an empty one.
                if not any(cells):
                    continue
                line = reader.line_num + 1
                if len(cells) != len(self.names):
                    raise ConfigError(
                        f"{self._path}:{line}: {len(cells)} cells under {len(self.names)} names: "
                        "complete the line"
                    )
                yield line, cells
        except csv.Error as error:
            raise ConfigError(f"{self._path}:{reader.line_num + 1}: {error}") from error

    def _read(self, cells: Sequence[str]) -> tuple[FloatArray, list[tuple[int, str]]]:
        """Return the numbers in cells, and what is none."""
        try:
            values = np.array(list(map(float, cells)), dtype=np.float64)
        except ValueError:
            found = [number_in(cell, has_decimal_comma=self._separator != ",") for cell in cells]
            words = [(k, cells[k]) for k, number in enumerate(found) if number is None]
            values = np.array([np.nan if x is None else x for x in found], dtype=np.float64)
            return values, words
        return np.where(np.isinf(values), np.nan, values), []


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


def _names(path: Path, line: str) -> tuple[str, tuple[str, ...]]:
    """Return the separator of a file and the names in its first line."""
    separator = next((mark for mark in _SEPARATORS if mark in line), ",")
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    repeated = {name for name in names if names.count(name) > 1}
    if not any(names):
        raise ConfigError(f"{path}:1: the first line must hold the names of the columns")
    if repeated:
        raise ConfigError(
            f"{path}:1: the name {min(repeated)!r} stands over several columns: rename it"
        )
    return separator, tuple(names)
