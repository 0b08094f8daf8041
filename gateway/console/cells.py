"""Pieces of text with their colours, used by several views. Pure."""

from rich.text import Text

from gateway.api.alarm_answers import AlarmAnswer
from gateway.api.answers import AssetAnswer, SignalAnswer, TagAnswer
from gateway.console.format import (
    ALARM_WORDS,
    BAR_FULL,
    STALE_MARK,
    UNKNOWN,
    around,
    bar,
    number,
    percent,
    remaining,
    spark,
)
from gateway.console.palette import (
    ACCENT,
    BAD,
    FAINT,
    GOOD,
    MUTED,
    SPARK,
    TEXT,
    WARN,
    health_colour,
    severity_colour,
)
from gateway.console.snapshot import Snapshot
from gateway.core.units import printed_unit

BAR_WIDTH = 10
SPARK_WIDTH = 8
HEALTH_STEP = 0.02
"""A smaller change over the kept trend is no direction."""
QUALITY_WORDS = {"good": "Good", "uncertain": "Unc.", "bad": "Bad"}
STAGE_WORDS = {"rolled_back": "rolled back"}
ALARM_MARKS = {
    "unacknowledged": "●",
    "returned": "◐",
    "acknowledged": "○",
    "latched_unacknowledged": "◆",
    "latched_acknowledged": "◇",
    "shelved": "◌",
    "suppressed": "▽",
    "out_of_service": "×",
    "normal": " ",
}
NEW_STATES = ("unacknowledged", "returned", "latched_unacknowledged")
"""Nobody has seen these."""
SILENT_STATES = ("shelved", "suppressed", "out_of_service")


def plain(text: str) -> Text:
    """Return ordinary text."""
    return Text(text, style=TEXT)


def muted(text: str) -> Text:
    """Return text that stands back."""
    return Text(text, style=MUTED)


def bar_cell(share: float | None, width: int, colour: str) -> Text:
    """Return a bar, its filled part in a colour."""
    blocks = bar(share, width)
    filled = len(blocks) - len(blocks.lstrip(BAR_FULL))
    return Text().append(blocks[:filled], style=colour).append(blocks[filled:], style=FAINT)


def health_cell(asset: AssetAnswer) -> Text:
    """Return the health bar, its figure and where it goes."""
    colour = health_colour(asset.health)
    cell = bar_cell(asset.health, BAR_WIDTH, colour)
    cell.append(f" {percent(asset.health):>5}", style=colour)
    cell.append(f" {direction(asset)}", style=BAD)
    return cell


def direction(asset: AssetAnswer) -> str:
    """Return a mark for health that falls or rises over the kept trend."""
    known = [value for value in asset.health_trend if value is not None]
    if len(known) < 2 or abs(known[-1] - known[0]) < HEALTH_STEP:
        return " "
    return "▼" if known[-1] < known[0] else "▲"


def score_cell(score: float | None) -> Text:
    """Return the anomaly score; above 1 is anomalous."""
    if score is None:
        return muted(UNKNOWN)
    return Text(f"{score:.2f}", style=BAD if score > 1 else TEXT)


def remaining_cell(asset: AssetAnswer) -> Text:
    """Return how long the asset has until it must be stopped."""
    told = remaining(asset.remaining_h, asset.remaining_low_h, asset.remaining_high_h)
    return muted(told) if told == UNKNOWN else Text(told, style=WARN)


def state_cell(state: str) -> Text:
    """Return the operating state; running needs no attention."""
    return Text(state, style={"running": TEXT, "unknown": WARN}.get(state, MUTED))


def is_doubtful(value: SignalAnswer | TagAnswer) -> bool:
    """Return whether a value is Bad or stale, and thus says nothing about now."""
    return value.quality == "bad" or value.is_stale


def value_cell(value: SignalAnswer | TagAnswer) -> Text:
    """Return a value; what is Bad or stale carries a mark that needs no colour."""
    if value.time is None:
        return muted(UNKNOWN)
    if value.quality == "bad":
        return Text(STALE_MARK * 3, style=BAD)
    if value.is_stale:
        return Text(f"{STALE_MARK} {number(value.value)}", style=MUTED)
    return Text(number(value.value), style=f"bold {TEXT}")


def unit_cell(unit: str) -> Text:
    """Return a unit in the field's spelling."""
    return muted(printed_unit(unit))


def quality_cell(value: SignalAnswer | TagAnswer) -> Text:
    """Return the quality in a word."""
    if value.is_stale and value.quality != "bad":
        return Text("Stale", style=WARN)
    colour = {"good": MUTED, "uncertain": WARN, "bad": BAD}[value.quality]
    return Text(QUALITY_WORDS[value.quality], style=colour)


def age_cell(value: SignalAnswer | TagAnswer, snapshot: Snapshot) -> Text:
    """Return the age; that of a doubtful value is struck."""
    style = f"strike {WARN}" if is_doubtful(value) else MUTED
    return Text(snapshot.age(value.time), style=style)


def spark_cell(signal: SignalAnswer) -> Text:
    """Return the last values as a line."""
    return Text(spark(signal.trend, SPARK_WIDTH), style=FAINT if is_doubtful(signal) else SPARK)


def expected_cell(signal: SignalAnswer) -> Text:
    """Return what the physics expects; a mark says that the value is outside."""
    if signal.expected is None:
        return Text("")
    band = around(signal.expected, signal.tolerance)
    return Text(f"≠ {band}", style=WARN) if is_outside(signal) else Text(f"  {band}", style=MUTED)


def is_outside(signal: SignalAnswer) -> bool:
    """Return whether a value is outside the band in which it is normal."""
    if signal.expected is None or signal.tolerance is None or signal.value is None:
        return False
    return abs(signal.value - signal.expected) > signal.tolerance


def share_cell(share: float | None) -> Text:
    """Return the part of the anomaly that a signal explains."""
    if share is None or share < 0.005:
        return Text("")
    return Text(percent(share), style=f"bold {WARN}" if share >= 0.3 else MUTED)


def alarm_mark(alarm: AlarmAnswer) -> Text:
    """Return a mark by state, filled when a person is needed, coloured by severity.

    What is silenced, and what a flood's event announces, has no colour.
    """
    is_loud = alarm.state not in SILENT_STATES and not alarm.is_quiet
    asks = alarm.state in NEW_STATES or alarm.is_active
    colour = severity_colour(alarm.severity) if is_loud and asks else MUTED
    return Text(ALARM_MARKS[alarm.state], style=colour)


def alarm_state(alarm: AlarmAnswer) -> Text:
    """Return the state of an alarm in a word."""
    is_new = alarm.state in NEW_STATES and not alarm.is_quiet
    return Text(ALARM_WORDS[alarm.state], style=f"bold {TEXT}" if is_new else MUTED)


def alarm_severity(alarm: AlarmAnswer) -> Text:
    """Return the severity, in its colour where the alarm asks for a person by itself."""
    is_loud = alarm.state not in SILENT_STATES and not alarm.is_quiet
    colour = severity_colour(alarm.severity) if is_loud else MUTED
    return Text(str(alarm.severity), style=colour)


def link_cell(state: str) -> Text:
    """Return the state of a connection."""
    return Text(state, style={"ok": GOOD, "connecting": WARN}.get(state, f"bold {BAD}"))


def stage_cell(stage: str) -> Text:
    """Return the stage of a model's version."""
    colour = {"active": GOOD, "shadow": ACCENT, "rolled_back": BAD, "rejected": BAD}
    return Text(STAGE_WORDS.get(stage, stage), style=colour.get(stage, MUTED))
