"""One comparator with hysteresis and delays as a plain loop over its samples."""

import math
from dataclasses import dataclass, field


@dataclass
class NaiveComparator:
    limit: float
    is_above: bool
    dead_band: float
    on_delay_ns: int
    off_delay_ns: int
    chatter_raises: int = 0
    chatter_window_ns: int = 0
    chatter_hold_ns: int = 0
    is_held: bool = False
    went_on_ns: list[int] = field(default_factory=list)
    is_on: bool = False
    is_beyond: bool = False
    is_known: bool = False
    since_ns: int = 0
    resumed_ns: int = 0
    newest_ns: int | None = None

    def sample(self, time_ns: int, value: float, is_bad: bool) -> list[tuple[int, int, bool, bool]]:
        bad = is_bad or math.isnan(value)
        if self.newest_ns is not None and time_ns < self.newest_ns + (not bad):
            return []
        switches = self.advance(time_ns - 1)
        if bad:
            self.is_known = False
            return switches
        if not self.is_known:
            self.resumed_ns = time_ns
        self.is_known = True
        self.newest_ns = time_ns
        distance = value - self.limit if self.is_above else self.limit - value
        before = self.is_beyond
        if distance > 0:
            self.is_beyond = True
        elif distance <= -self.dead_band:
            self.is_beyond = False
        if self.is_beyond != before:
            self.since_ns = time_ns
        return switches

    def advance(self, now_ns: int) -> list[tuple[int, int, bool, bool]]:
        if not self.is_known or self.is_beyond == self.is_on:
            return []
        delay = self.on_delay_ns if self.is_beyond else self.off_delay_ns
        if self.is_held and not self.is_beyond:
            delay = max(delay, self.chatter_hold_ns)
        due = max(self.since_ns + delay, self.resumed_ns)
        if due > now_ns:
            return []
        self.is_on = self.is_beyond
        return [(due, self.since_ns, self.is_on, self._is_news(due))]

    def _is_news(self, time_ns: int) -> bool:
        """Whether it begins or ends to be held with this switch."""
        if not self.is_on:
            was_held, self.is_held = self.is_held, False
            if was_held:
                self.went_on_ns.clear()
            return was_held
        self.went_on_ns.append(time_ns)
        count = sum(time_ns - each <= self.chatter_window_ns for each in self.went_on_ns)
        if self.chatter_raises and count >= self.chatter_raises:
            self.is_held = True
            return True
        return False
