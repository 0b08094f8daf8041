"""The two lines on top: which gateway, its time, and the six views."""

from dataclasses import dataclass

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from gateway.console.format import clock
from gateway.console.palette import ACCENT, BAD, MUTED, TEXT
from gateway.console.snapshot import Snapshot

VIEWS = ("plant", "asset", "alarms", "devices", "sync", "models")
WIDE = 110
"""Terminals from this width on show the site as well."""


class Masthead(Static):
    """Which gateway this is, its clock, and since when it runs."""

    snapshot: reactive[Snapshot] = reactive(Snapshot(), init=False)
    """The newest picture of the gateway."""

    def watch_snapshot(self) -> None:
        """Draw the line."""
        self.on_resize()

    def on_resize(self) -> None:
        """Draw the line anew for the width there is."""
        status = self.snapshot.status
        left = Text(" Edgewright", style=f"bold {ACCENT}", no_wrap=True)
        if status is None:
            self.update(left.append(" · waiting for the gateway", style=MUTED))
            return
        left.append(f" · {status.gateway}", style=f"bold {TEXT}")
        if self.size.width >= WIDE:
            left.append(f" · {status.site}", style=MUTED)
        right = Text(clock(status.now, self.snapshot.zone), style=TEXT)
        right.append(f" · up {self.snapshot.age(status.started)} ", style=MUTED)
        gap = max(1, self.size.width - left.cell_len - right.cell_len)
        self.update(left.append(" " * gap).append_text(right))


class ViewTab(Static):
    """The name of one view, with its key; a click opens it."""

    @dataclass
    class Picked(Message):
        """A person has clicked on a view's name."""

        view: str

    def __init__(self, view: str, key: int) -> None:
        """Remember the view and its key."""
        super().__init__(id=f"tab-{view}")
        self._view = view
        self._key = key

    def on_mount(self) -> None:
        """Draw the name alone."""
        self.show(marker=0)

    def show(self, *, marker: int) -> None:
        """Draw the name, and how many things in the view ask for a person."""
        text = Text().append(f"{self._key} ", style=ACCENT).append(self._view.capitalize())
        self.update(text.append(f" {marker}!", style=f"bold {BAD}") if marker else text)

    def on_click(self) -> None:
        """Say that this view is wanted."""
        self.post_message(self.Picked(self._view))


class ViewTabs(Widget):
    """The six views by their keys; the one shown stands out."""

    snapshot: reactive[Snapshot] = reactive(Snapshot(), init=False)
    """The newest picture of the gateway."""
    shown: reactive[str] = reactive("plant")
    """The view that is shown."""

    def compose(self) -> ComposeResult:
        """Put the tabs beside each other."""
        with Horizontal():
            for key, view in enumerate(VIEWS, start=1):
                yield ViewTab(view, key)

    def on_mount(self) -> None:
        """Mark the first view."""
        self.watch_shown(self.shown)

    def watch_snapshot(self) -> None:
        """Count what asks for a person."""
        for view in VIEWS:
            marker = _marker(view, self.snapshot)
            self.query_one(f"#tab-{view}", ViewTab).show(marker=marker)

    def watch_shown(self, shown: str) -> None:
        """Let the shown view stand out."""
        if self.is_mounted:
            for view in VIEWS:
                self.query_one(f"#tab-{view}").set_class(view == shown, "-shown")


def _marker(view: str, snapshot: Snapshot) -> int:
    """Return how many things in a view ask for a person."""
    if view == "alarms" and snapshot.status is not None:
        return snapshot.status.alarms.unacknowledged
    if view == "devices":
        return sum(device.state == "lost" for device in snapshot.devices)
    if view == "sync":
        return sum(uplink.state == "failing" for uplink in snapshot.uplinks)
    return 0
