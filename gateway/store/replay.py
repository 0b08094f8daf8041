"""Replay: what a restarted pipeline has to see again to be where it was."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gateway.core.arrays import IndexArray
from gateway.core.errors import CorruptRecordError
from gateway.core.frame import Frame
from gateway.core.records import LogEntry, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.store.reader import LogReader
from gateway.wire.documents import decode_command, decode_event
from gateway.wire.frames import FRAME_KINDS, frames_of


def replay_entries(reader: LogReader, *, after: Seq, table: TagTable) -> Iterator[LogEntry]:
    """Yield measured and stated frames, events and commands behind a position, in order.

    Positions are those of the given table, whatever table a frame was written under; samples of
    tags that it lacks are left out, and so are derived frames: they are computed again.

    Args:
        reader: Of the log.
        after: Position of the checkpoint.
        table: The tags of the running epoch.
    """
    places: dict[ConfigEpoch, IndexArray] = {}
    for record in reader.records(after=after):
        if record.kind is RecordKind.EVENT:
            yield decode_event(record.body)
            continue
        if record.kind is RecordKind.COMMAND:
            yield decode_command(record.body)
            continue
        if record.kind is not RecordKind.BLOCK and record.kind not in FRAME_KINDS:
            continue
        try:
            frames, epoch = frames_of(record)
        except CorruptRecordError:
            # Its check sum held, so it is of a release that knew more; nothing is lost by it.
            continue
        if epoch not in places:
            places[epoch] = _places(reader.table(epoch), table)
        for stored in frames:
            if stored.kind is not RecordKind.DERIVED:
                moved = _moved(stored.frame, places[epoch])
                if len(moved) > 0:
                    yield moved


def _places(written: TagTable, running: TagTable) -> IndexArray:
    """Return where each tag of one table stands in another; -1 for nowhere."""
    return np.array(
        [running.index(tag.id) if tag.id in running else -1 for tag in written.tags],
        dtype=np.int32,
    )


def _moved(frame: Frame, places: IndexArray) -> Frame:
    """Return the frame with the positions of another table, without the tags that it lacks."""
    tag_index = places[frame.tag_index]
    return replace(frame, tag_index=tag_index).where(tag_index >= 0)
