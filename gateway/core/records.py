"""Records: the entries of the log, and the ledger of what the log does not hold."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NewType, TypeAlias

from gateway.core.commands import Command
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.tags import TagId

GatewayId = NewType("GatewayId", str)
"""Name of one gateway, unique at the cloud."""
Boot = NewType("Boot", int)
"""Counts the starts of a gateway; synced to disk before the first record of that start."""
Seq = NewType("Seq", int)
"""Position in the log; grows by at least one, is never used twice."""


class RecordKind(IntEnum):
    """What a record's body holds. The numbers are on disk: never change one."""

    FRAME = 1
    """Samples as received."""
    DERIVED = 2
    """Samples that the gateway computed."""
    EVENT = 3
    COMMAND = 4
    TAGS = 5
    """The tag table of a configuration epoch."""
    LEDGER = 6
    """Samples that are missing, and why."""
    BLOCK = 7
    """Many frames sealed tag-major; it takes the place of records in a range of seq."""
    STATED = 8
    """Samples that the gateway itself states about measured tags, such as a Bad edge."""


class LedgerReason(StrEnum):
    """Why samples are missing."""

    UNCLEAN_STOP = "unclean_stop"
    """A gap: offered while nobody listened, or received and not yet committed."""
    DEVICE_LOST = "device_lost"
    """A gap: the machine or the network to it was away."""
    SCAN_SKIPPED = "scan_skipped"
    """A scan could not start in time."""
    RETENTION = "retention"
    """Undelivered raw samples dropped to stay within the bound on disk."""
    THINNED = "thinned"
    """Undelivered raw samples that a line between those kept replaces, within a stated error."""
    STORE_FAILED = "store_failed"
    """The disk refused the commit."""
    CORRUPT = "corrupt"
    """A record did not match its check sum."""
    REFUSED = "refused"
    """The far end will never take it; it is kept among the gateway's dead letters."""

    @property
    def is_gap(self) -> bool:
        """Whether the samples were never held by us, as against held and lost."""
        return self in (
            LedgerReason.UNCLEAN_STOP,
            LedgerReason.DEVICE_LOST,
            LedgerReason.SCAN_SKIPPED,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """States that samples between two times are missing; delivered north like any record."""

    reason: LedgerReason
    """Why."""
    source: str
    """Connector concerned; `*` is all of them."""
    from_ns: int
    """UTC, inclusive."""
    to_ns: int
    """UTC, exclusive; not before `from_ns`."""
    count: int | None
    """Samples missing; None where only the span is known, as for a gap."""
    tags: tuple[TagId, ...] = ()
    """The tags concerned; empty is all tags of the source."""
    error_percent: float | None = None
    """Of a tag's range, or of what its values spanned: by so much at most a line between the
    samples kept misses one that was removed. None unless they were thinned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of the log as stored."""

    boot: Boot
    seq: Seq
    kind: RecordKind
    body: bytes
    """Opens with a version byte and closes with a CRC-32; see `gateway.wire.body`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry that is about to be written: what the log needs to know beside the body."""

    kind: RecordKind
    body: bytes
    sample_count: int = 0
    """Samples in the body; 0 for an event, a command, a ledger entry."""
    first_ns: int = 0
    """Oldest source time in the body; for retention and reads by time."""
    last_ns: int = 0
    """Newest source time in the body."""
    is_urgent: bool = False
    """Whether it must be committed at once instead of with the next group."""


LogEntry: TypeAlias = Frame | Event | Command
"""What a restart reads back from the log, in its order, to be where it was."""
