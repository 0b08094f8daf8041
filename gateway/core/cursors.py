"""Cursors: how far a named reader of the log got, and which stretches it left for later.

A reader that fell behind may go on at the end at once, and leave a hole to be filled beside it. A
hole is closed from its front, so a cursor stays a few numbers however long the outage was.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.core.records import RecordKind, Seq

SAMPLE_KINDS = frozenset(
    {RecordKind.FRAME, RecordKind.DERIVED, RecordKind.STATED, RecordKind.BLOCK}
)
"""Records that hold samples; all others are notes."""


class Scope(StrEnum):
    """Which records a reader is for; to the others it is blind."""

    ALL = "all"
    NOTES = "notes"
    """Events, commands, ledger entries, tag tables: few, and urgent."""
    SAMPLES = "samples"
    """Frames and blocks."""

    def covers(self, kind: RecordKind) -> bool:
        """Return whether a record of this kind is for the reader."""
        return self is Scope.ALL or (kind in SAMPLE_KINDS) is (self is Scope.SAMPLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the log, both ends included."""

    first: Seq
    last: Seq
    """Not before `first`."""

    def __post_init__(self) -> None:
        """Check the order of the ends."""
        assert 0 < self.first <= self.last, (self.first, self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a reader stands: it has everything up to `seq`, save what lies in the holes."""

    seq: Seq
    holes: tuple[Span, ...] = ()
    """Ascending and apart; none reaches beyond `seq`."""
    scope: Scope = Scope.ALL

    @property
    def complete_to(self) -> Seq:
        """Position up to which nothing is missing."""
        return Seq(self.holes[0].first - 1) if self.holes else self.seq

    @property
    def missing_count(self) -> int:
        """Positions in the holes."""
        return sum(hole.last - hole.first + 1 for hole in self.holes)

    def has(self, seq: Seq) -> bool:
        """Return whether the reader has what stands at a position."""
        is_left_out = any(hole.first <= seq <= hole.last for hole in self.holes)
        return seq <= self.seq and not is_left_out

    def advanced(self, seq: Seq) -> "Cursor":
        """Return the cursor with everything up to a position; never back."""
        return replace(self, seq=max(self.seq, seq))

    def skipped(self, to: Seq) -> "Cursor":
        """Return the cursor at a position ahead, with a hole up to there."""
        if to <= self.seq:
            return self
        first = Seq(self.seq + 1)
        holes = self.holes
        if holes and holes[-1].last == self.seq:
            first, holes = holes[-1].first, holes[:-1]
        return replace(self, seq=to, holes=(*holes, Span(first=first, last=to)))

    def filled(self, span: Span) -> "Cursor":
        """Return the cursor without what of its holes lies in a span."""
        holes: list[Span] = []
        for hole in self.holes:
            if span.last < hole.first or hole.last < span.first:
                holes.append(hole)
                continue
            if hole.first < span.first:
                holes.append(Span(first=hole.first, last=Seq(span.first - 1)))
            if span.last < hole.last:
                holes.append(Span(first=Seq(span.last + 1), last=hole.last))
        return replace(self, holes=tuple(holes))
