"""The log's state in figures a technician can use; read now and then, shown from memory."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from gateway.core.errors import StoreError
from gateway.core.events import Event
from gateway.core.gaps import GAP_HEALED
from gateway.core.log_status import Books, LogStatus
from gateway.core.ports import Clock
from gateway.core.records import LedgerEntry
from gateway.store import LogSettings, RecordLog, StoreStats, expected_gain

PERIOD_S = 2.0
POINTS = 150
"""Fill levels remembered: the growth is measured over five minutes."""
DAY_S = 86_400
GROWTH_MIN_S = 30.0
"""A shorter time says nothing about the growth."""


class LogGauge:
    """Asks the log every two seconds, and answers from what it last said."""

    def __init__(
        self,
        store: RecordLog,
        settings: LogSettings,
        *,
        clock: Clock,
        doubt: Callable[[], str] = lambda: "",
    ) -> None:
        """Begin without figures; `refresh` once before the first answer.

        Args:
            store: The log.
            settings: Its bounds.
            clock: Time.
            doubt: Returns why times cannot be relied on, for a person.
        """
        self._doubt = doubt
        self._store = store
        self._settings = settings
        self._clock = clock
        self._stats: StoreStats | None = None
        self._levels: deque[tuple[int, int]] = deque(maxlen=POINTS)
        self._first_written: tuple[int, int] | None = None
        self._gap_s = 0.0
        self._healed = 0
        self.answer_count = 0
        """Answers of the log's thread; the watchdog looks whether they keep coming."""
        self.stored_before = 0
        """Raw samples that earlier starts committed."""

    async def run(self) -> None:
        """Keep the figures fresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(PERIOD_S)

    async def refresh(self) -> None:
        """Ask the log now; a degraded log keeps the last figures and tells its reason."""
        try:
            stats = await self._store.stats()
        except StoreError:
            return
        finally:
            self.answer_count += 1
        if self._stats is None:
            self.stored_before = stats.stored_samples
        self._stats = stats
        now_ns = self._clock.monotonic_ns()
        self._levels.append((now_ns, stats.used_bytes))
        if self._first_written is None and stats.written_bytes is not None:
            self._first_written = now_ns, stats.written_bytes

    def add_entry(self, entry: LedgerEntry) -> None:
        """Count the length of a gap."""
        if entry.reason.is_gap:
            self._gap_s += (entry.to_ns - entry.from_ns) / 1e9

    def add_events(self, events: Sequence[Event], is_live: bool) -> None:
        """Count what gaps were healed with."""
        for event in events:
            if event.condition == GAP_HEALED:
                self._healed += round(event.evidence[0].value)

    def status(self) -> LogStatus:
        """Return the log as a buffer."""
        used = self._stats.used_bytes if self._stats else 0
        growth = self._growth_per_s()
        bound = self._settings.backlog_bytes_max
        room = max(bound - used, 0)
        room_thinned = max(bound * expected_gain(self._settings) - used, 0)
        return LogStatus(
            size_bytes=used,
            size_bytes_max=bound,
            bytes_per_day=(growth or 0.0) * DAY_S,
            buffer_s=room / growth if growth else None,
            buffer_thinned_s=room_thinned / growth if growth else None,
            fault=self._store.reason,
            doubt=self._doubt(),
            written_bytes=self._stats.written_bytes if self._stats else None,
            written_bytes_per_day=self._written_per_day(),
        )

    def books(self, *, received: int) -> Books:
        """Return the sample counts since the log was made.

        Args:
            received: Decoded since this start; what earlier starts committed is added.
        """
        stats = self._stats
        if stats is None:
            return Books(received=received, stored=0, acknowledged=0, lost=0, gap_count=0, gap_s=0)
        behind = max((cursor.samples for cursor in stats.cursors), default=stats.stored_samples)
        behind += stats.ledgered_samples
        return Books(
            received=self.stored_before + received,
            stored=stats.stored_samples,
            acknowledged=max(stats.stored_samples - behind, 0),
            lost=stats.ledgered_samples - stats.thinned_samples,
            gap_count=stats.gap_count,
            gap_s=self._gap_s,
            healed=self._healed,
            thinned=stats.thinned_samples,
        )

    def _written_per_day(self) -> float | None:
        """Return the rate since the start: the write-ahead log is folded in from time to time."""
        stats = self._stats
        if stats is None or stats.written_bytes is None or self._first_written is None:
            return None
        then_ns, then_bytes = self._first_written
        elapsed_s = (self._levels[-1][0] - then_ns) / 1e9
        if elapsed_s < GROWTH_MIN_S:
            return None
        return (stats.written_bytes - then_bytes) / elapsed_s * DAY_S

    def _growth_per_s(self) -> float | None:
        if len(self._levels) < 2:
            return None
        (then_ns, then_bytes), (now_ns, now_bytes) = self._levels[0], self._levels[-1]
        elapsed_s = (now_ns - then_ns) / 1e9
        if elapsed_s < GROWTH_MIN_S or now_bytes <= then_bytes:
            return None
        return (now_bytes - then_bytes) / elapsed_s
