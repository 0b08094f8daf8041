"""A tag list that a person edits and a machine changes: both keep what is theirs. Pure.

Three texts meet: the list as it is, what the machine says now, and what it said last time. A cell
changes when the machine changed it and the person did not. Lines of nodes that are gone become
comments that begin with `# gone: `, and are lines again when the node is back. Lines that a
person took out stay out. All else stays as it is, letter by letter.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from connectors.sheet import separator_of

GONE = "# gone: "
Cells = Mapping[str, str]
"""Of a line, by the name of their column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheets:
    """What is merged."""

    columns: tuple[str, ...]
    """Of a list that is written anew."""
    watched: tuple[str, ...]
    """Columns that the machine decides, until a person does."""
    key: Callable[[Cells], str]
    """What a line is about, whatever it is called: its node or address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The new list, and how many lines are new in it."""

    text: str
    added: int = 0
    gone: int = 0
    back: int = 0
    changed: int = 0

    def __str__(self) -> str:
        """Say what is new, for a person."""
        counts = {
            "added": self.added,
            "gone": self.gone,
            "back": self.back,
            "changed": self.changed,
        }
        return ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing new"


def rendered(rows: Sequence[Cells], columns: Sequence[str], separator: str = ",") -> str:
    """Return a list as text, with a header."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return out.getvalue()


def read_rows(text: str) -> list[Cells]:
    """Return the lines of a list as it was rendered."""
    return [line.cells for line in _lines(text) if line.cells and not line.is_gone]


def merged(
    text: str,
    fresh: Sequence[Cells],
    *,
    previous: Sequence[Cells],
    gone: AbstractSet[str],
    sheets: Sheets,
) -> Merged:
    """Return the list with what the machine changed.

    Args:
        text: The list as it is.
        fresh: What the machine says now.
        previous: What it said when it was last asked; empty when nobody knows.
        gone: Keys of lines whose node or address is there no more.
        sheets: Columns and keys.
    """
    new_by_key = {sheets.key(cells): cells for cells in fresh}
    old_by_key = {sheets.key(cells): cells for cells in previous}
    separator = separator_of(text)
    out: list[str] = []
    counts = {"added": 0, "gone": 0, "back": 0, "changed": 0}
    seen: set[str] = set()
    header: list[str] = []
    for line in _lines(text):
        header = line.header
        if not line.cells:
            out.append(line.raw)
            continue
        key = sheets.key(line.cells)
        seen.add(key)
        raw = line.raw
        if key in gone:
            if not line.is_gone:
                counts["gone"] += 1
                raw = GONE + raw
        elif key in new_by_key:
            if line.is_gone:
                counts["back"] += 1
                raw = raw.removeprefix(GONE)
            cells = _changed(line.cells, new_by_key[key], old_by_key.get(key), sheets.watched)
            if cells != line.cells:
                counts["changed"] += 1
                raw = _row(cells, header, separator) + _ending(line.raw)
        out.append(raw)
    # A line that the machine offered before and that is not there now was taken out by a person.
    additions = [new for key, new in new_by_key.items() if key not in seen | set(old_by_key)]
    counts["added"] = len(additions)
    ending = _ending(text) or "\n"
    if additions and out and not _ending(out[-1]):
        out[-1] += ending
    out += [_row(cells, header, separator) + ending for cells in additions]
    return Merged(text="".join(out), **counts)


def _changed(cells: Cells, new: Cells, old: Cells | None, watched: Sequence[str]) -> dict[str, str]:
    """Return a line's cells with what the machine changed and the person did not."""
    changed = dict(cells)
    for column in watched:
        if column not in cells:
            continue
        before = "" if old is None else old.get(column, "")
        now = new.get(column, "")
        is_persons = not _same(cells[column], before)
        if not _same(now, before) and not is_persons:
            changed[column] = now
    return changed


def _same(one: str, other: str) -> bool:
    """Tell whether two cells say the same; 20, 20.0 and 20,0 do."""
    if one == other:
        return True
    try:
        return float(one.replace(",", ".")) == float(other.replace(",", "."))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    raw: str
    """With its ending."""
    header: list[str]
    cells: dict[str, str]
    """Empty for the header, comments and empty lines."""
    is_gone: bool


def _lines(text: str) -> Iterator[_Line]:
    """Yield the lines of a list; a cell with line breaks belongs to one line."""
    separator = separator_of(text)
    header: list[str] = []
    raws = text.splitlines(keepends=True)
    position = 0
    while position < len(raws):
        raw = raws[position]
        position += 1
        is_gone = raw.startswith(GONE)
        if not raw.strip() or (raw.lstrip().startswith("#") and not is_gone):
            yield _Line(raw=raw, header=header, cells={}, is_gone=False)
            continue
        while raw.count('"') % 2 and position < len(raws):
            raw += raws[position]
            position += 1
        [row] = csv.reader(io.StringIO(raw.removeprefix(GONE), newline=""), delimiter=separator)
        values = [cell.strip() for cell in row]
        if not header:
            header = [name.lower() for name in values]
            yield _Line(raw=raw, header=header, cells={}, is_gone=False)
            continue
        cells = dict(zip(header, values, strict=False))
        yield _Line(raw=raw, header=header, cells=cells, is_gone=is_gone)


def _row(cells: Cells, header: Sequence[str], separator: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="")
    writer.writerow([cells.get(column, "") for column in header])
    return out.getvalue()


def _ending(text: str) -> str:
    """Return the line ending at the end of a line, or the first one in a text."""
    first = text.splitlines(keepends=True)[:1]
    stripped = "".join(first).rstrip("\r\n")
    return "".join(first)[len(stripped) :]
