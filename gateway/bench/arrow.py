"""What the benchmarks ask of Apache Arrow: the size of columns, the columns of Parquet files."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import FloatArray
from gateway.core.frame import Frame

if TYPE_CHECKING:
    import pyarrow as pa

MISSING: Final = (
    "pyarrow is not installed (it comes with `edgewright[train]`):"
    " nothing is compared with Arrow, and Parquet files are left out"
)


def has_arrow() -> bool:
    """Return whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def ipc_size_bytes(frame: Frame) -> int:
    """Return the size of a frame's samples as one Arrow IPC stream, compressed with zstd.

    Columns: tag_index int32, time_ns int64, value float64, status uint32; one record batch, the
    library's own compression level.
    """
    import pyarrow as pa  # here: heavy, and not everybody has it
    from pyarrow import ipc

    batch = pa.record_batch(
        [
            pa.array(column)
            for column in (frame.tag_index, frame.time_ns, frame.value, frame.status)
        ],
        names=["tag_index", "time_ns", "value", "status"],
    )
    sink = pa.BufferOutputStream()
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return int(sink.getvalue().size)


def parquet_values(path: Path, *, rows_max: int, without: frozenset[str]) -> FloatArray:
    """Return the numeric columns of a Parquet file, shape (n, m); nulls are NaN.

    Args:
        path: Of the file.
        rows_max: Of its beginning.
        without: Names of columns to leave out, in lower case.
    Raises:
        OSError: it cannot be read.
        ValueError: it is no Parquet file.
    """
    import pyarrow.parquet as pq  # here: see above

    with pq.ParquetFile(path) as file:
        fields = [field for field in file.schema_arrow if field.name.lower() not in without]
        names = [field.name for field in fields if _is_numeric(field.type)]
        for batch in file.iter_batches(batch_size=rows_max, columns=names):
            columns = [_float_column(batch.column(name)) for name in names]
            return np.column_stack(columns) if columns else np.zeros((len(batch), 0))
    return np.zeros((0, len(names)))


def _is_numeric(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _float_column(column: "pa.Array") -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
