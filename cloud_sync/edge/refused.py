"""The books of a record that the far end will never take."""

import numpy as np

from gateway.core.errors import CorruptRecordError
from gateway.core.frame import Frame
from gateway.core.records import LedgerEntry, LedgerReason, Record, RecordKind
from gateway.core.tags import TagTable
from gateway.wire.frames import decode_block, decode_frame


def ledger_entry_of(record: Record, table: TagTable, *, now_ns: int) -> LedgerEntry | None:
    """Return which samples are missing up north without this record; None when none are.

    Only samples as received count in the books. A record that cannot even be read is entered
    with an unknown count.

    Args:
        record: Of any kind.
        table: The tag table that it was written under.
        now_ns: Wall time, UTC; stands in where the record cannot be read.
    """
    try:
        frames = _received_frames(record)
    except CorruptRecordError:
        return LedgerEntry(
            reason=LedgerReason.REFUSED, source="*", from_ns=now_ns, to_ns=now_ns, count=None
        )
    if not frames:
        return None
    tag_index = np.unique(np.concatenate([frame.tag_index for frame in frames]))
    tags = tuple(table.tags[index].id for index in tag_index.tolist() if index < len(table))
    sources = {tag.partition(".")[0] for tag in tags}
    return LedgerEntry(
        reason=LedgerReason.REFUSED,
        source=sources.pop() if len(sources) == 1 else "*",
        from_ns=min(int(frame.time_ns.min()) for frame in frames),
        to_ns=max(int(frame.time_ns.max()) for frame in frames) + 1,
        count=sum(len(frame) for frame in frames),
        tags=tags,
    )


def _received_frames(record: Record) -> list[Frame]:
    """Return the frames of received samples in a record, without the empty ones."""
    if record.kind is RecordKind.FRAME:
        frames = [decode_frame(record.body)[0]]
    elif record.kind is RecordKind.BLOCK:
        stored = decode_block(record.body)[0]
        frames = [each.frame for each in stored if each.kind is RecordKind.FRAME]
    else:
        frames = []
    return [frame for frame in frames if len(frame) > 0]
