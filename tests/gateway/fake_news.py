"""What is new in the fake gateway: recent events and changed tags, for any number of readers.

Readers have no queues. Each tag remembers the revision at which it last changed, and a reader
remembers the revision it has seen: however slow it is, it costs no memory and gets the newest
state in one step.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np

from gateway.api.view import Change
from gateway.core.arrays import IndexArray, index_column
from gateway.core.events import Event
from gateway.core.frame import Frame

EVENT_COUNT_MAX = 500
"""Events kept in memory; the log has all of them."""


class News:
    """Recent events and changed tags; used on the event loop only."""

    def __init__(self, tag_count: int, *, event_count_max: int = EVENT_COUNT_MAX) -> None:
        """Begin with nothing new, for a tag table of this length."""
        self._changed_at = np.zeros(tag_count, dtype=np.int64)
        self._revision = 0
        self._events: deque[Event] = deque(maxlen=event_count_max)
        self._event_count = 0
        self._subscribers: set[_Subscriber] = set()

    def take_frame(self, frame: Frame) -> None:
        """Note that the tags of a frame have new values."""
        self._revision += 1
        self._changed_at[frame.tag_index] = self._revision
        self._wake()

    def take_events(self, events: Iterable[Event]) -> None:
        """Take in events, the oldest first."""
        for event in events:
            self._events.append(event)
            self._event_count += 1
        self._wake()

    def events(self, count: int) -> tuple[Event, ...]:
        """Return up to `count` events, the newest first."""
        return tuple(islice(reversed(self._events), count))

    @contextmanager
    def subscribe(self) -> Iterator["_Subscriber"]:
        """Follow what becomes new from now on, until the context is left."""
        subscriber = _Subscriber(self)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    @property
    def revision(self) -> int:
        """Counts the frames taken in."""
        return self._revision

    @property
    def event_count(self) -> int:
        """Counts the events taken in."""
        return self._event_count

    def changed_since(self, revision: int) -> IndexArray:
        """Return the tags that changed after a revision, in the order of the table."""
        return index_column(np.nonzero(self._changed_at > revision)[0])

    def _wake(self) -> None:
        for subscriber in self._subscribers:
            subscriber.wake()


class _Subscriber:
    """Implements `Subscription`: two positions and an event to wait on."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._revision = news.revision
        self._event_count = news.event_count
        self._is_new = asyncio.Event()

    def wake(self) -> None:
        """Say that there is something new."""
        self._is_new.set()

    async def changed(self) -> Change:
        """Wait until there is something new, and return all of it."""
        await self._is_new.wait()
        self._is_new.clear()
        news = self._news
        new_count = news.event_count - self._event_count
        events = news.events(new_count)[::-1]
        change = Change(
            tag_index=news.changed_since(self._revision),
            events=events,
            missed_events=new_count - len(events),
        )
        self._revision, self._event_count = news.revision, news.event_count
        return change
