"""The journal of the alarms: what a person was told and when, and the figures made from it. Pure.

Theory. IEC 62682 (clause 16) measures an alarm system by what it asks of the person: how many
alarms are announced in ten minutes, an hour and a day, how much of the time is a flood, which
alarms come most often, chatter, are gone at once or stand for days. The journal keeps one short
entry for each of these for some days, in the order in which they came and in the gateway's time.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from zlib import compress, decompress

import numpy as np
from numpy.typing import NDArray

from gateway.core.alarm_metrics import AlarmCount, AlarmMetrics
from gateway.core.alarms import AlarmId
from gateway.core.arrays import TimeArray

ENTRIES_MAX: Final = 10_000
"""Entries that are kept at the least: ten a minute for half a day, or the target for 70 days."""
PERIOD_NS: Final = 7 * 86_400 * 1_000_000_000
"""Figures are of this time, or of what is known when that is less."""
HIGH_SEVERITY_MIN: Final = 667
MEDIUM_SEVERITY_MIN: Final = 334
"""OPC 10000-9, annex: severities from 1 to 1000 in three parts."""
MOST_FREQUENT_COUNT: Final = 10

_HOUR_NS: Final = 3_600 * 1_000_000_000
_TEN_MINUTES_NS: Final = 600 * 1_000_000_000
_ROW: Final = np.dtype([("time_ns", "<i8"), ("name", "<i4"), ("severity", "<i2"), ("kind", "u1")])


class Kind(IntEnum):
    """What an entry says. The numbers are in checkpoints."""

    ANNOUNCED = 0
    COLLECTED = 1
    """Raised in a flood, and left to the flood's event."""
    FLEETING = 2
    CHATTERING = 3
    FLOOD_BEGAN = 4
    FLOOD_ENDED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What the figures take from the alarms as they stand now."""

    target_per_hour: float
    chattering: tuple[AlarmId, ...]
    stale: tuple[AlarmId, ...]
    """The oldest first."""


class Journal:
    """The latest entries."""

    def __init__(self, names: Sequence[AlarmId]) -> None:
        """Begin empty.

        Args:
            names: The alarms; entries name them by their position here.
        """
        self._names = list(names)
        self._rows = np.zeros(2 * ENTRIES_MAX, dtype=_ROW)
        self._count = 0
        self._since_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """Note when the gateway began to look, the first time."""
        if self._since_ns is None:
            self._since_ns = now_ns

    def note(self, kind: Kind, *, name: int = -1, severity: int = 0, now_ns: int) -> None:
        """Add an entry.

        Args:
            kind: What happened.
            name: Position of the alarm; -1 is none of them.
            severity: Of the alarm.
            now_ns: By the gateway's clock.
        """
        if self._count == len(self._rows):
            self._rows[:ENTRIES_MAX] = self._rows[ENTRIES_MAX:]
            self._count = ENTRIES_MAX
            self._since_ns = int(self._rows["time_ns"][0])
        self._rows[self._count] = (now_ns, name, severity, kind)
        self._count += 1

    def metrics(self, now_ns: int, present: Present) -> AlarmMetrics:
        """Return the figures of the last days up to now."""
        since_ns = now_ns if self._since_ns is None else self._since_ns
        from_ns = max(since_ns, now_ns - PERIOD_NS)
        rows = self._rows[: self._count]
        rows = rows[rows["time_ns"] >= from_ns]
        # A clock that was set back a little leaves times out of order.
        rows = rows[np.argsort(rows["time_ns"], kind="stable")]
        time_ns, kind, severity = rows["time_ns"], rows["kind"], rows["severity"]
        is_announced = (kind == Kind.ANNOUNCED) | (kind == Kind.FLOOD_BEGAN)
        is_raised = (kind == Kind.ANNOUNCED) | (kind == Kind.COLLECTED)
        announced_ns = time_ns[is_announced]
        announced_severity = severity[is_announced]
        high = int((announced_severity >= HIGH_SEVERITY_MIN).sum())
        low = int((announced_severity < MEDIUM_SEVERITY_MIN).sum())
        flood_ns, flood_since_ns = self._floods(from_ns, now_ns)
        return AlarmMetrics(
            from_ns=from_ns,
            to_ns=now_ns,
            announced=len(announced_ns),
            raised=int(is_raised.sum()),
            last_hour=int((announced_ns > now_ns - _HOUR_NS).sum()),
            per_hour=len(announced_ns) / max((now_ns - from_ns) / _HOUR_NS, 1.0),
            target_per_hour=present.target_per_hour,
            peak_per_10min=_most_within(announced_ns, _TEN_MINUTES_NS),
            peak_raised_per_10min=_most_within(time_ns[is_raised], _TEN_MINUTES_NS),
            flood_count=int((kind == Kind.FLOOD_BEGAN).sum()),
            flood_share=flood_ns / max(now_ns - from_ns, 1),
            flood_since_ns=flood_since_ns,
            high=high,
            medium=len(announced_ns) - high - low,
            low=low,
            fleeting=int((kind == Kind.FLEETING).sum()),
            chattering=int((kind == Kind.CHATTERING).sum()),
            chattering_now=present.chattering,
            stale=present.stale,
            most_frequent=self._most_frequent(rows["name"][is_raised]),
        )

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the gateway's clock was set."""
        self._rows["time_ns"][: self._count] += shift_ns
        if self._since_ns is not None:
            self._since_ns += shift_ns

    def save(self) -> dict[str, object]:
        """Return all that `load` needs, as JSON; a few bytes an entry."""
        packed = compress(self._rows[: self._count][-ENTRIES_MAX:].tobytes())
        return {
            "names": self._names,
            "since_ns": self._since_ns,
            "entries": b64encode(packed).decode(),
        }

    def load(self, *, names: Sequence[str], since_ns: int | None, entries: str) -> None:
        """Go on from what `save` returned, whatever alarms there were then."""
        rows = np.frombuffer(decompress(b64decode(entries)), dtype=_ROW).copy()
        place = {name: k for k, name in enumerate(self._names)}
        is_named = rows["name"] >= 0
        moved = np.zeros(len(names), dtype=np.int32)
        for k in np.unique(rows["name"][is_named]):
            name = AlarmId(names[k])
            if name not in place:  # it is no longer configured, but it came
                place[name] = len(self._names)
                self._names.append(name)
            moved[k] = place[name]
        rows["name"][is_named] = moved[rows["name"][is_named]]
        self._count = len(rows)
        self._rows[: self._count] = rows
        self._since_ns = since_ns

    def _floods(self, from_ns: int, now_ns: int) -> tuple[int, int | None]:
        """Return the time spent in floods, and when the one that goes on began."""
        rows = self._rows[: self._count]
        rows = rows[(rows["kind"] == Kind.FLOOD_BEGAN) | (rows["kind"] == Kind.FLOOD_ENDED)]
        spent_ns, open_ns = 0, None
        for time_ns, kind in zip(rows["time_ns"].tolist(), rows["kind"].tolist(), strict=True):
            if kind == Kind.FLOOD_BEGAN:
                open_ns = time_ns
            else:
                # Without its begin it was in a flood when the oldest entries went.
                begin_ns = from_ns if open_ns is None else open_ns
                spent_ns += max(time_ns - max(begin_ns, from_ns), 0)
                open_ns = None
        if open_ns is not None:
            spent_ns += max(now_ns - max(open_ns, from_ns), 0)
        return spent_ns, open_ns

    def _most_frequent(self, names: NDArray[np.int32]) -> tuple[AlarmCount, ...]:
        counts = np.bincount(names, minlength=1)
        # The most first, and of as many the one that stands first in the configuration.
        order = np.argsort(-counts, kind="stable")[:MOST_FREQUENT_COUNT]
        return tuple(
            AlarmCount(
                alarm=self._names[k], count=int(counts[k]), share=float(counts[k] / len(names))
            )
            for k in order
            if counts[k]
        )


def _most_within(time_ns: TimeArray, span_ns: int) -> int:
    """Return the most of these ascending times that lie within any span, its end left out."""
    ends = np.searchsorted(time_ns, time_ns + span_ns, side="left")
    most = ends - np.arange(len(time_ns))
    return int(most.max(initial=0))
