"""How values, times and shares are written for people. Pure, and without colour."""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from gateway.core.quality import Status

UNKNOWN = "–"
"""Stands where there is nothing to tell."""
STALE_MARK = "▒"
"""Marks what is old or cannot be trusted, also where there is no colour."""
ALARM_WORDS = {
    "unacknowledged": "new",
    "returned": "new, gone",
    "acknowledged": "acknowledged",
    "latched_unacknowledged": "new, latched",
    "latched_acknowledged": "latched",
    "shelved": "shelved",
    "suppressed": "suppressed",
    "out_of_service": "out of service",
    "normal": "normal",
}
"""The states of ISA-18.2 in the words of the plant."""
BAR_FULL = "▇"
"""Not the full block: bars below each other must not run together."""
BAR_EMPTY = "░"
FLAT_SHARE = 0.02
"""A change below this share of the value is noise to the eye: the line stays low and flat."""
_SPARKS = "▁▂▃▄▅▆▇█"
_UNIT_SUFFIX = re.compile(r"_(rpm|m3h|bar|mbar|degc|a|mm_s|kw|w|s|ms|percent|share|hz)$")
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_PARTS_S = ((86_400, "d"), (3_600, "h"), (60, "min"))
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)")
_SECONDS = {"d": 86_400.0, "h": 3_600.0, "min": 60.0, "m": 60.0, "s": 1.0}


def number(value: float | None) -> str:
    """Return a value with 3 to 4 significant digits; zeros that say nothing stay away."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    if size >= 1e6:
        return counted(value)
    if size >= 1000:
        return f"{value:.0f}"
    if size >= 100:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    if size == 0:
        return "0"
    return f"{value:.3f}" if size >= 0.01 else f"{value:.2e}"


def around(expected: float, tolerance: float | None) -> str:
    """Return an expected value and its band, to the digit that the band allows."""
    if tolerance is None or tolerance <= 0 or not math.isfinite(tolerance):
        return number(expected)
    power = math.floor(math.log10(tolerance))
    leading = tolerance / 10**power
    # A band of 2.1 says more with its second digit; one of 4 does not.
    digits = max(0, -power + (1 if leading < 3 else 0))
    return f"{expected:.{digits}f} ±{tolerance:.{digits}f}"


def counted(value: float) -> str:
    """Return a large count shortened, such as `98.2 M`; a small one as it is."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * (1 if factor > 1e3 else 10):
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.0f}"


def size(value_bytes: float) -> str:
    """Return a number of bytes with its unit."""
    for factor, unit in _BYTES:
        if value_bytes >= factor:
            return f"{value_bytes / factor:.3g} {unit}"
    return f"{value_bytes:.0f} B"


def percent(share: float | None) -> str:
    """Return a share of 0 to 1 as whole percent."""
    return UNKNOWN if share is None else f"{share * 100:.0f} %"


def duration(seconds: float | None) -> str:
    """Return a duration in its largest fitting unit."""
    if seconds is None:
        return UNKNOWN
    for length, unit in _PARTS_S:
        if seconds >= length * 2:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 or seconds == 0 else f"{seconds:.1f} s"


def remaining(hours: float | None, low: float | None, high: float | None) -> str:
    """Return what is left, such as `38 d ±9`; `> 12 d` where there may be no end.

    Args:
        hours: None where nobody can tell.
        low: Lower end of the interval, in hours.
        high: Upper end; None is none.
    """
    if hours is None or low is None:
        return UNKNOWN
    length_h, unit = (24.0, "d") if hours >= 48 else (1.0, "h")
    if high is None:
        return f"> {low / length_h:.0f} {unit}"
    return f"{hours / length_h:.0f} {unit} ±{max(high - hours, hours - low) / length_h:.0f}"


def age(since: datetime | None, now: datetime) -> str:
    """Return how long ago a time was; a time ahead of the clock is `0 s`."""
    return UNKNOWN if since is None else duration(max(0.0, (now - since).total_seconds()))


def parse_duration(text: str) -> float | None:
    """Return the seconds of `90s`, `15 min`, `8h`, `1d 12h`; None where it is none of them."""
    cleaned = text.strip().lower()
    if not cleaned or _DURATION.sub("", cleaned).strip():
        return None
    return sum(float(count) * _SECONDS[unit] for count, unit in _DURATION.findall(cleaned))


def clock(moment: datetime, zone: tzinfo | None) -> str:
    """Return the time of day and the zone's name, in a zone; None is the machine's own."""
    return f"{moment.astimezone(zone):%H:%M:%S %Z}"


def when(moment: datetime | None, now: datetime, zone: tzinfo | None) -> str:
    """Return the time of day, and the day where it is another one."""
    if moment is None:
        return UNKNOWN
    local, today = moment.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    if abs(today - local) < timedelta(days=300):
        return f"{local:%d %b %H:%M}"
    return f"{local:%Y-%m-%d}"


def bar(share: float | None, width: int) -> str:
    """Return a bar of blocks; where nothing is known it is a dotted line."""
    if share is None:
        return "┄" * width
    filled = min(width, max(0, round(share * width)))
    return BAR_FULL * filled + BAR_EMPTY * (width - filled)


def spark(values: Sequence[float | None], width: int) -> str:
    """Return the last values as a line of blocks, right-aligned; a gap is a blank."""
    shown = values[-width:]
    known = [value for value in shown if value is not None]
    if not known:
        return " " * width
    low, span = _scale(known)
    cells = (
        " " if value is None else _SPARKS[min(7, int((value - low) / span * 8))] for value in shown
    )
    return "".join(cells).rjust(width)


def chart(values: Sequence[float | None], width: int, height: int) -> list[str]:
    """Return the last values as `height` lines of blocks, the top line first."""
    shown = list(values[-width:])
    known = [value for value in shown if value is not None]
    if not known:
        return [" " * width] * height
    low, span = _scale(known)
    levels = [None if v is None else 1 + (v - low) / span * (height * 8 - 1) for v in shown]
    return [
        "".join(_chart_cell(level, height - 1 - line) for level in levels).rjust(width)
        for line in range(height)
    ]


def label(name: str) -> str:
    """Return the name of a signal in words; its unit is said elsewhere."""
    return _UNIT_SUFFIX.sub("", name).replace("_", " ")


def status_words(status: int) -> str:
    """Return what an OPC UA status code says, such as `sensor failure`; empty for Good.

    Its low 16 bits are about the value's place and not its trouble (OPC 10000-4, 7.39.1).
    """
    code = status & 0xFFFF_0000
    if code == Status.GOOD:
        return ""
    try:
        name = Status(code).name
    except ValueError:  # a device's own code
        return f"status {code:#010x}"
    return (name.partition("_")[2] or name).replace("_", " ").lower()


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _scale(known: Sequence[float]) -> tuple[float, float]:
    """Return the lowest value, and the span over which the blocks stretch."""
    low, high = min(known), max(known)
    return low, max(high - low, FLAT_SHARE * max(abs(low), abs(high)), 1e-12)


def _chart_cell(level: float | None, line: int) -> str:
    if level is None or level <= line * 8:
        return " "
    return _SPARKS[min(7, int(level - line * 8))] if level < line * 8 + 8 else "█"
