"""How long the backlog still takes, from how it went in the last half minute. Pure."""

from collections import deque
from typing import Final

POINTS: Final = 30
"""Looks that are remembered; there is one a second while anything waits."""

_NS_PER_S: Final = 1_000_000_000


class DrainForecast:
    """Remembers how much was left at the last looks."""

    def __init__(self) -> None:
        """Begin without a look."""
        self._points: deque[tuple[int, int]] = deque(maxlen=POINTS)

    def seen(self, left: int, *, now_ns: int) -> None:
        """Note how much is left now; where it is more than before, counting begins anew."""
        if self._points and left > self._points[-1][1]:
            self._points.clear()
        self._points.append((now_ns, left))

    def drain_s(self, left: int) -> float | None:
        """Return how long the rest takes at that rate; None while it is not known."""
        if left == 0:
            return 0.0
        if len(self._points) < 2:
            return None
        (then_ns, before), (now_ns, after) = self._points[0], self._points[-1]
        if after >= before:
            return None
        return left * (now_ns - then_ns) / _NS_PER_S / (before - after)
