"""What one uplink still waits to deliver, by class: positions, age, and time to drain.

Positions come from the cursors at any time; how long the oldest record has waited, only the log
can tell. It is asked now and then while anything waits.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from cloud_sync.edge.ages import Ages
from cloud_sync.edge.forecast import DrainForecast
from cloud_sync.edge.link import Waiting
from cloud_sync.edge.places import DeliveryLog, notes_cursor
from gateway.core.errors import StoreError
from gateway.core.ports import Clock
from gateway.core.records import Seq
from gateway.core.uplink_status import DeliveryClass
from gateway.store import CursorLag

LOOK_PERIOD_NS: Final = 1_000_000_000
"""Between two questions to the log."""
LOOK_TIMEOUT_S: Final = 1.0
"""Longest wait for the answer; the figures stay as they were."""
RECALL_TIMEOUT_S: Final = 10.0
"""The same for the first one, which decides what is late."""

_NS_PER_S: Final = 1_000_000_000


class Standing:
    """Knows how far behind an uplink is."""

    def __init__(self, reader: DeliveryLog, uplink: str, *, clock: Clock) -> None:
        """Begin without having asked."""
        self._reader = reader
        self._uplink = uplink
        self._notes = notes_cursor(uplink)
        self._clock = clock
        self._ages = Ages()
        self._forecast = DrainForecast()
        self._lags: dict[str, CursorLag] = {}
        self._looked_ns: int | None = None

    @property
    def complete_to(self) -> Seq:
        """Up to where the far end lacks nothing, of any class."""
        holes = self._reader.holes(self._uplink)
        samples = Seq(holes[0].first - 1) if holes else self._reader.cursor(self._uplink)
        return min(samples, self._reader.cursor(self._notes))

    @property
    def lag(self) -> int:
        """Positions of the log that are not confirmed; never below the number of records."""
        front = min(self._reader.cursor(self._uplink), self._reader.cursor(self._notes))
        left = sum(
            min(hole.last, front) - hole.first + 1
            for hole in self._reader.holes(self._uplink)
            if hole.first <= front
        )
        return max(self._reader.end - front, 0) + left

    @property
    def live_age_s(self) -> float:
        """For how long the oldest sample behind the cursor has been waiting; 0 without one."""
        return self._ages.age_s(
            self._reader.cursor(self._uplink), now_ns=self._clock.monotonic_ns()
        )

    async def recall(self) -> None:
        """Ask the log how old what is there already is; once, before the first delivery."""
        end = self._reader.end
        await self._ask(RECALL_TIMEOUT_S)
        lag = self._lags.get(self._uplink)
        age_s = self._age_s(lag.front_oldest_ns if lag else None, self._clock.now_ns())
        self._ages.seen(end, now_ns=self._clock.monotonic_ns(), age_s=age_s)

    def mark(self) -> None:
        """Note what is there now, so that its age is known later."""
        self._ages.seen(self._reader.end, now_ns=self._clock.monotonic_ns())

    async def look(self) -> None:
        """Ask the log how old is what waits, if anything does and it is time."""
        now_ns = self._clock.monotonic_ns()
        is_early = self._looked_ns is not None and now_ns - self._looked_ns < LOOK_PERIOD_NS
        if self.lag == 0 or is_early:
            return
        self._forecast.seen(self._missing_count, now_ns=now_ns)
        await self._ask(LOOK_TIMEOUT_S)

    def waiting(self) -> Mapping[DeliveryClass, Waiting]:
        """Return what waits of each class."""
        now_ns, end = self._clock.now_ns(), self._reader.end
        notes, samples = self._lags.get(self._notes), self._lags.get(self._uplink)
        has_notes = notes is not None and self._reader.cursor(self._notes) < end
        missing_count = self._missing_count
        return {
            DeliveryClass.ALARMS: Waiting(
                records=notes.records if notes is not None and has_notes else 0,
                age_s=self._age_s(notes.oldest_ns if notes and has_notes else None, now_ns),
            ),
            DeliveryClass.LIVE: Waiting(
                records=max(end - self._reader.cursor(self._uplink), 0), age_s=self.live_age_s
            ),
            DeliveryClass.BACKFILL: Waiting(
                records=missing_count,
                age_s=self._age_s(samples.oldest_ns if samples and missing_count else None, now_ns),
                drain_s=self._forecast.drain_s(missing_count),
            ),
        }

    @property
    def _missing_count(self) -> int:
        return sum(hole.last - hole.first + 1 for hole in self._reader.holes(self._uplink))

    async def _ask(self, timeout_s: float) -> None:
        self._looked_ns = self._clock.monotonic_ns()
        with suppress(StoreError, TimeoutError):  # the last answer stands
            async with asyncio.timeout(timeout_s):
                self._lags = {lag.name: lag for lag in (await self._reader.stats()).cursors}

    @staticmethod
    def _age_s(since_ns: int | None, now_ns: int) -> float:
        return 0.0 if since_ns is None else max(now_ns - since_ns, 0) / _NS_PER_S
