"""A Parquet file as a table; needs pyarrow, which comes with `edgewright[train]`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.arrays import FloatArray, TimeArray
from gateway.core.errors import ConfigError
from gateway.recordings.cells import number_in
from gateway.recordings.table import Piece

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_ROWS: Final = 65_536


class ParquetTable:
    """Implements `Table`."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            ConfigError: it cannot be read, or pyarrow is not installed.
        """
        self._path = path
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ConfigError(
                f"{path}: Parquet needs pyarrow: install edgewright[train], or save it as CSV"
            ) from error
        self._errors = (pa.ArrowException, OSError)
        try:
            self._file = pq.ParquetFile(path)
        except self._errors as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        schema = self._file.schema_arrow
        self._types = {field.name: field.type for field in schema}
        self._names = tuple(f.name for f in schema if not pa.types.is_nested(f.type))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that hold one value in a row."""
        return self._names

    def first_cells(self) -> Mapping[str, str]:
        """Return the first value of each column as text; of the first rows only."""
        batch = next(self._file.iter_batches(batch_size=100, columns=list(self.names)), None)
        if batch is None:
            return {}
        rows = batch.to_pylist()
        return {
            name: next((str(row[name]) for row in rows if row[name] is not None), "")
            for name in self.names
        }

    def times(self, name: str) -> TimeArray | None:
        """Return a column of timestamps or dates; one without a zone is UTC.

        Raises:
            ConfigError: a time is missing, or the file is damaged.
        """
        import pyarrow as pa

        if not (pa.types.is_timestamp(self._types[name]) or pa.types.is_date(self._types[name])):
            return None
        column = self._column(name)
        if column.null_count:
            raise ConfigError(f"{self._path}: {column.null_count} times under {name!r} are missing")
        times: TimeArray = column.to_numpy().astype("datetime64[ns]").astype(np.int64)
        return times

    def pieces(self, *, numbers: Sequence[str], text: Sequence[str]) -> Iterator[Piece]:
        """Yield all rows; raises as `Table.pieces`."""
        first = 1
        try:
            for batch in self._file.iter_batches(
                batch_size=PIECE_ROWS, columns=list(dict.fromkeys([*numbers, *text]))
            ):
                read = {name: _read(batch.column(name)) for name in numbers}
                yield Piece(
                    lines=range(first, first + batch.num_rows),
                    cells={name: _cells(batch.column(name)) for name in text},
                    numbers={name: values for name, (values, _) in read.items()},
                    words={name: words for name, (_, words) in read.items()},
                )
                first += batch.num_rows
        except self._errors as error:
            raise ConfigError(f"{self._path}: cannot be read: {error}") from error

    def _column(self, name: str) -> "pa.ChunkedArray":
        try:
            return self._file.read(columns=[name]).column(name)
        except self._errors as error:
            raise ConfigError(f"{self._path}: cannot be read: {error}") from error


def _read(array: "pa.Array") -> tuple[FloatArray, list[tuple[int, str]]]:
    """Return the numbers of a column and what is none."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        return _read(array.dictionary_decode())
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
        kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = array.to_numpy(zero_copy_only=False).astype(np.float64)
        return np.where(np.isinf(values), np.nan, values), []
    cells = _cells(array)
    found = [number_in(cell, has_decimal_comma=False) for cell in cells]
    words = [(k, cells[k]) for k, number in enumerate(found) if number is None]
    return np.array([np.nan if x is None else x for x in found], dtype=np.float64), words


def _cells(array: "pa.Array") -> list[str]:
    return ["" if value is None else str(value) for value in array.to_pylist()]
