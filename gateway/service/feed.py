"""Recent events, and following what becomes new without a queue for each follower."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from gateway.api.view import Change
from gateway.core.arrays import frozen
from gateway.core.events import Event
from gateway.core.records import LedgerEntry
from gateway.pipeline import LiveValues

RECENT_EVENTS = 500
RECENT_LEDGER_ENTRIES = 200
COALESCING_S = 0.25
"""A follower is told what became new in this time as one change."""


class Feed:
    """Keeps the newest events; followers remember a position in them, so none can fall behind."""

    def __init__(self, values: LiveValues) -> None:
        """Begin without events."""
        self._values = values
        self._events: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self._event_count = 0
        self._ledger: deque[LedgerEntry] = deque(maxlen=RECENT_LEDGER_ENTRIES)

    def add(self, events: Sequence[Event], is_live: bool) -> None:
        """Keep events; an `EventListener`."""
        self._events.extend(events)
        self._event_count += len(events)

    def add_ledger_entry(self, entry: LedgerEntry) -> None:
        """Keep a loss or a gap."""
        self._ledger.append(entry)

    def events(self, count: int) -> tuple[Event, ...]:
        """Return up to `count` of the latest events, the newest first."""
        return tuple(reversed(self._events))[:count]

    def ledger(self, count: int) -> tuple[LedgerEntry, ...]:
        """Return up to `count` of the latest losses and gaps, the newest first."""
        return tuple(reversed(self._ledger))[:count]

    @contextmanager
    def follow(self) -> Iterator["Follower"]:
        """Follow what becomes new from now on."""
        yield Follower(self, self._values)

    def since(self, event_count: int) -> tuple[tuple[Event, ...], int, int]:
        """Return events after a position, how many of them are gone, and the new position."""
        wanted = self._event_count - event_count
        held = min(wanted, len(self._events))
        fresh = tuple(self._events)[len(self._events) - held :]
        return fresh, wanted - held, self._event_count

    @property
    def position(self) -> int:
        """Events added so far."""
        return self._event_count


class Follower:
    """One reader's position in the feed; implements `Subscription`."""

    def __init__(self, feed: Feed, values: LiveValues) -> None:
        """Begin at the present."""
        self._feed = feed
        self._values = values
        self._event_position = feed.position
        self._value_position = values.update_count

    async def changed(self) -> Change:
        """Wait until there is something new, and return all of it."""
        await asyncio.sleep(COALESCING_S)
        while not self._is_behind():
            await asyncio.sleep(COALESCING_S)
        events, missed, self._event_position = self._feed.since(self._event_position)
        touched = np.flatnonzero(self._values.updated_by > self._value_position)
        self._value_position = self._values.update_count
        return Change(
            tag_index=frozen(touched.astype(np.int32)), events=events, missed_events=missed
        )

    def _is_behind(self) -> bool:
        return (
            self._feed.position > self._event_position
            or self._values.update_count > self._value_position
        )
