"""Which addresses of a refused request are to blame: found by asking for parts of it. Pure.

A device that refuses one address refuses every request that has it inside. The search halves the
refused part and asks for its first half only: when that is refused too, the trouble is there;
otherwise it is in the second half, and the values of the first are had already. So a step costs
one request, and what lies behind the trouble is read at the end in one request more. One refused
address among n costs at most ceil(log2 n) + 1 requests when all points are of one size, one more
in any case; and every other point is read once.

A part is blamed by elimination, when all around it was answered. Two things look like that and
are none: a refusal that was over a moment later, and a request that was too long for the device.
Therefore a point is asked for alone before it is blamed, unless another part of the request was
refused that is not longer than one that was answered; and a gap is asked for together with the
points around it, for a wall stands for good.

With many refused addresses (d of n) parts become as long as the distance between those found so
far (as in group testing: Hwang 1972); when the first `GIVE_UP_COUNT` are all refused and nothing
else was answered, the rest is taken for refused too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.modbus.plan import Block, ReadRules
from connectors.modbus.registers import Point

GIVE_UP_COUNT = 8
"""Refused parts in a row, and none answered, after which the rest is not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Addresses that are read together or not at all."""

    first: int
    end: int
    """The first address behind it."""
    members: tuple[int, ...]
    """Positions of the points in it; none in a gap."""

    @property
    def is_gap(self) -> bool:
        """Whether nobody wants it."""
        return not self.members


def parts_of(block: Block, points: Sequence[Point], rules: ReadRules) -> tuple[Part, ...]:
    """Return the parts of a block, in order: points, and the gaps between them.

    Points at the same addresses are one part; so is what no request can tell apart, because the
    device only takes requests that begin at a multiple of some address.
    """
    parts: list[Part] = []
    members: list[int] = []
    first = end = block.start
    for member in block.members:
        point = points[member]
        is_new = bool(members) and point.address >= end
        if is_new and point.address % rules.alignment == 0:
            parts.append(Part(first=first, end=end, members=tuple(members)))
            if point.address > end:
                parts.append(Part(first=end, end=point.address, members=()))
            first, members = point.address, []
        members.append(member)
        end = max(end, point.end)
    return (*parts, Part(first=first, end=end, members=tuple(members)))


class Isolation:
    """The search in one refused block: `ask`, then `take` its answer, until `ask` is None."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """Begin with the whole refused."""
        assert parts
        assert not parts[-1].is_gap
        self.parts = tuple(parts)
        self._low, self._high = 0, len(parts)
        """Positions of the parts that hold at least one that is refused."""
        self._is_direct = True
        """Whether just these were asked for and refused; otherwise it follows from others."""
        self._is_blame_due = True
        """Whether the search in them goes on; otherwise what is behind them is unknown."""
        self._good: set[int] = set()
        self._refused: set[int] = set()
        self._doubted: list[int] = []
        """Parts that are to blame by elimination, and were not asked for alone."""
        self._confirming: int | None = None
        """The one of them that `ask` is about."""
        self._shortest_refused: int | None = None
        self._longest_good = 0
        self.is_given_up = False
        """Whether it was taken for refused as a whole."""
        self._ask = self._next()

    @property
    def ask(self) -> tuple[int, int] | None:
        """First of the parts to ask for next, and the one behind the last; None at the end."""
        return self._ask

    @property
    def refused(self) -> tuple[Part, ...]:
        """The parts that are to blame, as far as found."""
        return tuple(self.parts[position] for position in sorted(self._refused))

    @property
    def unanswered(self) -> tuple[int, ...]:
        """Points that were not answered: to blame, or not known yet."""
        return tuple(
            member
            for position, part in enumerate(self.parts)
            if position not in self._good
            for member in part.members
        )

    @property
    def longest_good(self) -> int:
        """Addresses in the longest answered part of the block."""
        return self._longest_good

    def members(self, ask: tuple[int, int]) -> tuple[int, ...]:
        """Return the points in some parts."""
        return tuple(member for part in self.parts[slice(*ask)] for member in part.members)

    def take(self, *, is_refused: bool) -> None:
        """Take in the answer to `ask`."""
        assert self._ask is not None
        first, end = self._ask
        size = self.parts[end - 1].end - self.parts[first].first
        if is_refused:
            shortest = self._shortest_refused
            self._shortest_refused = size if shortest is None else min(size, shortest)
        else:
            self._longest_good = max(size, self._longest_good)
            self._good |= set(range(first, end))
        if self._confirming is not None:
            if is_refused:
                self._refused.add(self._confirming)
            self._confirming = None
        elif is_refused:
            self._low, self._high, self._is_direct, self._is_blame_due = first, end, True, True
        elif not self._is_blame_due:
            self._low = self._high = end
        elif first == self._low:
            self._low, self._is_direct = end, False
        else:
            self._high, self._is_direct = first, False  # [gap, point]: the point was answered
        self._ask = self._next()

    def _next(self) -> tuple[int, int] | None:
        """Blame what is found, and return what to ask for."""
        while self._is_blame_due:
            if self._high - self._low > 1:
                return self._half()
            self._blame(self._low)
            if len(self._refused) >= GIVE_UP_COUNT and not self._good:
                self._refused |= {
                    position
                    for position in range(self._high, len(self.parts))
                    if not self.parts[position].is_gap
                }
                self.is_given_up = True
                return None
        behind = next(
            (
                position
                for position in range(self._high, len(self.parts))
                if not self.parts[position].is_gap
            ),
            None,
        )
        if behind is not None:
            return behind, self._trial_end(behind)
        return self._confirmation()

    def _confirmation(self) -> tuple[int, int] | None:
        """Return what to ask for to make sure of a part in doubt; None when none is left."""
        if self._is_certain():
            points = [each for each in self._doubted if not self.parts[each].is_gap]
            self._refused |= set(points)
            self._doubted = [each for each in self._doubted if each not in points]
        while self._doubted:
            position = self._doubted.pop(0)
            if not self.parts[position].is_gap:
                self._confirming = position
                return position, position + 1
            if {position - 1, position + 1} <= self._good:
                self._confirming = position
                return position - 1, position + 2
            # Next to a refused point nobody reads across it anyway.
        return None

    def _half(self) -> tuple[int, int]:
        """Return the half of the suspects to ask for; it holds a point, and ends with one."""
        low, high = self._low, self._high
        middle = low + (high - low) // 2
        while middle > low and self.parts[middle - 1].is_gap:
            middle -= 1
        if middle > low:
            return low, middle
        # A gap comes first: with the point behind it, or the point alone when that is all.
        return (low, low + 2) if low + 2 < high else (low + 1, high)

    def _blame(self, position: int) -> None:
        self._is_blame_due = False
        self._high = position + 1
        if self._is_direct and not self.parts[position].is_gap:
            self._refused.add(position)
        else:
            self._doubted.append(position)

    def _trial_end(self, begin: int) -> int:
        """Return how far to read at once behind what was found."""
        found_count = len(self._refused) + len(self._doubted)
        if found_count < 2:
            return len(self.parts)
        end = min(begin + max(1, begin // found_count), len(self.parts))
        while self.parts[end - 1].is_gap:
            end -= 1
        return end

    def _is_certain(self) -> bool:
        """Whether neither a passing refusal nor too long a request explains what was seen."""
        shortest = self._shortest_refused
        return shortest is not None and shortest <= self._longest_good
