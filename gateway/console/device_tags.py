"""The test read: the newest value of every tag of one device, trouble on top."""

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from gateway.api.answers import TagAnswer
from gateway.api.device_answers import DeviceTags
from gateway.api.errors import GoneError, RefusedError
from gateway.console.cells import (
    age_cell,
    muted,
    plain,
    quality_cell,
    unit_cell,
    value_cell,
)
from gateway.console.format import status_words
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import BAD, GOOD, MUTED, TEXT, WARN
from gateway.console.snapshot import Snapshot
from gateway.console.trend import TrendScreen

if TYPE_CHECKING:
    from gateway.console.app import ConsoleApp

COLUMNS = (
    Column(key="name", title="tag", width=0),
    Column(key="value", title="value", width=9, align="right"),
    Column(key="unit", title="", width=6),
    Column(key="quality", title="qual.", width=5),
    Column(key="age", title="age", width=7, align="right"),
    Column(key="status", title="why", width=28, screen_min=110),
)
TAGS_SHOWN = 200
PERIOD_S = 1.0


class DeviceTagsScreen(ModalScreen[None]):
    """Lists the tags of a device with their newest values, and keeps them up to date."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t,enter", "trend", "trend", id="read.trend", tooltip="Draw the last values"),
        Binding("escape,q,r", "dismiss", "close", id="read.close", tooltip="Close the test read"),
    ]
    app: "ConsoleApp"

    def __init__(self, device: str) -> None:
        """Remember the device."""
        super().__init__()
        self._device = device
        self._tags: tuple[TagAnswer, ...] = ()

    def compose(self) -> ComposeResult:
        """Put the counts above the values, and below them why the chosen one is not Good."""
        with Vertical(classes="box", id="read-box") as box:
            box.border_title = f"test read · {self._device}"
            box.border_subtitle = "↑↓ choose · t: trend · esc: close"
            yield Static(muted("…"), id="read-count")
            yield LiveTable(*COLUMNS, id="read")
            yield Static("", id="read-why")

    def on_mount(self) -> None:
        """Read now, and again every second."""
        self.read()
        self.set_interval(PERIOD_S, self.read)

    @work(exclusive=True)
    async def read(self) -> None:
        """Ask for the values and show them."""
        count = self.query_one("#read-count", Static)
        try:
            found = await self.app.client.device_tags(self._device, limit=TAGS_SHOWN)
        except (GoneError, RefusedError) as error:
            count.update(Text(str(error), style=BAD))
            return
        self._tags = found.tags
        count.update(_counts(found))
        rows = {tag.tag: _cells(tag, self._device, self.app.snapshot) for tag in found.tags}
        self.query_one("#read", LiveTable).show_rows(rows)
        self._explain()

    @on(DataTable.RowHighlighted)
    def _explain(self) -> None:
        tag = self._chosen
        self.query_one("#read-why", Static).update("" if tag is None else self._why(tag))

    def _why(self, tag: TagAnswer) -> Text:
        devices = {device.name: device for device in self.app.snapshot.devices}
        device = devices.get(self._device)
        for point in device.set_aside if device else ():
            if point.tag == tag.tag:
                return Text(f"{point.address}: {point.reason}", style=WARN)
        words = _words(tag)
        if not words:
            return muted("")
        return Text(words, style=WARN).append(f"  status {tag.status:#010x}", style=MUTED)

    def action_trend(self) -> None:
        """Draw the last values of the tag under the cursor."""
        tag = self._chosen
        if tag is not None:
            self.app.push_screen(TrendScreen(tag.tag))

    @property
    def _chosen(self) -> TagAnswer | None:
        key = self.query_one("#read", LiveTable).chosen
        return next((tag for tag in self._tags if tag.tag == key), None)


def _counts(found: DeviceTags) -> Text:
    """Return how many tags are how; 0 is shown as 0."""
    text = Text(f"{found.good_count} Good", style=GOOD)
    others = (
        (found.bad_count, "Bad", BAD),
        (found.waiting_count, "without a value", WARN),
        (found.stale_count, "stale", WARN),
        (found.uncertain_count, "uncertain", WARN),
    )
    for count, word, colour in others:
        text.append(" · ", style=MUTED).append(f"{count} {word}", style=colour if count else MUTED)
    total = sum(count for count, _, _ in others) + found.good_count
    if total > len(found.tags):
        text.append(f" · the first {len(found.tags)} are shown", style=MUTED)
    return text


def _cells(tag: TagAnswer, device: str, snapshot: Snapshot) -> Cells:
    return {
        "name": plain(tag.tag.removeprefix(f"{device}.")),
        "value": value_cell(tag),
        "unit": unit_cell(tag.unit),
        "quality": quality_cell(tag) if tag.time is not None else muted(""),
        "age": age_cell(tag, snapshot),
        "status": Text(_words(tag), style=TEXT),
    }


def _words(tag: TagAnswer) -> str:
    """Return why a value is not Good, in words; empty when it is."""
    if tag.time is None:
        return "no value yet"
    if tag.is_stale and tag.quality == "good":
        return "nothing came for too long"
    return status_words(tag.status)
