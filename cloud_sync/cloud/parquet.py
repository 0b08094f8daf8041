"""Samples as Parquet files; the one module that speaks with pyarrow.

One row is one sample. `row` is its position in its frame, so `(gateway, boot, seq, row)` is the
identity of a sample, and a file can be checked for repetitions without asking the database.
Rows stand together by kind and tag, which makes files small and lets a reader skip parts of one.
`clock` is a `ClockSource`: whether the time is the source's, the gateway's, or one that a gateway
with a wrong clock moved afterwards or could not rely on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from cloud_sync.cloud.unpack import Piece
from gateway.core.arrays import FloatArray, IndexArray, StatusArray, TimeArray, frozen
from gateway.core.errors import StoreError
from gateway.core.frame import Frame, join_server_ns
from gateway.core.records import GatewayId, RecordKind
from gateway.core.tags import TagId

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: Final = (
    "gateway", "boot", "seq", "row", "kind", "tag", "time_ns", "server_ns", "value", "status",
    "received_ns", "clock",
)  # fmt: skip
"""Columns of every new file, in their order; older files lack `clock`, the oldest `server_ns`."""
FILE_SUFFIX: Final = ".parquet"

_ROW_GROUP_ROWS: Final = 131_072


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LakeSamples:
    """Rows of the lake as columns of equal length n, read-only, in no promised order."""

    gateways: tuple[GatewayId, ...]
    tags: tuple[TagId, ...]
    gateway_index: IndexArray
    """Position in `gateways`, shape (n,)."""
    tag_index: IndexArray
    """Position in `tags`, shape (n,)."""
    time_ns: TimeArray
    """Source time, UTC, shape (n,)."""
    value: FloatArray
    """Shape (n,); NaN only where the status is Bad."""
    status: StatusArray
    """OPC UA status codes, shape (n,)."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.tag_index)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LakeCount:
    """The books of the lake, from its files alone."""

    sample_count: int
    """Raw samples, that is samples a server offered."""
    duplicate_count: int
    """Raw samples that are there once more than once."""
    sample_count_by_tag: dict[TagId, int]
    """Raw samples of each tag."""
    samples: LakeSamples
    """The raw samples."""


def write_samples(pieces: Iterable[tuple[str, Piece]], path: Path) -> int:
    """Write the samples of frames to a file, each beside its gateway's name; return their number.

    Args:
        pieces: At least one sample in all.
        path: Written in place and not synced: give it a temporary name.
    Raises:
        OSError: the disk refuses.
    """
    import pyarrow.parquet as pq  # heavy: only the cloud has it

    table = _table_of(list(pieces))
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=_ROW_GROUP_ROWS,
        use_dictionary=["gateway", "kind", "tag", "status"],
        column_encoding={
            "boot": "DELTA_BINARY_PACKED",
            "seq": "DELTA_BINARY_PACKED",
            "row": "DELTA_BINARY_PACKED",
            "time_ns": "DELTA_BINARY_PACKED",
            "server_ns": "DELTA_BINARY_PACKED",
            "received_ns": "DELTA_BINARY_PACKED",
            "value": "BYTE_STREAM_SPLIT",
        },
    )
    return int(table.num_rows)


def read_samples(
    paths: Sequence[Path], *, kind: RecordKind, tags: Sequence[TagId] | None = None
) -> LakeSamples:
    """Return the samples of one kind in these files, of some tags or of all.

    Raises:
        StoreError: a file is missing or damaged.
    """
    columns = ["gateway", "tag", "time_ns", "value", "status"]
    return _samples_of(_read(paths, kind, columns, tags=tags))


def read_tags(paths: Sequence[Path], *, kind: RecordKind) -> frozenset[TagId]:
    """Return the tags that have samples of one kind in these files.

    Raises:
        StoreError: a file is missing or damaged.
    """
    return frozenset(map(TagId, _read(paths, kind, ["tag"])["tag"].unique().to_pylist()))


def count_in_lake(folder: Path) -> LakeCount:
    """Return the books of the lake in a folder, read back from its files, the database unasked.

    Everything is held in memory at once: about 150 bytes a sample.

    Raises:
        StoreError: a file is damaged.
    """
    paths = sorted(folder.glob(f"*{FILE_SUFFIX}"))
    identity = ["gateway", "boot", "seq", "row"]
    table = _read(paths, RecordKind.FRAME, [*identity, "tag", "time_ns", "value", "status"])
    distinct = table.group_by(identity).aggregate([]).num_rows
    samples = _samples_of(table)
    counts = np.bincount(samples.tag_index, minlength=len(samples.tags))
    return LakeCount(
        sample_count=len(samples),
        duplicate_count=len(samples) - int(distinct),
        sample_count_by_tag=dict(zip(samples.tags, counts.tolist(), strict=True)),
        samples=samples,
    )


def _table_of(pieces: Sequence[tuple[str, Piece]]) -> "pa.Table":
    import pyarrow as pa

    gateways: dict[str, int] = {}
    tags: dict[str, int] = {}
    numbers_of_table: dict[int, IndexArray] = {}
    for _, piece in pieces:
        if id(piece.table) not in numbers_of_table:
            numbers = [tags.setdefault(tag.id, len(tags)) for tag in piece.table.tags]
            numbers_of_table[id(piece.table)] = np.array(numbers, dtype=np.int32)
    frames = [piece.stored.frame for _, piece in pieces]
    counts = np.array([len(frame) for frame in frames])

    def spread(values: Iterable[int], dtype: type[np.generic]) -> NDArray[np.generic]:
        """Return one value a frame as one value a sample."""
        return np.repeat(np.array(list(values), dtype=dtype), counts)

    tag = np.concatenate(
        [
            numbers_of_table[id(piece.table)][piece.stored.frame.tag_index]
            for _, piece in pieces
        ]
    )  # fmt: skip
    gateway = spread((gateways.setdefault(name, len(gateways)) for name, _ in pieces), np.int32)
    columns = {
        "gateway": pa.DictionaryArray.from_arrays(pa.array(gateway), list(gateways)),
        "boot": spread((piece.stored.boot for _, piece in pieces), np.int64),
        "seq": spread((piece.stored.seq for _, piece in pieces), np.int64),
        "row": np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
        "kind": spread((piece.stored.kind for _, piece in pieces), np.int8),
        "tag": pa.DictionaryArray.from_arrays(pa.array(tag), list(tags)),
        "time_ns": np.concatenate([frame.time_ns for frame in frames]),
        "server_ns": _server_times(frames),
        "value": np.concatenate([frame.value for frame in frames]),
        "status": np.concatenate([frame.status for frame in frames]),
        "received_ns": spread((frame.received_ns for frame in frames), np.int64),
        "clock": spread((frame.clock for frame in frames), np.int8),
    }
    assert tuple(columns) == COLUMNS
    return pa.table(columns).take(np.lexsort((tag, columns["kind"])))


def _server_times(frames: Sequence[Frame]) -> "pa.Array":
    """Return the server's time of each sample, null where it gave none."""
    import pyarrow as pa

    server_ns = join_server_ns(frames)
    if server_ns is None:
        return pa.nulls(sum(map(len, frames)), pa.int64())
    return pa.array(server_ns, mask=server_ns == 0)


def _read(
    paths: Sequence[Path],
    kind: RecordKind,
    columns: list[str],
    *,
    tags: Sequence[TagId] | None = None,
) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    filters: list[tuple[str, str, object]] = [("kind", "==", int(kind))]
    if tags is not None:
        filters.append(("tag", "in", list(tags)))
    try:
        tables = [
            # One thread: whoever reads must leave the machine to ingest.
            pq.read_table(
                path,
                columns=columns,
                filters=filters,
                read_dictionary=["gateway", "tag"],
                use_threads=False,
            )
            for path in paths
        ]
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"the lake cannot be read: {error}") from error
    if not tables:
        return _empty_table().select(columns)
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _empty_table() -> "pa.Table":
    import pyarrow as pa

    name, integer = pa.dictionary(pa.int32(), pa.string()), pa.int64()
    types = (name, integer, integer, pa.int32(), pa.int8(), name, integer, integer, pa.float64(),
             pa.uint32(), integer, pa.int8())  # fmt: skip
    return pa.schema(list(zip(COLUMNS, types, strict=True))).empty_table()


def _samples_of(table: "pa.Table") -> LakeSamples:
    gateways, gateway_index = _names_of(table["gateway"])
    tags, tag_index = _names_of(table["tag"])
    return LakeSamples(
        gateways=tuple(map(GatewayId, gateways)),
        tags=tuple(map(TagId, tags)),
        gateway_index=gateway_index,
        tag_index=tag_index,
        time_ns=frozen(np.array(table["time_ns"], dtype=np.int64)),
        value=frozen(np.array(table["value"], dtype=np.float64)),
        status=frozen(np.array(table["status"], dtype=np.uint32)),
    )


def _names_of(column: "pa.ChunkedArray") -> tuple[list[str], IndexArray]:
    """Return the different names in a dictionary column, and the position of each row's name."""
    if column.num_chunks == 0:
        return [], frozen(np.zeros(0, dtype=np.int32))
    [chunk] = column.chunks
    return chunk.dictionary.to_pylist(), frozen(np.array(chunk.indices, dtype=np.int32))
