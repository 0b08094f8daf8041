"""A frame with its identity, and what the bodies of frames and blocks have in common."""

from dataclasses import dataclass

from gateway.core.errors import CorruptRecordError
from gateway.core.frame import Frame, Origin
from gateway.core.records import Boot, RecordKind, Seq

FRAME_KINDS = frozenset((RecordKind.FRAME, RecordKind.STATED, RecordKind.DERIVED))
"""Kinds whose body is one frame."""
SAMPLE_COUNT_MAX = 1_000_000
"""Samples in one body, and frames in one block."""

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
    """Return where a frame comes from as a number."""
    return frame.origin | (_RECEIVED_BIT if frame.is_received else 0)


def from_flags(flags: int) -> tuple[Origin, bool]:
    """Return origin and `is_received` from `to_flags`.

    Raises:
        CorruptRecordError: no frame gives this number.
    """
    try:
        return Origin(flags & ~_RECEIVED_BIT), bool(flags & _RECEIVED_BIT)
    except ValueError as error:
        raise CorruptRecordError(f"a frame has the unknown flags {flags}") from error
