"""When to scan: a fixed rate on the clock that never jumps, and no queue of late scans.

Slot k begins at start + k x period and is usable until slot k + 1 begins. Whoever was busy
meanwhile takes the slot that is running now; the slots in between are lost, and their number is
told, so that a device that cannot keep up shows as skipped scans and never as a growing delay.
"""

import asyncio
from dataclasses import dataclass

from gateway.core.ports import Clock

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The slot to scan in, and what was missed since the last one."""

    number: int
    """k; grows by at least one."""
    begin_ns: int
    """When it begins, on the monotonic clock; in the past when we are late."""
    skipped_count: int
    """Slots since the last one that nobody used."""


class ScanSchedule:
    """The arithmetic of the slots; pure."""

    def __init__(self, *, start_ns: int, period_ns: int) -> None:
        """Begin with slot 0 at `start_ns`, none used yet."""
        assert period_ns > 0, period_ns
        self._start_ns = start_ns
        self._period_ns = period_ns
        self._used = -1

    def take(self, now_ns: int) -> Slot:
        """Use up the slot running at `now_ns`, or the next one if that was used already."""
        running = (now_ns - self._start_ns) // self._period_ns
        number = max(running, self._used + 1)
        slot = Slot(
            number=number,
            begin_ns=self._start_ns + number * self._period_ns,
            skipped_count=number - self._used - 1,
        )
        self._used = number
        return slot


class ScanClock:
    """Waits for the slots of one scan group."""

    def __init__(self, *, period_ns: int, clock: Clock) -> None:
        """Start now: the first slot begins at once."""
        self._clock = clock
        self._schedule = ScanSchedule(start_ns=clock.monotonic_ns(), period_ns=period_ns)

    async def next_slot(self) -> Slot:
        """Return when the next slot has begun; at once when that is already the case."""
        slot = self._schedule.take(self._clock.monotonic_ns())
        if (wait_ns := slot.begin_ns - self._clock.monotonic_ns()) > 0:
            await asyncio.sleep(wait_ns / NS_PER_S)
        return slot
