"""Points that a device refuses: left out of ordinary requests, and tried alone now and then.

Points at the same address are set aside together. Each is tried again after `first_s`, then after
twice as long, and so on up to `cap_s`. When one answers again, the others in its area are tried at
once: a cause that has gone is often gone for all. Points of an area whose function the device does
not know (exception 01) are one matter: one of them is tried for all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from connectors.plan import Span, span_of
from connectors.registers import Area, Point

NS_PER_S = 1_000_000_000
ILLEGAL_FUNCTION = 1

Place: TypeAlias = tuple[Area, int]
"""Area and address of points."""


@dataclass(slots=True, kw_only=True)
class AsideEntry:
    """Points at one address that were refused."""

    members: tuple[int, ...]
    """Their positions in the group's list."""
    span: Span
    exception_code: int
    since_ns: int
    """When it was refused first, UTC."""
    delay_s: float
    """Until the next try, from the last one on."""
    due_ns: int
    """When it is tried again, on the monotonic clock."""
    retry_ns: int
    """The same in UTC."""


class SetAsidePoints:
    """The refused points of one group."""

    def __init__(self, points: Sequence[Point], *, first_s: float, cap_s: float) -> None:
        """Begin with none of the points set aside."""
        self._points = points
        self._first_s = first_s
        self._cap_s = cap_s
        self._entries: dict[Place, AsideEntry] = {}

    @property
    def entries(self) -> tuple[AsideEntry, ...]:
        """All of them, in the order in which they were set aside."""
        return tuple(self._entries.values())

    @property
    def members(self) -> frozenset[int]:
        """Positions of all points that are set aside."""
        return frozenset(member for entry in self._entries.values() for member in entry.members)

    def add(
        self, members: Iterable[int], exception_code: int, *, now_ns: int, monotonic_ns: int
    ) -> None:
        """Set points aside."""
        by_place: dict[Place, list[int]] = {}
        for member in members:
            point = self._points[member]
            by_place.setdefault((point.area, point.address), []).append(member)
        for place, together in by_place.items():
            point = self._points[together[0]]
            delay_ns = int(self._first_s * NS_PER_S)
            self._entries[place] = AsideEntry(
                members=tuple(together),
                span=span_of(point),
                exception_code=exception_code,
                since_ns=now_ns,
                delay_s=self._first_s,
                due_ns=monotonic_ns + delay_ns,
                retry_ns=now_ns + delay_ns,
            )

    def due(self, *, monotonic_ns: int, count_max: int) -> tuple[AsideEntry, ...]:
        """Return what is to be tried now, the longest overdue first."""
        if not self._entries:
            return ()
        found: list[AsideEntry] = []
        unknown_functions: set[Area] = set()
        for entry in sorted(self._entries.values(), key=lambda entry: entry.due_ns):
            if entry.due_ns > monotonic_ns or len(found) == count_max:
                break
            if entry.exception_code == ILLEGAL_FUNCTION:
                if entry.span.area in unknown_functions:
                    continue
                unknown_functions.add(entry.span.area)
            found.append(entry)
        return tuple(found)

    def refused(self, entry: AsideEntry, *, now_ns: int, monotonic_ns: int) -> None:
        """Try it again later, and later each time."""
        entry.delay_s = min(2 * entry.delay_s, self._cap_s)
        for same in self._one_matter(entry):
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
        return back

    def _one_matter(self, entry: AsideEntry) -> tuple[AsideEntry, ...]:
        if entry.exception_code != ILLEGAL_FUNCTION:
            return (entry,)
        return tuple(
            other
            for other in self._entries.values()
            if other.exception_code == ILLEGAL_FUNCTION and other.span.area is entry.span.area
        )
