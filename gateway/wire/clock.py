"""The real clock, and one that may be doubted."""

import time

from gateway.core.ports import Clock


class SystemClock:
    """Implements `Clock` with the operating system's clocks."""

    def now_ns(self) -> int:
        """Return wall time, UTC, nanoseconds since 1970: it may jump."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return nanoseconds on a clock that never jumps: for durations."""
        return time.monotonic_ns()

    @property
    def is_trusted(self) -> bool:
        """Return that it is: whoever has doubts takes a `WatchedClock`."""
        return True


class WatchedClock:
    """Implements `Clock` with another one, and says whether it is trusted."""

    def __init__(self, clock: Clock) -> None:
        """Begin with trust."""
        self._clock = clock
        self.is_trusted = True

    def now_ns(self) -> int:
        """Return wall time, UTC, nanoseconds since 1970: it may jump."""
        return self._clock.now_ns()

    def monotonic_ns(self) -> int:
        """Return nanoseconds on a clock that never jumps: for durations."""
        return self._clock.monotonic_ns()
