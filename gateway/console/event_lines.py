"""Events as lines, for the panels of several views. Pure."""

from rich.text import Text

from gateway.api.answers import EventAnswer
from gateway.console.cells import muted
from gateway.console.palette import MUTED, TEXT, severity_colour
from gateway.console.snapshot import Snapshot

TIME_WIDTH = 13
TRANSITION_WIDTH = 15
SOURCE_WIDTH = 8


def event_lines(events: tuple[EventAnswer, ...], snapshot: Snapshot) -> Text:
    """Return events as lines, the newest first."""
    if not events:
        return muted(" Nothing happened lately.")
    return Text("\n").join(_line(event, snapshot) for event in events)


def _line(event: EventAnswer, snapshot: Snapshot) -> Text:
    line = Text(f" {snapshot.when(event.time):<{TIME_WIDTH}}", style=MUTED)
    # What a flood's event announces stands back.
    colour, ink = (MUTED, MUTED) if event.is_quiet else (severity_colour(event.severity), TEXT)
    word = event.transition.replace("_", " ")
    line.append(f"{word:<{TRANSITION_WIDTH}}", style=colour)
    line.append(f"{event.source:<{SOURCE_WIDTH}} ", style=MUTED).append(event.text, style=ink)
    if event.operator:
        line.append(f"  ({event.operator})", style=MUTED)
    return line
