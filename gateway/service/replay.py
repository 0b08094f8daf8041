"""From a checkpoint to the end of the log: what the pipeline's state needs after a restart."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gateway.core.arrays import index_column
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.records import Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.pipeline import Pipeline
from gateway.store import RecordLog
from gateway.wire.documents import decode_event
from gateway.wire.frames import FRAME_KINDS, frames_of

CHUNK_BYTES = 1024 * 1024
REPLAYED_KINDS = (RecordKind.FRAME, RecordKind.STATED)
"""What the chains were given; derived frames come out of them again."""


async def replay_log(
    pipeline: Pipeline, store: RecordLog, table: TagTable, *, after: Seq, until: Seq
) -> int:
    """Bring the pipeline's state from a checkpoint to a position of the log.

    Args:
        pipeline: Restored from the checkpoint.
        store: The log.
        table: Of the running epoch; samples of tags that it lacks are left out.
        after: Position of the checkpoint.
        until: The last position that belongs to former starts.
    Returns:
        Samples replayed.
    """
    tables = {table.epoch: table}
    count = 0
    while after < until:
        records = await store.read(after=after, size_bytes_max=CHUNK_BYTES)
        records = [record for record in records if record.seq <= until]
        if not records:
            break
        for record in records:
            if record.kind in FRAME_KINDS or record.kind is RecordKind.BLOCK:
                epoch = frames_of(record)[1]
                if epoch not in tables:
                    tables[epoch] = await store.table_of(record)
        count += pipeline.replay(_entries(records, tables, table))
        after = records[-1].seq
    return count


def _entries(
    records: Sequence[Record], tables: dict[ConfigEpoch, TagTable], table: TagTable
) -> Iterator[Frame | Event]:
    for record in records:
        if record.kind is RecordKind.EVENT:
            yield decode_event(record.body)
        elif record.kind in FRAME_KINDS or record.kind is RecordKind.BLOCK:
            frames, epoch = frames_of(record)
            for stored in frames:
                if stored.kind in REPLAYED_KINDS:
                    frame = _translated(stored.frame, tables[epoch], table)
                    if len(frame):
                        yield frame


def _translated(frame: Frame, old: TagTable, new: TagTable) -> Frame:
    """Return the frame with the positions of another epoch, without tags that are gone."""
    if old.epoch == new.epoch:
        return frame
    moved = index_column([new.index(tag.id) if tag.id in new else -1 for tag in old.tags])
    tag_index = moved[frame.tag_index]
    kept = tag_index >= 0
    return replace(frame, tag_index=tag_index.astype(np.int32)).where(kept)
