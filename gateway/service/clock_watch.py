"""Notices when the wall clock jumps, and says so: data before and after do not fit together.

Order in the log is `seq` and durations are measured on the clock that never jumps, so nothing
depends on it; but a person who looks at a trend has to know.
"""

import asyncio
from collections.abc import Callable

import structlog

from gateway.core.events import Event
from gateway.core.ports import Clock

PERIOD_S = 1.0
JUMP_S_MIN = 2.0
"""Smaller steps are what time servers do all day."""
JUMP_SEVERITY = 400

log = structlog.get_logger()


class ClockWatch:
    """Compares the wall clock with the monotonic one."""

    def __init__(self, clock: Clock, *, note: Callable[[Event], None]) -> None:
        """Take the clocks as they stand; `note` takes the events."""
        self._clock = clock
        self._note = note
        self._offset_ns = clock.now_ns() - clock.monotonic_ns()

    async def run(self) -> None:
        """Look once a second until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            self.look()

    def look(self) -> None:
        """Compare now; slow corrections are followed without a word."""
        now_ns = self._clock.now_ns()
        offset_ns = now_ns - self._clock.monotonic_ns()
        jump_s = (offset_ns - self._offset_ns) / 1e9
        self._offset_ns = offset_ns
        if abs(jump_s) < JUMP_S_MIN:
            return
        direction = "forward" if jump_s > 0 else "back"
        log.warning("clock_jumped", jump_s=round(jump_s, 1), stage="processing")
        self._note(
            Event(
                time_ns=now_ns,
                source="gateway",
                condition="clock_jumped",
                severity=JUMP_SEVERITY,
                text=f"The gateway's clock was set {direction} by {abs(jump_s):.0f} s: "
                "times before and after do not fit together",
            )
        )
