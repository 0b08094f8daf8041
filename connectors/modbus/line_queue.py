"""What waits to go on a line, and whose turn it is. Pure.

Within a unit the request that is due first goes first; due is when it was submitted plus its
priority in milliseconds, which for a scan is its period. Between units: what is overdue, the
longest first; then the shorter priority; and units of the same priority take turns, so that the
long scan of one does not hold up the short one of another. Priority 0 goes before everything.
"""

import heapq
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from connectors.modbus.exchange import Exchange, Request

URGENT = 0
"""Priority of what goes first."""

Owner = TypeVar("Owner", bound=Hashable)


class Waiting(NamedTuple):
    """A request that is not on the wire yet."""

    exchange: Exchange
    position: int
    """Place in the exchange's group."""
    request: Request
    priority: int
    """A lower number goes first; milliseconds."""
    since_s: float
    """When it was submitted, on the monotonic clock."""
    is_repeat: bool = False
    """Whether it was on the wire before, and its answer came damaged."""

    @property
    def due_s(self) -> float:
        """When it should be on the wire."""
        return self.since_s + self.priority / 1000


class LineQueue(Generic[Owner]):
    """The waiting requests of all units of a line."""

    def __init__(self) -> None:
        """Begin empty."""
        self._heaps: dict[Owner, list[tuple[bool, float, int, Waiting]]] = {}
        self._turns: dict[Owner, int] = {}
        self._pushed_count = 0
        self._turn = 0

    @property
    def has_waiting(self) -> bool:
        """Whether any unit has a request waiting."""
        return any(self._heaps.values())

    def waiting_count(self, owner: Owner) -> int:
        """Return how many requests of a unit wait."""
        return len(self._heaps.get(owner, ()))

    def push(self, owner: Owner, waiting: Waiting) -> None:
        """Add a request."""
        self._pushed_count += 1
        entry = (waiting.priority != URGENT, waiting.due_s, self._pushed_count, waiting)
        heapq.heappush(self._heaps.setdefault(owner, []), entry)

    def take(self, now_s: float, may_go: Callable[[Owner], bool]) -> tuple[Owner, Waiting] | None:
        """Return whose turn it is, and the request; None when no unit that may go has any."""
        owner = self._next(now_s, may_go)
        if owner is None:
            return None
        self._turn += 1
        self._turns[owner] = self._turn
        return owner, heapq.heappop(self._heaps[owner])[-1]

    def withdraw(self, exchange: Exchange) -> None:
        """Take the requests of a group back."""
        for owner, heap in self._heaps.items():
            kept = [entry for entry in heap if entry[-1].exchange is not exchange]
            if count := len(heap) - len(kept):
                heapq.heapify(kept)
                self._heaps[owner] = kept
                exchange.withdraw(count)
                return

    def remove(self, owner: Owner) -> list[Waiting]:
        """Forget a unit, and return what it had waiting."""
        self._turns.pop(owner, None)
        return [entry[-1] for entry in self._heaps.pop(owner, [])]

    def _next(self, now_s: float, may_go: Callable[[Owner], bool]) -> Owner | None:
        """Return whose turn it is."""
        if len(self._heaps) == 1:  # as on most lines, and for every request
            [(owner, heap)] = self._heaps.items()
            return owner if heap and may_go(owner) else None
        ready = [owner for owner, heap in self._heaps.items() if heap and may_go(owner)]
        return min(ready, key=lambda x: self._rank(x, now_s), default=None)

    def _rank(self, owner: Owner, now_s: float) -> tuple[int, float, int]:
        head = self._heaps[owner][0][-1]
        turn = self._turns.get(owner, 0)
        if head.priority == URGENT:
            return 0, 0.0, turn
        if head.due_s <= now_s:
            return 1, head.due_s, turn
        return 2, head.priority, turn
