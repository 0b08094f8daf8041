"""A file with named columns, as the readers of each format give it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.arrays import FloatArray, TimeArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """Some rows of a file."""

    lines: Sequence[int]
    """Where each row stands in the file, counted from 1."""
    cells: Mapping[str, Sequence[str]]
    """Columns that were asked for as text."""
    numbers: Mapping[str, FloatArray]
    """The other columns; NaN where there is no number."""
    words: Mapping[str, Sequence[tuple[int, str]]]
    """Cells of those columns that hold something else, each with its place in the piece."""


class Table(Protocol):
    """A file with named columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the file, each once."""

    def first_cells(self) -> Mapping[str, str]:
        """Return the first cell of each column that is not empty, as text."""

    def times(self, name: str) -> TimeArray | None:
        """Return a column whose type says that it holds times; None when they stand as text."""

    def pieces(self, *, numbers: Sequence[str], text: Sequence[str]) -> Iterator[Piece]:
        """Yield all rows, these columns as numbers and those as text.

        Raises:
            ConfigError: a row cannot be understood; says where.
        """
