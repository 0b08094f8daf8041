"""A frame with its identity, and what the bodies of frames and blocks have in common."""

from dataclasses import dataclass

from gateway.core.errors import CorruptRecordError
from gateway.core.frame import Frame, Origin
from gateway.core.records import Boot, RecordKind, Seq

FRAME_KINDS = frozenset((RecordKind.FRAME, RecordKind.STATED, RecordKind.DERIVED))
"""Kinds whose body is one frame."""
SAMPLE_COUNT_MAX = 1_000_000
"""Samples in one body."""
FRAME_COUNT_MAX = 10_000
"""Frames in one block: each is an object when it is decoded, also an empty one."""

HAS_SERVER_NS_BIT = 8
"""In the flags: the samples have a column of the server's times. Older bodies never have it."""

_RECEIVED_BIT = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFrame:
    """A frame with its identity in the log; what a FRAME, STATED, DERIVED or BLOCK record holds."""

    boot: Boot
    seq: Seq
    kind: RecordKind
    """One of `FRAME_KINDS`."""
    frame: Frame


def to_flags(frame: Frame) -> int:
    """Return as one number where a frame comes from, and whether it has the server's times."""
    flags = int(frame.origin)
    if frame.is_received:
        flags |= _RECEIVED_BIT
    if frame.server_ns is not None:
        flags |= HAS_SERVER_NS_BIT
    return flags


def from_flags(flags: int) -> tuple[Origin, bool, bool]:
    """Return origin, `is_received` and whether there are server's times, from `to_flags`.

    Raises:
        CorruptRecordError: no frame gives this number.
    """
    try:
        origin = Origin(flags & ~(_RECEIVED_BIT | HAS_SERVER_NS_BIT))
    except ValueError as error:
        raise CorruptRecordError(f"a frame has the unknown flags {flags}") from error
    return origin, bool(flags & _RECEIVED_BIT), bool(flags & HAS_SERVER_NS_BIT)
