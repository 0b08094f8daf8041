"""The real clock."""

import time


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
        """Return that it is: whoever has doubts wraps it (`gateway.service.clock`)."""
        return True
