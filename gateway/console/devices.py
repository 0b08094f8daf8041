"""The devices: which connections stand, how fast, and what is wrong with the others."""

from datetime import timedelta
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from gateway.api.device_answers import DeviceAnswer
from gateway.console.ask import AskScreen
from gateway.console.cells import link_cell, muted, plain
from gateway.console.device_tags import DeviceTagsScreen
from gateway.console.format import UNKNOWN, counted, duration, percent, plural
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import BAD, GOOD, MUTED, TEXT, WARN
from gateway.console.snapshot import Snapshot
from gateway.console.view import TALL, View

COLUMNS = (
    Column(key="name", title="device", width=0),
    Column(key="state", title="state", width=10),
    Column(key="since", title="since", width=7, align="right"),
    Column(key="tags", title="tags", width=6, align="right"),
    Column(key="requests", title="req/s", width=6, align="right"),
    Column(key="busy", title="bus", width=5, align="right"),
    Column(key="latency", title="latency", width=7, align="right"),
    Column(key="aside", title="aside", width=5, align="right"),
    Column(key="rate", title="frames/s", width=8, align="right", screen_min=110),
    Column(key="samples", title="samples", width=8, align="right", screen_min=110),
    Column(key="skipped", title="skipped", width=7, align="right", screen_min=110),
    Column(key="address", title="address", width=24, screen_min=110),
)
EXPIRY_WARNED = timedelta(days=30)
"""Certificates that expire within this are trouble: somebody has to hand out new ones."""
BUSY_WARNED = 0.8
"""A line that is busier has no room left for retries."""
ASIDE_SHOWN, ASIDE_SHOWN_TALL = 2, 8
DIGITS_TYPED = 4
_ORDER = {"lost": 0, "connecting": 1, "ok": 3}
_OK_WITH_TROUBLE = 2
_SHA256_GROUP, _SHA256_LINE = 4, 32


class DevicesView(View):
    """Every device, those in trouble first; below them what to know of one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "r,enter",
            "read",
            "test read",
            id="devices.read",
            tooltip="Show the newest value of every tag of the device",
        ),
        Binding(
            "t",
            "trust",
            "trust",
            id="devices.trust",
            tooltip="Trust the certificate that the device has shown",
        ),
    ]

    def compose(self) -> ComposeResult:
        """Put the table above the details."""
        yield LiveTable(*COLUMNS, id="devices")
        yield Static(id="device-detail")

    def draw(self, snapshot: Snapshot) -> None:
        """Draw the devices."""
        ordered = sorted(snapshot.devices, key=lambda device: _place(device, snapshot))
        self.table.show_rows({device.name: _cells(device, snapshot) for device in ordered})
        self._draw_detail()

    @on(DataTable.RowHighlighted)
    def _draw_detail(self) -> None:
        device, panel = self.chosen, self.query_one("#device-detail", Static)
        panel.display = device is not None
        if device is not None:
            shown = ASIDE_SHOWN_TALL if self.app.size.height >= TALL else ASIDE_SHOWN
            panel.border_title = f" {device.name} · {device.address} "
            panel.update(_detail(device, self.snapshot, aside_shown=shown))

    def action_read(self) -> None:
        """Show the newest values of the device under the cursor."""
        device = self.chosen
        if device is not None:
            self.app.push_screen(DeviceTagsScreen(device.name))

    def action_trust(self) -> None:
        """Let the person compare the certificate of the device under the cursor, then trust it."""
        device = self.chosen
        if device is not None and device.untrusted_certificate:
            self.app.run_worker(self._trust(device))
        elif device is not None:
            self.notify(f"{device.name} waits for no certificate to be trusted", severity="warning")

    async def _trust(self, device: DeviceAnswer) -> None:
        sha256 = device.untrusted_certificate
        answer = await self.app.push_screen_wait(
            AskScreen(
                title=f"Trust {device.name}",
                question="The device has shown a certificate with this SHA-256:\n\n"
                + _grouped(sha256)
                + "\n\nCompare it with what the device itself shows. If they are the same, type "
                f"the first {DIGITS_TYPED} digits or more.",
                is_answer=lambda text: _is_beginning(text, sha256),
                hint=f"the beginning of it, {DIGITS_TYPED} digits at the least",
            )
        )
        if answer is not None:
            done = f"{device.name} is trusted; it is connected to at its next try"
            await self.act(self.client.trust(device.name, sha256), done=done)

    @property
    def chosen(self) -> DeviceAnswer | None:
        """The device under the cursor."""
        key = self.table.chosen
        return next((each for each in self.snapshot.devices if each.name == key), None)

    @property
    def table(self) -> LiveTable:
        """The table of devices."""
        return self.query_one("#devices", LiveTable)


def _place(device: DeviceAnswer, snapshot: Snapshot) -> int:
    """Return the sorting key of a device: the lower, the more it asks for a person."""
    is_troubled = device.state == "ok" and _has_trouble(device, snapshot)
    return _OK_WITH_TROUBLE if is_troubled else _ORDER[device.state]


def _has_trouble(device: DeviceAnswer, snapshot: Snapshot) -> bool:
    return bool(device.set_aside) or _is_expiring(device, snapshot) or _is_full(device)


def _is_expiring(device: DeviceAnswer, snapshot: Snapshot) -> bool:
    expiry = device.certificate_expires
    return expiry is not None and expiry - snapshot.now < EXPIRY_WARNED


def _is_full(device: DeviceAnswer) -> bool:
    return device.busy_share is not None and device.busy_share > BUSY_WARNED


def _cells(device: DeviceAnswer, snapshot: Snapshot) -> Cells:
    state = link_cell(device.state)
    if device.state == "ok" and _has_trouble(device, snapshot):
        state.append(" !", style=f"bold {WARN}")
    aside, skipped = len(device.set_aside), device.skipped_count
    return {
        "name": Text(device.name, style=f"bold {TEXT}"),
        "state": state,
        "since": muted(snapshot.age(device.since)),
        "tags": plain(str(device.tag_count)),
        "requests": plain(_rate(device.requests_per_s)),
        "busy": Text(percent(device.busy_share), style=WARN if _is_full(device) else TEXT),
        "latency": plain(_latency(device.latency_ms)),
        "aside": Text(str(aside), style=WARN if aside else MUTED),
        "rate": plain(_rate(device.frames_per_s)),
        "samples": plain(counted(device.sample_count)),
        "skipped": Text(counted(skipped), style=WARN if skipped else MUTED),
        "address": muted(device.address),
    }


def _rate(per_s: float | None) -> str:
    return UNKNOWN if per_s is None else f"{per_s:.1f}"


def _latency(latency_ms: float | None) -> str:
    if latency_ms is None:
        return UNKNOWN
    return f"{latency_ms:.1f} ms" if latency_ms < 100 else f"{latency_ms:.0f} ms"


def _detail(device: DeviceAnswer, snapshot: Snapshot, *, aside_shown: int) -> Text:
    lines = _connection_lines(device, snapshot)
    lines += _certificate_lines(device, snapshot)
    if _is_full(device):
        busy = f" The line is busy for {percent(device.busy_share)} of the time: "
        lines.append(Text(f"{busy}read slower, or fewer tags.", style=WARN))
    if device.skipped_count:
        skipped = plural(device.skipped_count, "sample")
        text = f" {skipped} not asked for: a scan could not start in time."
        lines.append(Text(text, style=WARN))
    lines += _aside_lines(device, snapshot, shown=aside_shown)
    return Text("\n").join(lines)


def _connection_lines(device: DeviceAnswer, snapshot: Snapshot) -> list[Text]:
    if not device.reason:
        word = "✓ Connected" if device.state == "ok" else "… Connecting"
        line = Text(f" {word}", style=GOOD if device.state == "ok" else WARN)
        return [line.append(f" for {snapshot.age(device.since)}.", style=TEXT)]
    lines = [plain(f" {device.reason}")]
    if device.retry is not None:
        wait_s = max(0, round((device.retry - snapshot.now).total_seconds()))
        lines.append(muted(f" next try in {wait_s} s"))
    # The fingerprint of a certificate is shown once, in groups.
    if device.detail and not device.untrusted_certificate:
        lines.append(muted(f" {device.detail}"))
    return lines


def _certificate_lines(device: DeviceAnswer, snapshot: Snapshot) -> list[Text]:
    lines: list[Text] = []
    if device.untrusted_certificate:
        lines.append(Text(" It has shown a certificate with this SHA-256:", style=f"bold {BAD}"))
        lines += [
            plain(f"   {line}") for line in _grouped(device.untrusted_certificate).split("\n")
        ]
        lines.append(muted(" Compare it with what the device itself shows, then trust it with t."))
    if device.certificate_expires is not None:
        left_s = (device.certificate_expires - snapshot.now).total_seconds()
        soon = "expired" if left_s <= 0 else f"expires in {duration(left_s)}"
        text = f" A certificate, its own or the device's, {soon}."
        lines.append(Text(text, style=WARN if _is_expiring(device, snapshot) else MUTED))
    return lines


def _aside_lines(device: DeviceAnswer, snapshot: Snapshot, *, shown: int) -> list[Text]:
    lines: list[Text] = []
    for point in device.set_aside[:shown]:
        line = Text(f" {point.address} ", style=f"bold {WARN}")
        line.append(f"set aside {snapshot.age(point.since)} ago: {point.reason}", style=TEXT)
        wait_s = max(0.0, (point.retry - snapshot.now).total_seconds())
        lines.append(line.append(f"\n   {point.tag}, next try in {duration(wait_s)}", style=MUTED))
    if len(device.set_aside) > shown:
        lines.append(muted(f" and {len(device.set_aside) - shown} more"))
    return lines


def _grouped(sha256: str) -> str:
    """Return a fingerprint in two lines of groups, as people read it to one another."""
    lines = [sha256[at : at + _SHA256_LINE] for at in range(0, len(sha256), _SHA256_LINE)]
    return "\n".join(
        " ".join(line[at : at + _SHA256_GROUP] for at in range(0, len(line), _SHA256_GROUP))
        for line in lines
    )


def _is_beginning(text: str, sha256: str) -> bool:
    typed = "".join(text.split()).replace(":", "").lower()
    return len(typed) >= DIGITS_TYPED and sha256.startswith(typed)
