"""A frame with its identity, and what the bodies of frames and blocks have in common."""

from dataclasses import dataclass

from gateway.core.errors import CorruptRecordError
from gateway.core.frame import ClockSource, Frame, Origin
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
_CLOCK_BIT = 16
"""The lower of two bits that hold the `ClockSource`; older bodies have neither, which is SOURCE."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFrame:
    """A frame with its identity in the log; what a FRAME, STATED, DERIVED or BLOCK record holds."""

    boot: Boot
    seq: Seq
    kind: RecordKind
    """One of `FRAME_KINDS`."""
    frame: Frame


def to_flags(frame: Frame) -> int:
    """Return as one number where a frame and its times come from, and what columns it has."""
    flags = int(frame.origin) | frame.clock * _CLOCK_BIT
    if frame.is_received:
        flags |= _RECEIVED_BIT
    if frame.server_ns is not None:
        flags |= HAS_SERVER_NS_BIT
    return flags


def from_flags(flags: int) -> tuple[Origin, bool, ClockSource, bool]:
    """Return origin, `is_received`, the clock and whether there are server's times.

    Raises:
        CorruptRecordError: no frame gives this number.
    """
    clock = flags // _CLOCK_BIT % len(ClockSource)
    try:
        origin = Origin(flags - clock * _CLOCK_BIT & ~(_RECEIVED_BIT | HAS_SERVER_NS_BIT))
    except ValueError as error:
        raise CorruptRecordError(f"a frame has the unknown flags {flags}") from error
    is_received, has_server_ns = bool(flags & _RECEIVED_BIT), bool(flags & HAS_SERVER_NS_BIT)
    return origin, is_received, ClockSource(clock), has_server_ns
