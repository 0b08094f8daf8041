"""The signal board as a plain loop over samples: the oracle of `twins.state`."""

from dataclasses import dataclass, field


@dataclass
class NaiveBoard:
    """One tag, one asset: rows as (tick, value, source time) of what is known at each tick."""

    period_ns: int
    stale_ns: int
    rows: list[tuple[int, dict[str, tuple[int, float]]]] = field(default_factory=list)
    known: dict[str, tuple[int, float]] = field(default_factory=dict)
    tick_ns: int | None = None
    heard_ns: int | None = None

    def take(self, samples: list[tuple[str, int, float]]) -> None:
        """Take in one frame of (tag, time, value)."""
        for tag, time_ns, value in sorted(samples, key=lambda sample: sample[1]):
            own_tick_ns = -(-time_ns // self.period_ns) * self.period_ns
            if self.tick_ns is None:
                self.tick_ns = own_tick_ns
            if own_tick_ns > self.tick_ns:
                self._close(own_tick_ns)
                self.tick_ns = own_tick_ns
            if tag in self.known and time_ns < self.known[tag][0]:
                continue
            self.known[tag] = (time_ns, value)
            self.heard_ns = time_ns if self.heard_ns is None else max(self.heard_ns, time_ns)

    def _close(self, next_ns: int) -> None:
        assert self.tick_ns is not None
        assert self.heard_ns is not None
        self.rows.append((self.tick_ns, dict(self.known)))
        edge_ns = self.tick_ns
        while edge_ns - self.heard_ns <= self.stale_ns:
            edge_ns += self.period_ns
        if self.tick_ns < edge_ns < next_ns:
            self.rows.append((edge_ns, dict(self.known)))
