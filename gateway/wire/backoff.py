"""Back-off: how long to wait before trying a far end again."""

from typing import Final

from tenacity import AsyncRetrying, RetryCallState, wait_random_exponential

_NS_PER_S: Final = 1_000_000_000


class Backoff:
    """Waits that grow exponentially, with full jitter and a cap, and start anew after good times.

    One success does not start it anew: a link that comes and goes is tried ever more seldom. The
    time is handed in, on the monotonic clock.

    Source:
        M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (full jitter).
    """

    def __init__(self, *, first_s: float, cap_s: float, healthy_s: float) -> None:
        """Keep the widest first wait, the widest wait, and the health that starts it anew."""
        assert 0 < first_s <= cap_s, (first_s, cap_s)
        self._wait = wait_random_exponential(multiplier=first_s, max=cap_s)
        self._attempts = RetryCallState(AsyncRetrying(), None, (), {})
        self._attempts.attempt_number = 0
        self._healthy_ns = int(healthy_s * _NS_PER_S)
        self._well_since_ns: int | None = None

    def succeeded(self, *, now_ns: int) -> None:
        """Note that the far end answers as it should."""
        if self._well_since_ns is None:
            self._well_since_ns = now_ns

    def failed(self, *, now_ns: int) -> float:
        """Note a failure and return the seconds to wait before the next attempt."""
        if self._well_since_ns is not None and now_ns - self._well_since_ns >= self._healthy_ns:
            self._attempts.attempt_number = 0
        self._well_since_ns = None
        self._attempts.attempt_number += 1
        return self._wait(self._attempts)
