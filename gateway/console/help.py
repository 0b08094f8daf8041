"""Help: every key that works now, made from the bindings, and how to read the marks."""

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from gateway.console.palette import ACCENT, BAD, GOOD, MUTED, TEXT, WARN

KEY_WIDTH = 10
FAMILIES = {
    "view": ("1 – 6", "Show a view; a click on its name does the same"),
    "table": ("↑ ↓", "Move the cursor; also PgUp, PgDn, Home, End"),
}
"""Bindings whose id opens with these are one line."""
MARKS = (
    ("▒▒▒", BAD, "Bad: the value says nothing"),
    ("▒ 1.84", MUTED, "Stale: old, the age is struck"),
    ("≠ 61.8 ±2.1", WARN, "outside of what is expected"),
    ("▼ ▲", BAD, "health falls or rises"),
    ("● ◐ ○ ◆ ◇", WARN, "alarm: new, gone, acknowledged, latched (new, seen)"),
    ("◌ ▽ ×", MUTED, "silent alarm: shelved, suppressed, out of service"),
    ("–", GOOD, "nothing to tell"),
)


class HelpScreen(ModalScreen[None]):
    """Lists keys and marks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "close", id="help.close"),
    ]

    def __init__(self, bindings: Iterable[Binding]) -> None:
        """Remember the bindings that the person had in front of them."""
        super().__init__()
        self._shown = tuple(bindings)

    def compose(self) -> ComposeResult:
        """Put the list into a box."""
        with VerticalScroll(classes="box", id="help-box") as box:
            box.border_title = "keys"
            box.border_subtitle = "esc: close"
            yield Static(_keys(self._shown))
            yield Static(_marks())


def _keys(bindings: Iterable[Binding]) -> Text:
    entries = dict.fromkeys(_entry(binding) for binding in bindings)
    lines = []
    for key, meaning in entries:
        line = Text(f"{key:>{KEY_WIDTH}}  ", style=f"bold {ACCENT}")
        lines.append(line.append(meaning, style=TEXT))
    return Text("\n").join(lines)


def _entry(binding: Binding) -> tuple[str, str]:
    family = (binding.id or "").partition(".")[0]
    return FAMILIES.get(
        family, (binding.key_display or binding.key, binding.tooltip or binding.description)
    )


def _marks() -> Text:
    lines = [Text("")]
    for mark, colour, meaning in MARKS:
        line = Text(f"{mark:>{KEY_WIDTH + 2}}  ", style=colour)
        lines.append(line.append(meaning, style=MUTED))
    return Text("\n").join(lines)
