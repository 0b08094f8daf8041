"""The devices: which connections stand, how fast, and what is wrong with the others."""

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import DataTable, Static

from gateway.api.device_answers import DeviceAnswer
from gateway.console.cells import link_cell, muted, plain
from gateway.console.format import UNKNOWN, counted, number, plural
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import GOOD, MUTED, TEXT, WARN
from gateway.console.snapshot import Snapshot
from gateway.console.view import View

COLUMNS = (
    Column(key="name", title="device", width=0),
    Column(key="state", title="state", width=10),
    Column(key="since", title="since", width=7, align="right"),
    Column(key="tags", title="tags", width=6, align="right"),
    Column(key="rate", title="frames/s", width=8, align="right"),
    Column(key="samples", title="samples", width=8, align="right"),
    Column(key="skipped", title="skipped", width=7, align="right"),
    Column(key="latency", title="latency", width=9, align="right"),
    Column(key="address", title="address", width=30, screen_min=110),
)
_ORDER = {"lost": 0, "connecting": 1, "ok": 2}


class DevicesView(View):
    """Every device, lost ones first; below them what to know of one."""

    def compose(self) -> ComposeResult:
        """Put the table above the details."""
        yield LiveTable(*COLUMNS, id="devices")
        yield Static(id="device-detail")

    def draw(self, snapshot: Snapshot) -> None:
        """Draw the devices."""
        ordered = sorted(snapshot.devices, key=lambda device: _ORDER[device.state])
        self.table.show_rows({device.name: _cells(device, snapshot) for device in ordered})
        self._draw_detail()

    @on(DataTable.RowHighlighted)
    def _draw_detail(self) -> None:
        key, panel = self.table.chosen, self.query_one("#device-detail", Static)
        device = next((each for each in self.snapshot.devices if each.name == key), None)
        panel.display = device is not None
        if device is not None:
            panel.border_title = f" {device.name} · {device.address} "
            panel.update(_detail(device, self.snapshot))

    @property
    def table(self) -> LiveTable:
        """The table of devices."""
        return self.query_one("#devices", LiveTable)


def _cells(device: DeviceAnswer, snapshot: Snapshot) -> Cells:
    latency = UNKNOWN if device.latency_ms is None else f"{number(device.latency_ms)} ms"
    return {
        "name": Text(device.name, style=f"bold {TEXT}"),
        "state": link_cell(device.state),
        "since": muted(snapshot.age(device.since)),
        "tags": plain(str(device.tag_count)),
        "rate": plain(f"{device.frames_per_s:.1f}"),
        "samples": plain(counted(device.sample_count)),
        "skipped": Text(
            counted(device.skipped_count), style=WARN if device.skipped_count else MUTED
        ),
        "latency": plain(latency),
        "address": muted(device.address),
    }


def _detail(device: DeviceAnswer, snapshot: Snapshot) -> Text:
    if not device.reason:
        text = Text(" ✓ Connected", style=GOOD)
        text.append(f" for {snapshot.age(device.since)}.", style=TEXT)
        if device.skipped_count:
            skipped = plural(device.skipped_count, "sample")
            text.append(f"\n {skipped} not asked for: a scan could not start in time.", style=WARN)
        return text
    text = Text(f" {device.reason}", style=TEXT)
    if device.retry is not None:
        wait_s = max(0, round((device.retry - snapshot.now).total_seconds()))
        text.append(f"\n next try in {wait_s} s", style=MUTED)
    if device.detail:
        text.append(f"\n {device.detail}", style=MUTED)
    return text
