"""Which stretches of the log some reader lacks; all others are history, and may go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.core.cursors import Cursor, Scope, Span
from gateway.core.records import Seq

END: Final = Seq((1 << 63) - 1)
"""Behind every position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What is lacked, apart for samples and for notes: a reader may be for one of them only.

    Spans are apart from each other and in order; the last one has no end.
    """

    samples: tuple[Span, ...]
    """Frames and blocks in them are lacked by some reader, the frames of a block perhaps in
    part."""
    notes: tuple[Span, ...]
    """Events, commands, ledger entries and tag tables in them are."""
    replayed_after: Seq
    """What is behind it a restart would read, whoever has it."""

    @classmethod
    def of(cls, readers: Sequence[Cursor], *, end: Seq, checkpoint: Seq | None) -> "Needs":
        """Return what these readers lack.

        Args:
            readers: Each with its own scope; what is for none of them is lacked by nobody.
            end: Position of the last record; what comes later is lacked in any case.
            checkpoint: Up to where a restart needs nothing; None when there is no checkpoint,
                and so nothing to go on from.
        """
        return cls(
            samples=_union((x for x in readers if x.scope is not Scope.NOTES), end),
            notes=_union((x for x in readers if x.scope is not Scope.SAMPLES), end),
            replayed_after=end if checkpoint is None else checkpoint,
        )

    @property
    def free_samples(self) -> tuple[Span, ...]:
        """Stretches whose samples are history."""
        return _between(self.samples, self.replayed_after)

    @property
    def free_notes(self) -> tuple[Span, ...]:
        """Stretches whose notes are history."""
        return _between(self.notes, self.replayed_after)


def _union(readers: Iterable[Cursor], end: Seq) -> tuple[Span, ...]:
    spans = [Span(first=Seq(end + 1), last=END)]
    for reader in readers:
        spans += [*reader.holes, Span(first=Seq(reader.seq + 1), last=END)]
    joined: list[Span] = []
    for span in sorted(spans, key=lambda each: each.first):
        if joined and span.first <= joined[-1].last + 1:
            joined[-1] = Span(first=joined[-1].first, last=max(joined[-1].last, span.last))
        else:
            joined.append(span)
    return tuple(joined)


def _between(spans: Sequence[Span], up_to: Seq) -> tuple[Span, ...]:
    """Return the stretches before and between spans, as far as a position."""
    found: list[Span] = []
    first = 1
    for span in spans:
        last = min(span.first - 1, up_to)
        if first <= last:
            found.append(Span(first=Seq(first), last=Seq(last)))
        first = span.last + 1
    return tuple(found)
