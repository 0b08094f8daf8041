"""What the log holds, how long it lasts, and whether the books balance."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStatus:
    """The record log as a buffer."""

    size_bytes: int
    """Bytes in use on disk."""
    size_bytes_max: int
    """Bound on `size_bytes`."""
    bytes_per_day: float
    """Growth at the present rate."""
    buffer_s: float | None
    """How long it takes the present rate until undelivered samples must be thinned; None while
    the rate is not known."""
    buffer_thinned_s: float | None = None
    """How long until some must be dropped, as an estimate; None while the rate is not known."""
    fault: str = ""
    """Why nothing can be written; empty when all is well."""
    doubt: str = ""
    """Why the times of new records cannot be relied on; empty when they can."""
    written_bytes: int | None = None
    """Written to the disk since the start; None where the system does not tell."""
    written_bytes_per_day: float | None = None
    """The same in a day at the rate since the start; None while that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Raw samples counted at each step, since the log was made.

    Received = stored + lost before the commit + in the present commit window. A gap is what no
    one can have counted.
    """

    received: int
    """Decoded by us."""
    stored: int
    """Committed."""
    acknowledged: int
    """Confirmed by the far end; the smallest count where there are several uplinks."""
    lost: int
    """In the loss ledger, apart from gaps and from what was thinned."""
    gap_count: int
    """Gaps in the ledger: spans in which nobody listened, or a device was away."""
    gap_s: float
    """Their lengths together, since this start."""
    healed: int = 0
    """Samples read later from the histories of machines, since this start; received, too."""
    thinned: int = 0
    """Taken out undelivered for want of room; those that stayed draw them within a stated error."""
