"""Points that a device refuses: left out of ordinary requests, and tried alone now and then.

Points at the same address are set aside together. Each is tried again after `first_s`, then after
twice as long, and so on up to `cap_s`. When one answers again, the others in its area are tried at
once: a cause that has gone is often gone for all.

A block that was refused as a whole is one matter: one of its points is tried for all, another one
each time, and when it answers all of them come back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from connectors.modbus.plan import Span, span_of
from connectors.modbus.registers import Area, Point

NS_PER_S = 1_000_000_000
Place: TypeAlias = tuple[Area, int]
"""Area and address of points."""


@dataclass(slots=True, kw_only=True)
class AsideEntry:
    """Points at one address that were refused."""

    members: tuple[int, ...]
    """Their positions in the group's list."""
    span: Span
    exception_code: int
    matter: Place | None
    """Names the block when it was refused as a whole."""
    since_ns: int
    """When it was refused first, UTC."""
    delay_s: float
    """Until the next try, from the last one on."""
    due_ns: int
    """When it is tried again, on the monotonic clock."""
    retry_ns: int
    """The same in UTC."""
    try_count: int = 0


class SetAsidePoints:
    """The refused points of one group."""

    def __init__(self, points: Sequence[Point], *, first_s: float, cap_s: float) -> None:
        """Begin with none of the points set aside."""
        self._points = points
        self._first_s = first_s
        self._cap_s = cap_s
        self._entries: dict[Place, AsideEntry] = {}
        self._next_ns = 0
        """No entry is due before this."""

    @property
    def entries(self) -> tuple[AsideEntry, ...]:
        """All of them, in the order in which they were set aside."""
        return tuple(self._entries.values())

    @property
    def members(self) -> frozenset[int]:
        """Positions of all points that are set aside."""
        return frozenset(member for entry in self._entries.values() for member in entry.members)

    def add(
        self,
        members: Iterable[int],
        exception_code: int,
        *,
        matter: Place | None,
        now_ns: int,
        monotonic_ns: int,
    ) -> tuple[AsideEntry, ...]:
        """Set points aside, which are not yet.

        Args:
            members: Their positions in the group's list.
            exception_code: What the device said.
            matter: Names their block when it was refused as a whole.
            now_ns: Time of the answer, UTC.
            monotonic_ns: The same on the monotonic clock.
        """
        by_place: dict[Place, list[int]] = {}
        for member in members:
            point = self._points[member]
            by_place.setdefault((point.area, point.address), []).append(member)
        delay_ns = int(self._first_s * NS_PER_S)
        added = {
            place: AsideEntry(
                members=tuple(together),
                span=span_of(self._points[together[0]]),
                exception_code=exception_code,
                matter=matter,
                since_ns=now_ns,
                delay_s=self._first_s,
                due_ns=monotonic_ns + delay_ns,
                retry_ns=now_ns + delay_ns,
            )
            for place, together in by_place.items()
        }
        assert not added.keys() & self._entries.keys()
        self._entries |= added
        self._next_ns = 0
        return tuple(added.values())

    def due(self, *, monotonic_ns: int, count_max: int) -> tuple[AsideEntry, ...]:
        """Return what is to be tried now, the longest overdue first."""
        if not self._entries or monotonic_ns < self._next_ns:
            return ()
        found: list[AsideEntry] = []
        matters: set[Place] = set()
        waiting = sorted(self._entries.values(), key=lambda each: (each.due_ns, each.try_count))
        self._next_ns = waiting[0].due_ns
        for entry in waiting:
            if entry.due_ns > monotonic_ns or len(found) == count_max:
                break
            if entry.matter is not None:
                if entry.matter in matters:
                    continue
                matters.add(entry.matter)
            found.append(entry)
        return tuple(found)

    def refused(self, entry: AsideEntry, *, now_ns: int, monotonic_ns: int) -> None:
        """Try it again later, and later each time."""
        entry.try_count += 1
        entry.delay_s = min(2 * entry.delay_s, self._cap_s)
        for same in self._one_matter(entry):
            same.delay_s = entry.delay_s
            same.due_ns = monotonic_ns + int(entry.delay_s * NS_PER_S)
            same.retry_ns = now_ns + int(entry.delay_s * NS_PER_S)

    def restored(
        self, entry: AsideEntry, *, now_ns: int, monotonic_ns: int
    ) -> tuple[AsideEntry, ...]:
        """Take it back, and what is one matter with it; try the others in its area at once."""
        back = self._one_matter(entry)
        for each in back:
            del self._entries[(each.span.area, each.span.first)]
        for other in self._entries.values():
            if other.span.area is entry.span.area and other.due_ns > monotonic_ns:
                other.due_ns, other.retry_ns = monotonic_ns, now_ns
        self._next_ns = 0
        return back

    def _one_matter(self, entry: AsideEntry) -> tuple[AsideEntry, ...]:
        if entry.matter is None:
            return (entry,)
        return tuple(other for other in self._entries.values() if other.matter == entry.matter)
