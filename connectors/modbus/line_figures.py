"""What a line and its units measure of themselves: turnaround, rate, busy time. Pure.

Times are seconds on the monotonic clock, handed in.
"""

from collections import deque
from statistics import median

WINDOW_S = 5.0
"""How far back rates and shares look."""
POINT_S = 1.0
"""Distance of the points that they are measured from."""
LATENCIES_MAX = 64
"""Answers that the median latency looks back on."""
LEARNING_SHARE = 0.125
"""Weight of the newest answer in the learned turnaround (RFC 6298, 2: alpha of 1/8)."""


class Turnarounds:
    """How long the units of a line take to answer, learned from their answers.

    A unit that did not answer is asked again with a time limit made from this, so that it costs
    the others little. An answer that came too late counts in full: a slow unit that was taken for
    dead is given its time.
    """

    def __init__(self, *, factor: float, probe_s_min: float) -> None:
        """Allow a probe `factor` times what answers take, and never less than `probe_s_min`."""
        self._factor = factor
        self._probe_s_min = probe_s_min
        self._learned_s: dict[int, float] = {}

    def learn(self, unit: int, elapsed_s: float) -> None:
        """Take in how long an answer in time took."""
        known_s = self._learned_s.get(unit, elapsed_s)
        self._learned_s[unit] = known_s + LEARNING_SHARE * (elapsed_s - known_s)

    def learn_late(self, unit: int, elapsed_s: float) -> None:
        """Take in how long an answer took that nobody waited for any more."""
        self._learned_s[unit] = max(elapsed_s, self._learned_s.get(unit, 0.0))

    def probe_s(self, unit: int, timeout_s: float) -> float:
        """Return how long to wait for a unit that has not answered yet in its session."""
        learned_s = self._learned_s.get(unit, max(self._learned_s.values(), default=timeout_s))
        return min(timeout_s, max(self._probe_s_min, self._factor * learned_s))


class Latencies:
    """The last few latencies and the rate of answers of one unit."""

    def __init__(self, now_s: float) -> None:
        """Begin with nothing measured."""
        self._recent_s: deque[float] = deque(maxlen=LATENCIES_MAX)
        self._answers = Slope(now_s)
        self._answer_count = 0

    def note(self, elapsed_s: float, now_s: float) -> None:
        """Take in one answer."""
        self._recent_s.append(elapsed_s)
        self._answer_count += 1
        self._answers.note(now_s, self._answer_count)

    def median_s(self) -> float | None:
        """Return the median of the last few; None before the first."""
        return median(self._recent_s) if self._recent_s else None

    def per_s(self, now_s: float) -> float:
        """Return answers a second, lately."""
        return self._answers.per_s(now_s, self._answer_count)


class BusyTime:
    """How much of the time at least one request is on the wire."""

    def __init__(self, now_s: float) -> None:
        """Begin idle."""
        self._since_s: float | None = None
        self._sum_s = 0.0
        self._sums = Slope(now_s)

    def set(self, now_s: float, *, is_busy: bool) -> None:
        """Note that the line is busy or idle from now on."""
        if self._since_s is not None:
            if is_busy and now_s - self._since_s < POINT_S / 2:
                return
            self._sum_s += now_s - self._since_s
        self._since_s = now_s if is_busy else None
        self._sums.note(now_s, self._sum_s)

    def share(self, now_s: float) -> float:
        """Return the busy part of the time, lately; 0 to 1."""
        running_s = 0.0 if self._since_s is None else now_s - self._since_s
        return min(1.0, self._sums.per_s(now_s, self._sum_s + running_s))


class Slope:
    """How fast a growing number grows, over about `WINDOW_S`."""

    def __init__(self, now_s: float) -> None:
        """Begin at 0."""
        self._points = deque([(now_s, 0.0)])

    def note(self, now_s: float, value: float) -> None:
        """Take in the number; a point is kept every `POINT_S`."""
        if now_s - self._points[-1][0] >= POINT_S:
            self._points.append((now_s, value))
            self._forget(now_s)

    def per_s(self, now_s: float, value: float) -> float:
        """Return its growth a second up to now."""
        self._forget(now_s)
        then_s, then_value = self._points[0]
        return (value - then_value) / (now_s - then_s) if now_s > then_s else 0.0

    def _forget(self, now_s: float) -> None:
        while len(self._points) > 1 and self._points[1][0] <= now_s - WINDOW_S:
            self._points.popleft()
