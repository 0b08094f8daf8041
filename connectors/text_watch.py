"""Texts of a device: told as an event when they change, for a sample is a number.

Which text a tag had is remembered over sessions, so that a connection that comes and goes repeats
nothing. How often a tag's texts are told is the rule of all news (see `news`).
"""

from connectors.news import News
from gateway.core.events import Event
from gateway.core.tags import TagId

TEXT_CHANGED = "text_changed"
"""Condition of the events."""
SEVERITY = 100
TEXT_SIZE_MAX = 200
"""Longer texts are cut in an event, in characters."""
_IS = " is "
"""Stands behind the tag, which has no blank."""


class TextWatch:
    """The texts of one connector."""

    def __init__(self) -> None:
        """Begin without any text."""
        self._last: dict[TagId, str] = {}

    def read(self, tag: TagId, text: str, news: News) -> None:
        """Take in a text as it was read, and tell it if it is another one than before.

        Args:
            tag: That has it.
            text: All of it.
            news: Those of the present session.
        """
        before = self._last.get(tag)
        if text == before:
            return
        self._last[tag] = text
        was = "" if before is None else f"; it was {_cut(before)!r}"
        news.tell(TEXT_CHANGED, tag, f"{tag}{_IS}{_cut(text)!r}{was}", severity=SEVERITY)


def tag_with_text(event: Event) -> TagId | None:
    """Return the tag whose text an event tells; None when it tells something else."""
    return TagId(event.text.partition(_IS)[0]) if event.condition == TEXT_CHANGED else None


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_SIZE_MAX else f"{text[:TEXT_SIZE_MAX]}…"
