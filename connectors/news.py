"""What a connector tells of its device as events, at a bounded rate.

A device that flaps must not flood the log. Of each subject only one event is told in a period;
the newest of the others is told at its end, with how many it stands for.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import NoReturn

import structlog

from gateway.core.events import Event
from gateway.core.ports import Clock, Sink

PERIOD_S = 10.0
TICK_S = 1.0
"""So often `run` looks whether a period is over."""
NS_PER_S = 1_000_000_000

log = structlog.get_logger()


@dataclass(slots=True)
class _Subject:
    """One thing that news are about."""

    told_ns: int
    """When the last event was told, monotonic."""
    held: Event | None = None
    held_count: int = 0


class News:
    """Events of one connector."""

    def __init__(
        self, sink: Sink, *, source: str, clock: Clock, period_s: float = PERIOD_S
    ) -> None:
        """Begin with nothing told."""
        self._sink = sink
        self._source = source
        self._clock = clock
        self._period_ns = round(period_s * NS_PER_S)
        self._subjects: dict[tuple[str, str], _Subject] = {}
        self._held: dict[tuple[str, str], _Subject] = {}
        self._last_ns: dict[str, int] = {}

    def tell(self, condition: str, subject: str, text: str, *, severity: int) -> None:
        """Tell that something happened to a subject, such as a tag: now, or at its period's end."""
        event = Event(
            time_ns=self._clock.now_ns(),
            source=self._source,
            condition=condition,
            severity=severity,
            text=text,
        )
        now_ns = self._clock.monotonic_ns()
        key = (condition, subject)
        known = self._subjects.get(key)
        if known is None or (now_ns - known.told_ns >= self._period_ns and not known.held_count):
            self._subjects[key] = _Subject(now_ns)
            self._note(event)
            return
        known.held = event
        known.held_count += 1
        self._held[key] = known

    async def run(self) -> NoReturn:
        """Tell what is held back when its time comes, until cancelled: a task of the session."""
        while True:
            await asyncio.sleep(TICK_S)
            self.flush()

    def flush(self) -> None:
        """Tell what was held back, where its period is over; `run` calls it, or a session does."""
        now_ns = self._clock.monotonic_ns()
        for key, subject in list(self._held.items()):
            if now_ns - subject.told_ns >= self._period_ns:
                self._release(key, subject, now_ns)

    def close(self) -> None:
        """Tell all that was held back: the session ends."""
        now_ns = self._clock.monotonic_ns()
        for key, subject in list(self._held.items()):
            self._release(key, subject, now_ns)

    def _release(self, key: tuple[str, str], subject: _Subject, now_ns: int) -> None:
        event = subject.held
        assert event is not None
        more = subject.held_count - 1
        text = event.text if not more else f"{event.text} (and {more} more before it)"
        self._subjects[key] = _Subject(now_ns)
        del self._held[key]
        self._note(replace(event, text=text))

    def _note(self, event: Event) -> None:
        # An event's id is made from its source, condition and time: two must not share an instant.
        time_ns = max(event.time_ns, self._last_ns.get(event.condition, 0) + 1)
        self._last_ns[event.condition] = time_ns
        log.info(event.condition, device=event.source, text=event.text)
        self._sink.note(replace(event, time_ns=time_ns))
