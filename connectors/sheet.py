"""CSV files that people keep in spreadsheets, read so that every mistake is found in one go.

What spreadsheets do to a file is taken as it comes: a byte order mark, UTF-16, Windows-1252,
`;` or tabs as separator, and commas as decimal signs where `;` separates. Lines that are empty or
open with `#` are passed over. What is written in the cells is taken strictly.
"""

import csv
import difflib
import io
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from gateway.core.errors import ConfigError

EnumT = TypeVar("EnumT", bound=StrEnum)

_TRUE = ("yes", "true", "1", "x", "y")
_FALSE = ("", "no", "false", "0", "n")


class Sheet:
    """A file: its lines, and the mistakes found in it so far."""

    def __init__(self, file: str) -> None:
        """Begin empty."""
        self.file = file
        self.lines: list[Line] = []
        self._mistakes: list[tuple[int, str]] = []

    @property
    def has_mistakes(self) -> bool:
        """Whether anything is wrong so far."""
        return bool(self._mistakes)

    def mistake(self, line: int, text: str) -> None:
        """Note a mistake; the same one in the same line counts once."""
        entry = (line, f"{self.file}:{line}: {text}")
        if entry not in self._mistakes:
            self._mistakes.append(entry)

    def check(self) -> None:
        """Let a sheet without mistakes pass.

        Raises:
            ConfigError: with all mistakes, in the order of the lines.
        """
        if self._mistakes:
            in_order = sorted(self._mistakes, key=lambda entry: entry[0])
            raise ConfigError(*(text for _, text in in_order))


class Line:
    """One line; its readers note a mistake and return what lets the reading go on."""

    def __init__(
        self, sheet: Sheet, number: int, cells: Mapping[str, str], *, has_decimal_comma: bool
    ) -> None:
        """Keep the cells by the name of their column."""
        self.number = number
        self._sheet = sheet
        self._cells = cells
        self._has_decimal_comma = has_decimal_comma

    def mistake(self, text: str) -> None:
        """Note a mistake in this line."""
        self._sheet.mistake(self.number, text)

    def text(self, column: str) -> str:
        """Return a cell without the space around it; empty when there is none."""
        return self._cells.get(column, "")

    def number_of(self, column: str, default: float, *, unit: str = "") -> float:
        """Return a cell as a finite number; a unit may stand behind it."""
        text = self.text(column)
        if not text:
            return default
        digits = text.removesuffix(unit).rstrip()
        try:
            number = float(digits.replace(",", ".") if self._has_decimal_comma else digits)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.mistake(f"{column} {text!r} is not a number")
            return default
        return number

    def flag_of(self, column: str) -> bool:
        """Return a cell as yes or no; empty is no."""
        text = self.text(column).lower()
        if text not in (*_TRUE, *_FALSE):
            self.mistake(f"{column} {self.text(column)!r} is neither yes nor no")
        return text in _TRUE

    def choice_of(self, column: str, default: EnumT) -> EnumT:
        """Return a cell as a member of the default's enum."""
        text = self.text(column)
        if not text:
            return default
        choices = type(default)
        for choice in choices:
            if choice.value.lower() == text.lower():
                return choice
        self.mistake(f"{column} {text!r} is not one of {', '.join(choices)}")
        return default


def read_sheet(path: Path, columns: Sequence[str], *, required: Sequence[str]) -> Sheet:
    """Return the lines of a file whose first line names the columns.

    Args:
        path: The file.
        columns: Names that may stand there, in any order; any other one is a mistake.
        required: Those that must.
    Raises:
        ConfigError: the file cannot be read, or a required column is missing. Other mistakes
            are in the sheet.
    """
    sheet = Sheet(path.name)
    try:
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header: list[str] = []
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if not any(stripped) or stripped[0].startswith("#"):
            continue
        if not header:
            header = [name.lower() for name in stripped]
            _check_header(sheet, reader.line_num, header, columns, required)
            continue
        if any(stripped[len(header) :]):
            sheet.mistake(
                reader.line_num, f"{len(stripped)} cells under {len(header)} column names"
            )
        named = dict(zip(header, stripped, strict=False))
        sheet.lines.append(Line(sheet, reader.line_num, named, has_decimal_comma=separator == ";"))
    if not header:
        sheet.mistake(1, f"the file is empty; its first line is {','.join(columns)}")
    if not set(required) <= set(header):
        # Without a required column every line would be wrong, for one and the same reason.
        sheet.check()
    return sheet


def _check_header(
    sheet: Sheet,
    line: int,
    header: Sequence[str],
    columns: Sequence[str],
    required: Sequence[str],
) -> None:
    for name in filter(None, header):
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            hint = f': is it "{near[0]}"?' if near else f"; known are {', '.join(columns)}"
            sheet.mistake(line, f"unknown column {name!r}{hint}")
        if header.count(name) > 1:
            sheet.mistake(line, f"column {name!r} stands there twice")
    for name in required:
        if name not in header:
            sheet.mistake(line, f"column {name!r} is missing")


def _decoded(data: bytes) -> str:
    """Return the text, whatever a spreadsheet made of it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _separator(text: str) -> str:
    """Return what separates the cells of the header."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return max(",;\t", key=next(lines, "").count)
