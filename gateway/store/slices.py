"""The log as rows of samples, slice by slice: any span in bounded memory.

A slice is what one short transaction reads: some ten thousand samples, or one block. Within a
slice rows are by time; slices follow each other as their records were committed, so what a
machine's history gave later comes later.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import (
    ByteArray,
    FloatArray,
    IndexArray,
    ScalarT,
    StatusArray,
    TimeArray,
    frozen,
)
from gateway.core.errors import CorruptRecordError
from gateway.core.frame import join_server_ns
from gateway.core.records import RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagId, TagTable
from gateway.store.reader import BEGIN, LogReader
from gateway.wire.frames import StoredFrame, frames_of

SLICE_SAMPLES = 50_000
"""In one slice, unless a block has more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slice:
    """Rows by time, then by tag; the arrays have the shape (n,) and are read-only."""

    tag_index: IndexArray
    """Position of each row's tag among the tags that were asked for."""
    time_ns: TimeArray
    """Source time, UTC."""
    value: FloatArray
    status: StatusArray
    server_ns: TimeArray
    """When the server last knew the value to hold, UTC; 0 where it did not say."""
    kind: ByteArray
    """`RecordKind`: FRAME, DERIVED or STATED."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.tag_index)

    def part(self, begin: int, end: int) -> "Slice":
        """Return the rows from one position up to another."""
        return Slice(
            tag_index=self.tag_index[begin:end],
            time_ns=self.time_ns[begin:end],
            value=self.value[begin:end],
            status=self.status[begin:end],
            server_ns=self.server_ns[begin:end],
            kind=self.kind[begin:end],
        )


def slices(
    reader: LogReader,
    tags: Sequence[TagId],
    *,
    from_ns: int,
    to_ns: int,
    kinds: Collection[RecordKind],
) -> Iterator[Slice]:
    """Yield the samples of some tags with a source time in a span; none is empty.

    What is written to the log meanwhile may or may not be among them; nothing comes twice. A
    record that is damaged is left out and told to the reader's `on_corrupt`.

    Args:
        reader: Of the log.
        tags: Each once.
        from_ns: UTC, inclusive.
        to_ns: UTC, exclusive.
        kinds: Of the frames wanted.
    Raises:
        StoreError: the log cannot be read.
    """
    places: dict[ConfigEpoch, IndexArray] = {}
    after: Seq | None = BEGIN
    while after is not None:
        records, after = reader.read_span(
            after=after, from_ns=from_ns, to_ns=to_ns, samples_max=SLICE_SAMPLES
        )
        frames: list[StoredFrame] = []
        indices: list[IndexArray] = []
        for record in records:
            try:
                found, epoch = frames_of(record)
            except CorruptRecordError:
                continue  # its check sum held: it is of a release that knew more
            if epoch not in places:
                places[epoch] = _places(reader.table(epoch), tags)
            wanted = [stored for stored in found if stored.kind in kinds]
            frames += wanted
            indices += [places[epoch][stored.frame.tag_index] for stored in wanted]
        piece = _joined(frames, indices, from_ns, to_ns)
        if len(piece) > 0:
            yield piece


def _places(table: TagTable, tags: Sequence[TagId]) -> IndexArray:
    """Return where each tag of a table stands among those asked for; -1 for nowhere."""
    place = {tag: number for number, tag in enumerate(tags)}
    return np.array([place.get(tag.id, -1) for tag in table.tags], dtype=np.int32)


def _joined(
    frames: Sequence[StoredFrame], indices: Sequence[IndexArray], from_ns: int, to_ns: int
) -> Slice:
    sizes = [len(stored.frame) for stored in frames]
    server_ns = join_server_ns(stored.frame for stored in frames)
    tag_index = _column(indices, np.zeros(0, dtype=np.int32))
    time_ns = _column([stored.frame.time_ns for stored in frames], np.zeros(0, dtype=np.int64))
    value = _column([stored.frame.value for stored in frames], np.zeros(0, dtype=np.float64))
    status = _column([stored.frame.status for stored in frames], np.zeros(0, dtype=np.uint32))
    kind = np.repeat(np.array([stored.kind for stored in frames], dtype=np.uint8), sizes)
    inside = np.flatnonzero((tag_index >= 0) & (time_ns >= from_ns) & (time_ns < to_ns))
    # Stable: rows of one tag and one time stay in the order in which they came.
    order = inside[np.lexsort((tag_index[inside], time_ns[inside]))]
    return Slice(
        tag_index=frozen(tag_index[order]),
        time_ns=frozen(time_ns[order]),
        value=frozen(value[order]),
        status=frozen(status[order]),
        server_ns=frozen(
            np.zeros(len(order), dtype=np.int64) if server_ns is None else server_ns[order]
        ),
        kind=frozen(kind[order]),
    )


def _column(parts: Sequence[NDArray[ScalarT]], empty: NDArray[ScalarT]) -> NDArray[ScalarT]:
    return np.concatenate([empty, *parts])
