"""A table that follows a list: rows have keys, cells change in place, the cursor stays.

A wider terminal gets more columns, not wider ones; one column takes what is left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from gateway.console.palette import MUTED

MARGIN = 1
"""Blank at the left and right of the table and between two columns."""
STRETCH_MIN = 8

Cells = Mapping[str, Text]
"""Cells of one row by the key of their column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    key: str
    title: str
    width: int
    """In characters; 0 takes what the others leave."""
    align: Literal["left", "right"] = "left"
    screen_min: int = 0
    """Shown only in terminals of at least so many columns."""


class LiveTable(DataTable[Text], inherit_bindings=False):
    """A `DataTable` that is told whole lists and changes only what differs."""

    # Without the base class's `enter`: what a row opens is for its view to say.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor_up", show=False, id="table.up", tooltip="Row above"),
        Binding("down,j", "cursor_down", show=False, id="table.down", tooltip="Row below"),
        Binding("pageup", "page_up", show=False, id="table.page_up", tooltip="Page above"),
        Binding("pagedown", "page_down", show=False, id="table.page_down", tooltip="Page below"),
        Binding("home", "scroll_top", show=False, id="table.top", tooltip="First row"),
        Binding("end", "scroll_bottom", show=False, id="table.bottom", tooltip="Last row"),
    ]

    def __init__(self, *columns: Column, id: str) -> None:  # noqa: A002  # Textual's own name
        """Prepare an empty table."""
        super().__init__(
            id=id,
            cursor_type="row",
            cell_padding=0,
            header_height=1,
            show_header=True,
            cursor_foreground_priority="renderable",
        )
        self._all = columns
        self._shown: tuple[Column, ...] = ()
        self._listed: dict[str, Cells] = {}
        self._widths: dict[str, int] = {}

    def on_resize(self, event: events.Resize) -> None:
        """Choose the columns that fit."""
        self._lay_out(event.size.width)

    def show_rows(self, rows: Mapping[str, Cells]) -> None:
        """Show these rows, by their keys, in this order."""
        if list(rows) == list(self._listed) and self._shown:
            self._change_cells(rows)
            self._listed = dict(rows)
        else:
            self._listed = dict(rows)
            self._refill()

    @property
    def chosen(self) -> str | None:
        """Key of the row under the cursor; None in an empty table."""
        keys = list(self._listed)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    def choose(self, key: str) -> None:
        """Put the cursor on a row, if it is there."""
        if key in self._listed and self.chosen != key:
            self.move_cursor(row=list(self._listed).index(key))

    def _lay_out(self, width: int) -> None:
        shown = tuple(column for column in self._all if column.screen_min <= self.app.size.width)
        taken = sum(column.width for column in shown) + MARGIN * (len(shown) + 1)
        left = max(STRETCH_MIN, width - taken)
        widths = {column.key: column.width or left for column in shown}
        if widths == self._widths:
            return
        self._shown, self._widths = shown, widths
        chosen = self.chosen
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            for column in shown:
                title = _fitted(Text(column.title, style=MUTED), column, widths[column.key])
                # Without a space in it the header would be stripped and lose its place.
                self.add_column(title, key=column.key, width=widths[column.key] + MARGIN)
        self._refill(chosen)

    def _refill(self, chosen: str | None = None) -> None:
        if not self._shown:
            return
        chosen = chosen or self._cursor_key()
        offset = self.scroll_offset
        with self.prevent(DataTable.RowHighlighted):
            self.clear()
            for key, cells in self._listed.items():
                self.add_row(*self._fit(cells), key=key)
        keys = list(self._listed)
        if chosen in keys:
            self.move_cursor(row=keys.index(chosen), scroll=False)
            self.scroll_to(y=offset.y, animate=False)

    def _cursor_key(self) -> str | None:
        if not self.is_valid_coordinate(self.cursor_coordinate):
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def _change_cells(self, rows: Mapping[str, Cells]) -> None:
        for key, cells in rows.items():
            before = self._listed[key]
            for column in self._shown:
                cell = cells[column.key]
                # Text compares by its letters alone, and a colour may change too.
                old = before[column.key]
                if cell != old or cell.spans != old.spans or cell.style != old.style:
                    fitted = _fitted(cell, column, self._widths[column.key])
                    self.update_cell(key, column.key, fitted)

    def _fit(self, cells: Cells) -> Sequence[Text]:
        return [
            _fitted(cells[column.key], column, self._widths[column.key]) for column in self._shown
        ]


def _fitted(cell: Text, column: Column, width: int) -> Text:
    """Return a cell cut to its width, aligned, with the margin at its left."""
    fitted = cell.copy()
    fitted.no_wrap = True
    fitted.truncate(width, overflow="ellipsis")
    fitted.align(column.align, width)
    fitted.pad_left(MARGIN)
    return fitted
