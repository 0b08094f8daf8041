"""Whether the clocks of the machines agree with the gateway's. Pure.

A sample's own time tells little about a clock: a value that has not changed for a week comes with
a time of last week. Only times that advance do. A source's clock is off, when of all frames within
half a minute that bear a newer time than the one before them even the nearest is far from its
receipt.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gateway.core.events import Event, Evidence, Transition
from gateway.core.frame import ClockSource, Frame, Origin
from gateway.core.records import LogEntry
from gateway.core.tags import TagTable

CLOCK_OFF = "device_clock_off"
"""Condition of the events."""

_WINDOW_NS = 30_000_000_000
_PACE_NS = 100_000_000
"""Between two looks at a source: more would cost small frames as much as deciding about them."""
_FRAMES_MIN = 5
"""Fewer frames with an advancing time say nothing."""
_OFF_SEVERITY = 400
_RIGHT_SEVERITY = 100


@dataclass(slots=True, kw_only=True)
class _Window:
    """What was seen of one source's clock lately."""

    looked_ns: int = -_PACE_NS
    """When it was looked at last, on the monotonic clock."""
    newest_ns: int = 0
    """Newest time in the frame before."""
    begun_ns: int = 0
    """When the window began, on the monotonic clock."""
    count: int = 0
    lag_ns: int = 0
    """The smallest distance of a time from its receipt; negative is ahead."""


class MachineClocks:
    """Follows the live frames of all sources; says on the edges when a clock is off."""

    def __init__(self, table: TagTable, *, off_s: float) -> None:
        """Begin with every clock taken for right.

        Args:
            table: The tags; the first part of an id is its source.
            off_s: How far off a clock may be.
        """
        names = [tag.id.partition(".")[0] for tag in table.tags]
        self._names = tuple(dict.fromkeys(names))
        number_of = {name: number for number, name in enumerate(self._names)}
        self._source = np.array([number_of[name] for name in names], dtype=np.int64)
        self._windows = [_Window() for _ in self._names]
        self._off_ns_max = round(off_s * 1e9)
        self._off: set[str] = set()

    def look(self, frame: Frame) -> tuple[Event, ...]:
        """Take in a frame and return what it shows of the clocks behind it.

        Args:
            frame: As received, while the gateway's own clock can be relied on.
        """
        is_live = frame.origin is Origin.LIVE and frame.is_received and frame.arrival_ns > 0
        if not is_live or frame.clock is not ClockSource.SOURCE or not len(frame):
            return ()
        first = self._windows[self._source[frame.tag_index[0]]]
        if frame.arrival_ns - first.looked_ns < _PACE_NS:
            return ()
        first.looked_ns = frame.arrival_ns
        return tuple(
            event
            for source, newest_ns in self._newest(frame)
            for event in self._judge(source, newest_ns, frame)
        )

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs."""
        return json.dumps(sorted(self._off)).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint."""
        self._off = set(json.loads(checkpoint)) & set(self._names)

    def replay(self, entry: LogEntry) -> None:
        """Take in an entry of the log behind the checkpoint."""
        if isinstance(entry, Event) and entry.condition == CLOCK_OFF:
            if entry.transition is Transition.RAISED:
                self._off.add(entry.source)
            else:
                self._off.discard(entry.source)

    def _newest(self, frame: Frame) -> Iterator[tuple[int, int]]:
        """Yield each source in a frame with the newest time that it mentions."""
        sources = self._source[frame.tag_index]
        times_ns = frame.time_ns
        if frame.server_ns is not None:
            # A server that is asked for an old value says that it holds until now.
            times_ns = np.maximum(times_ns, frame.server_ns)
        first = int(sources[0])
        if (sources == first).all():
            yield first, int(times_ns.max())
            return
        for source in np.unique(sources).tolist():
            yield source, int(times_ns[sources == source].max())

    def _judge(self, source: int, newest_ns: int, frame: Frame) -> Iterator[Event]:
        window = self._windows[source]
        is_advancing = newest_ns > window.newest_ns
        window.newest_ns = newest_ns
        if not is_advancing:
            return
        lag_ns = frame.received_ns - newest_ns
        if window.count == 0:
            window.begun_ns, window.lag_ns = frame.arrival_ns, lag_ns
        window.lag_ns = min(window.lag_ns, lag_ns, key=abs)
        window.count += 1
        if window.count < _FRAMES_MIN or frame.arrival_ns - window.begun_ns < _WINDOW_NS:
            return
        window.count = 0
        name, is_off = self._names[source], abs(window.lag_ns) > self._off_ns_max
        if is_off == (name in self._off):
            return
        self._off ^= {name}
        yield _event(name, window.lag_ns, time_ns=frame.received_ns, is_off=is_off)


def _event(name: str, lag_ns: int, *, time_ns: int, is_off: bool) -> Event:
    lag_s = lag_ns / 1e9
    way = "behind" if lag_s > 0 else "ahead of"
    text = (
        f"The clock of {name} is {abs(lag_s):.0f} s {way} the gateway's: its samples keep its "
        "times, and alarms are told all the same; look at its time server"
        if is_off
        else f"The clock of {name} agrees with the gateway's again"
    )
    return Event(
        time_ns=time_ns,
        source=name,
        condition=CLOCK_OFF,
        severity=_OFF_SEVERITY if is_off else _RIGHT_SEVERITY,
        transition=Transition.RAISED if is_off else Transition.RETURNED,
        text=text,
        evidence=(Evidence(name="lag_s", value=lag_s, unit="s"),),
    )
