"""The live picture in memory: last values, short trends and recent events.

The pipeline calls `take_frame` and `take_events`; everything else reads. Readers have no queues.
Each tag remembers the revision at which it last changed, and a subscriber remembers the revision
it has seen: however slow it is, it costs no memory and gets the newest state in one step.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np

from gateway.api.view import Change, Trend, Values
from gateway.core.arrays import BoolArray, FloatArray, IndexArray, frozen, index_column
from gateway.core.events import Event
from gateway.core.frame import Frame, Origin
from gateway.core.quality import Status
from gateway.core.tags import TagId, TagTable

TREND_SIZE = 64
"""Samples kept of every tag: 1.3 kB a tag."""
EVENT_SIZE = 500
"""Events kept."""
STALE_AFTER_S = 30.0
"""Silence after which a tag is stale, unless the connector knows better."""


class Live:
    """Last values, trends and events; used on the event loop only."""

    def __init__(
        self,
        table: TagTable,
        *,
        stale_after_s: FloatArray | None = None,
        trend_size: int = TREND_SIZE,
        event_size: int = EVENT_SIZE,
    ) -> None:
        """Begin with nothing known.

        Args:
            table: The tags of the running epoch.
            stale_after_s: Silence after which each tag is stale, shape (n,); infinity for a tag
                that is only sent when it changes. None is `STALE_AFTER_S` for all.
            trend_size: Samples kept of every tag.
            event_size: Events kept.
        """
        count = len(table)
        limits_s = np.full(count, STALE_AFTER_S) if stale_after_s is None else stale_after_s
        assert limits_s.shape == (count,)
        self._table = table
        self._stale_after_ns = limits_s * 1e9
        self._trend_size = trend_size
        self._trend_time_ns = np.zeros((count, trend_size), dtype=np.int64)
        self._trend_value = np.full((count, trend_size), np.nan)
        self._trend_status = np.full(
            (count, trend_size), Status.BAD_WAITING_FOR_INITIAL_DATA, dtype=np.uint32
        )
        self._taken = np.zeros(count, dtype=np.int64)
        self._received_ns = np.zeros(count, dtype=np.int64)
        self._changed_at = np.zeros(count, dtype=np.int64)
        self._revision = 0
        self._events: list[Event] = []
        self._event_size = event_size
        self._event_count = 0
        self._subscribers: set[_Subscriber] = set()

    @property
    def table(self) -> TagTable:
        """The tags, in the order of the values."""
        return self._table

    def take_frame(self, frame: Frame) -> None:
        """Take in samples; historical ones say nothing about now and are left out."""
        if frame.origin is Origin.HISTORICAL or len(frame) == 0:
            return
        order = np.argsort(frame.tag_index, kind="stable")
        tag_index = frame.tag_index[order]
        tags, first, count = np.unique(tag_index, return_index=True, return_counts=True)
        rank = np.arange(len(order)) - np.repeat(first, count)
        fits = np.repeat(count, count) - rank <= self._trend_size
        order, tag_index = order[fits], tag_index[fits]
        slot = (self._taken[tag_index] + rank[fits]) % self._trend_size
        self._trend_time_ns[tag_index, slot] = frame.time_ns[order]
        self._trend_value[tag_index, slot] = frame.value[order]
        self._trend_status[tag_index, slot] = frame.status[order]
        self._taken[tags] += count
        self._received_ns[tags] = frame.received_ns
        self._revision += 1
        self._changed_at[tags] = self._revision
        self._wake()

    def take_events(self, events: Iterable[Event]) -> None:
        """Take in events, the oldest first."""
        taken = list(events)
        if not taken:
            return
        self._events = [*self._events, *taken][-self._event_size :]
        self._event_count += len(taken)
        self._wake()

    def values(self, *, now_ns: int) -> Values:
        """Return the last value of every tag, as seen at a time."""
        rows = np.arange(len(self._table))
        slot = (self._taken - 1) % self._trend_size
        return Values(
            time_ns=self._trend_time_ns[rows, slot],
            value=self._trend_value[rows, slot],
            status=self._trend_status[rows, slot],
            is_stale=self._stale(now_ns),
        )

    def trend(self, tag: TagId) -> Trend:
        """Return the samples kept of a tag, the oldest first.

        Raises:
            KeyError: there is no such tag.
        """
        index = self._table.index(tag)
        taken = int(self._taken[index])
        slot = np.arange(max(0, taken - self._trend_size), taken) % self._trend_size
        return Trend(
            time_ns=frozen(self._trend_time_ns[index, slot]),
            value=frozen(self._trend_value[index, slot]),
            status=frozen(self._trend_status[index, slot]),
        )

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

    def _stale(self, now_ns: int) -> BoolArray:
        silent_ns = np.where(self._taken > 0, now_ns - self._received_ns, 0)
        return np.asarray(silent_ns > self._stale_after_ns)

    def _wake(self) -> None:
        for subscriber in self._subscribers:
            subscriber.wake()


class _Subscriber:
    """Implements `Subscription`: two positions and an event to wait on."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._revision = live.revision
        self._event_count = live.event_count
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that there is something new."""
        self._news.set()

    async def changed(self) -> Change:
        """Wait until there is something new, and return all of it."""
        await self._news.wait()
        self._news.clear()
        live = self._live
        new_count = live.event_count - self._event_count
        events = live.events(new_count)[::-1]
        change = Change(
            tag_index=live.changed_since(self._revision),
            events=events,
            missed_events=new_count - len(events),
        )
        self._revision, self._event_count = live.revision, live.event_count
        return change
