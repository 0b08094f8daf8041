"""The lines at the bottom: the gateway in a sentence, and what to know when it has gone."""

from rich.text import Text
from textual.reactive import reactive
from textual.widgets import Static

from gateway.api.device_answers import DeviceAnswer
from gateway.api.uplink_answers import UplinkAnswer
from gateway.console.format import STALE_MARK, age, duration, plural, when
from gateway.console.palette import ACCENT, BAD, MUTED, TEXT, WARN
from gateway.console.snapshot import Snapshot

SEPARATOR = " · "
KNOWN_LAST = "What you see is what was known last. Trying again by itself."


class Pulse(Static):
    """Devices, deliveries, buffer and models in one line."""

    snapshot: reactive[Snapshot] = reactive(Snapshot(), init=False)
    """The newest picture of the gateway."""

    def watch_snapshot(self, snapshot: Snapshot) -> None:
        """Draw the line."""
        status = snapshot.status
        if status is None:
            return
        parts = [_devices(snapshot.devices)]
        parts += [_uplink(uplink) for uplink in snapshot.uplinks]
        if status.log.fault:
            parts.append(Text(f"{STALE_MARK} log fails", style=f"bold {BAD}"))
        else:
            parts.append(Text(f"buffer {duration(status.log.buffer_s)}", style=MUTED))
        shadows = sum(model.stage == "shadow" for model in snapshot.models)
        if shadows:
            parts.append(Text(f"{shadows} in shadow", style=ACCENT))
        if status.configuration.is_on_trial:
            # First, because the line may be longer than the terminal, and it passes.
            parts.insert(0, Text("configuration on trial", style=WARN))
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        self.update(line.append_text(Text(SEPARATOR, style=MUTED).join(parts)))


class GoneBanner(Static):
    """Since when the gateway does not answer, and why; hidden while it does."""

    snapshot: reactive[Snapshot] = reactive(Snapshot(), init=False)
    """The newest picture of the gateway."""

    def watch_snapshot(self, snapshot: Snapshot) -> None:
        """Show why the gateway has gone; hide while it answers."""
        gone = snapshot.gone
        self.display = gone is not None
        if gone is None:
            return
        since = when(gone.since, gone.checked, snapshot.zone)
        passed = age(gone.since, gone.checked)
        text = Text(f" {STALE_MARK} No answer since {since}, {passed} ago. ", style=f"bold {BAD}")
        text.append(f"{gone.reason[0].upper()}{gone.reason[1:]}.", style=TEXT)
        if gone.last_words:
            text.append(f"\n   systemd: {gone.last_words}", style=TEXT)
        text.append(
            "\n   What you see is what was known last. Trying again by itself.", style=MUTED
        )
        self.update(text)


def _devices(devices: tuple[DeviceAnswer, ...]) -> Text:
    good = sum(device.state == "ok" for device in devices)
    text = Text(f"{plural(good, 'device')} ok", style=MUTED)
    lost = sum(device.state == "lost" for device in devices)
    if lost:
        text.append(f", {lost} lost", style=f"bold {BAD}")
    waiting = len(devices) - good - lost
    if waiting:
        text.append(f", {waiting} connecting", style=WARN)
    return text


def _uplink(uplink: UplinkAnswer) -> Text:
    if uplink.state == "failing":
        text = Text(f"{uplink.name} away", style=f"bold {BAD}")
        return text.append(f", {duration(uplink.lag_s)} behind", style=MUTED)
    if uplink.state == "connecting":
        return Text(f"{uplink.name} connecting", style=WARN)
    return Text(f"{uplink.name} ok, {duration(uplink.lag_s)} behind", style=MUTED)
