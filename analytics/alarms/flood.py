"""Floods: more alarms than a person can read are announced as one (ISA-18.2-2016, 16.5.3). Pure.

Theory. A flood begins with the raise that is one too many in 10 minutes, and is over at the instant
at which fewer than a lower number have come in the last 10. All raises count, also those that were
not announced. Time is the gateway's, by which a person sees them, not that of the machines' clocks.
While it lasts, raises below a severity are recorded and listed, but left to the flood's event.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from gateway.core.alarms import AlarmId
from gateway.core.events import Event, Evidence, Transition

FLOOD_SOURCE: Final = "gateway"
FLOOD_CONDITION: Final = "alarm_flood"
FLOOD_SEVERITY: Final = 750
FLOOD_SPAN_NS: Final = 600 * 1_000_000_000
"""ISA-18.2-2016, 16.5.3: floods are counted in 10 minutes."""
FLOOD_NAMES_MAX: Final = 50
"""Most alarms that the event at the end of a flood names one by one; the most frequent ones."""
FLOOD_RAISES_MAX: Final = 10_000
"""Most raises whose times are remembered; more in 10 minutes are counted as so many."""
_NAMES_IN_TEXT_MAX: Final = 5


@dataclass(slots=True, kw_only=True)
class FloodWatch:
    """The raises of the last 10 minutes, and the flood that goes on."""

    begin_above: int
    """More raises than this are a flood."""
    end_below: int
    """Fewer end it."""
    severity_min: int
    """Raises of this severity or more are announced all the same."""
    times_ns: deque[int] = field(default_factory=lambda: deque(maxlen=FLOOD_RAISES_MAX))
    """Of the raises in the last 10 minutes, the oldest first."""
    since_ns: int | None = None
    """Begin of the flood; None is none."""
    raised: int = 0
    """In this flood, the raises that made it one among them."""
    collected: Counter[AlarmId] = field(default_factory=Counter)
    """How often each alarm came without being announced, in this flood."""

    def ended(self, now_ns: int) -> Event | None:
        """Let time pass, and return the end of the flood when it is over."""
        end_ns = self._end_ns()
        while self.times_ns and self.times_ns[0] <= now_ns - FLOOD_SPAN_NS:
            self.times_ns.popleft()
        if self.since_ns is None or end_ns > now_ns:
            return None
        event = self._event(Transition.RETURNED, end_ns, self._end_text(end_ns))
        self.since_ns = None
        self.collected.clear()
        return event

    def note(self, alarm: AlarmId, *, severity: int, is_first_out: bool, now_ns: int) -> bool:
        """Count a raise and return whether it is left to the flood's event.

        The first alarm out of a group is announced always: it is the cause.
        """
        self.times_ns.append(now_ns)
        if self.since_ns is None and len(self.times_ns) > self.begin_above:
            self.since_ns, self.raised = now_ns, len(self.times_ns) - 1
        if self.since_ns is None:
            return False
        self.raised += 1
        is_quiet = severity < self.severity_min and not is_first_out
        if is_quiet:
            self.collected[alarm] += 1
        return is_quiet

    def begun(self, now_ns: int) -> Event:
        """Return the event that announces the flood."""
        return self._event(
            Transition.RAISED,
            now_ns,
            f"Alarm flood: {len(self.times_ns)} alarms came within 10 min. Those below severity "
            f"{self.severity_min} are listed, but no longer announced one by one",
        )

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the gateway's clock was set."""
        self.times_ns = deque((time + shift_ns for time in self.times_ns), FLOOD_RAISES_MAX)
        if self.since_ns is not None:
            self.since_ns += shift_ns

    def save(self) -> dict[str, object]:
        """Return all that `load` needs, as JSON."""
        return {
            "times_ns": list(self.times_ns),
            "since_ns": self.since_ns,
            "raised": self.raised,
            "collected": dict(self.collected),
        }

    def load(
        self, *, times_ns: list[int], since_ns: int | None, raised: int, collected: dict[str, int]
    ) -> None:
        """Go on from what `save` returned."""
        self.times_ns = deque(times_ns, FLOOD_RAISES_MAX)
        self.since_ns, self.raised = since_ns, raised
        self.collected = Counter({AlarmId(name): count for name, count in collected.items()})

    def _end_ns(self) -> int:
        """Return when so many raises will have left the 10 minutes that the rest is no flood."""
        if len(self.times_ns) < self.end_below:
            return self.times_ns[-1] if self.times_ns else 0
        return self.times_ns[-self.end_below] + FLOOD_SPAN_NS

    def _end_text(self, end_ns: int) -> str:
        assert self.since_ns is not None
        minutes = max(round((end_ns - self.since_ns) / 60e9), 1)
        quiet = self.collected.total()
        text = f"The alarm flood is over: {self.raised} alarms, in {minutes} min"
        if not quiet:
            return f"{text}; all were announced"
        ranked = self.collected.most_common()
        names = ", ".join(f"{name} {count}" for name, count in ranked[:_NAMES_IN_TEXT_MAX])
        more = len(ranked) - _NAMES_IN_TEXT_MAX
        return f"{text}; not announced: {quiet} ({names}{f', {more} more' if more > 0 else ''})"

    def _event(self, transition: Transition, time_ns: int, text: str) -> Event:
        named = self.collected.most_common(FLOOD_NAMES_MAX)
        return Event(
            time_ns=time_ns,
            source=FLOOD_SOURCE,
            condition=FLOOD_CONDITION,
            severity=FLOOD_SEVERITY,
            transition=transition,
            text=text,
            onset_ns=self.since_ns,
            evidence=tuple(Evidence(name=name, value=float(count)) for name, count in named),
        )
