"""Text in registers: told as an event when it changes, for a sample is a number.

A tag's text is told at once when it was not told within the last `TELL_PAUSE_S`; otherwise the
newest one when that time is over. How many were passed over stands in the event.
"""

from dataclasses import dataclass

from gateway.core.events import Event
from gateway.core.tags import TagId

TEXT_CHANGED = "text_changed"
"""Condition of the events."""
SEVERITY = 100
TELL_PAUSE_S = 10.0
NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class _Watched:
    told: str
    told_ns: int
    last: str
    untold_count: int = 0


class TextWatch:
    """The texts of one connector."""

    def __init__(self, source: str) -> None:
        """Begin without any text; `source` is the connector's name."""
        self._source = source
        self._watched: dict[TagId, _Watched] = {}
        self._event_ns = 0

    def read(self, tag: TagId, text: str, *, time_ns: int, monotonic_ns: int) -> Event | None:
        """Take in a text as it was read, and return what is to be told of it."""
        watched = self._watched.get(tag)
        if watched is None:
            self._watched[tag] = _Watched(text, monotonic_ns, text)
            return self._event(f"{tag} is {text!r}", time_ns)
        if text != watched.last:
            watched.last = text
            watched.untold_count += 1
        is_too_soon = monotonic_ns - watched.told_ns < TELL_PAUSE_S * NS_PER_S
        if not watched.untold_count or is_too_soon:
            return None
        passed_over = watched.untold_count - 1
        more = f", and {passed_over} others in between" if passed_over else ""
        event = self._event(f"{tag} is {text!r}; it was {watched.told!r}{more}", time_ns)
        watched.told, watched.told_ns, watched.untold_count = text, monotonic_ns, 0
        return event

    def _event(self, text: str, time_ns: int) -> Event:
        # The time tells one event of a condition from another, and one answer may hold many texts.
        self._event_ns = max(time_ns, self._event_ns + 1)
        return Event(
            time_ns=self._event_ns,
            source=self._source,
            condition=TEXT_CHANGED,
            severity=SEVERITY,
            text=text,
        )
