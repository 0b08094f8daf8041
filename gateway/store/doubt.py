"""Times in doubt, and how they are moved once it is known by how much the clock was wrong. Pure."""

from dataclasses import dataclass, replace

from gateway.core.frame import ClockSource, Frame
from gateway.core.records import LedgerEntry, LedgerReason, Seq

DOUBT_SCHEMA = """
CREATE TABLE doubt (
    first INTEGER PRIMARY KEY, machine TEXT NOT NULL, offset_ns INTEGER NOT NULL,
    from_ns INTEGER NOT NULL, known_ns INTEGER NOT NULL, is_held INTEGER NOT NULL
) STRICT;
CREATE TABLE shift (
    number INTEGER PRIMARY KEY, last INTEGER NOT NULL, done INTEGER NOT NULL,
    shift_ns INTEGER NOT NULL, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL,
    clock INTEGER NOT NULL
) STRICT;
"""
"""The tables that keep both over a restart; `doubt` has one row at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """The stretch of the log whose times are in doubt, up to its end."""

    first: Seq
    """Position of its first record."""
    machine: str
    """Which run of the machine it belongs to; empty is unknown."""
    offset_ns: int
    """Wall time minus monotonic time of the clock in doubt."""
    from_ns: int
    """Wall time when it began."""
    known_ns: int
    """Wall time of the last commit before it."""
    is_held: bool = True
    """Whether its samples are held back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How times are to be moved."""

    shift_ns: int
    """What is added to them."""
    from_ns: int
    """First time that the wrong clock showed."""
    to_ns: int
    """Last time that it showed."""
    clock: ClockSource
    """What the moved samples are marked as: `REBASED`, or `UNTRUSTED` while in doubt still."""

    def moved(self, time_ns: int) -> int:
        """Return a time moved, if the wrong clock showed it."""
        return time_ns + self.shift_ns if self.from_ns <= time_ns <= self.to_ns else time_ns

    def is_about(self, frame: Frame) -> bool:
        """Return whether the wrong clock stamped a frame's samples."""
        was_shown = self.from_ns <= frame.received_ns <= self.to_ns
        return was_shown and frame.clock is ClockSource.UNTRUSTED


def moved_frame(frame: Frame, shift: Shift) -> Frame:
    """Return a frame with the times that the wrong clock stamped moved; the others stay."""
    if not shift.is_about(frame):
        return replace(frame, received_ns=shift.moved(frame.received_ns))
    return replace(
        frame,
        time_ns=frame.time_ns + shift.shift_ns,
        received_ns=frame.received_ns + shift.shift_ns,
        clock=shift.clock,
    )


def moved_gap(entry: LedgerEntry, shift: Shift, *, stored_ns: int) -> LedgerEntry | None:
    """Return a gap in the right time; None when its time was right, or when it is none.

    Args:
        entry: From the ledger.
        shift: How times are moved.
        stored_ns: When the entry was committed, by the wrong clock.
    """
    if not entry.reason.is_gap or entry.count is not None:
        return None
    from_ns, to_ns = shift.moved(entry.from_ns), shift.moved(entry.to_ns)
    if entry.reason is LedgerReason.UNCLEAN_STOP and entry.source == "*":
        # It ended with this start; a clock that stood in the past made it end where it began.
        to_ns = shift.moved(stored_ns)
    if (from_ns, to_ns) == (entry.from_ns, entry.to_ns):
        return None
    return replace(entry, from_ns=from_ns, to_ns=max(from_ns, to_ns))
