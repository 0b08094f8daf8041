"""Rows of an export as Parquet, through pyarrow: the columns of the CSV, with types.

Times are timestamps in UTC with nanoseconds; a Bad value and a time that is not known are null; a
status is the OPC UA code as a number.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gateway.core.errors import ConfigError
from gateway.core.quality import is_bad, quality_of
from gateway.core.tags import Tag
from gateway.service.export import COLUMNS, KIND_NAMES, QUALITY_NAMES
from gateway.store.slices import Slice

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetSink:
    """Implements `RowSink` with a Parquet file; a row group a slice."""

    def __init__(self, file: BinaryIO, tags: Sequence[Tag]) -> None:
        """Begin the file.

        Args:
            file: It is not closed, and need not be able to seek.
            tags: What the rows' positions mean.
        Raises:
            ConfigError: pyarrow is not installed.
        """
        # Here and not at the top: a gateway does without it.
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ModuleNotFoundError as error:
            raise ConfigError(
                "--format parquet needs pyarrow: install edgewright[train], or take --format csv"
            ) from error
        name, time = pa.dictionary(pa.int32(), pa.string()), pa.timestamp("ns", tz="UTC")
        types = (time, name, pa.float64(), name, name, pa.uint32(), time, name)
        self._schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
        self._ids = [tag.id for tag in tags]
        self._units = [tag.unit for tag in tags]
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Slice) -> None:
        """Write a row group."""
        import pyarrow as pa

        units = sorted(set(self._units))
        place_of_unit = np.array([units.index(unit) for unit in self._units], dtype=np.int32)
        columns = (
            pa.array(rows.time_ns.view("datetime64[ns]")).cast(self._schema.field("time").type),
            _named(rows.tag_index, self._ids),
            pa.array(rows.value, mask=is_bad(rows.status) | np.isnan(rows.value)),
            _named(place_of_unit[rows.tag_index], units),
            _named(quality_of(rows.status), list(QUALITY_NAMES.values())),
            pa.array(rows.status),
            pa.array(rows.server_ns, mask=rows.server_ns == 0).cast(
                self._schema.field("server_time").type
            ),
            _named(_positions(rows.kind), list(KIND_NAMES.values())),
        )
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        """Write what stands behind the last row; without it the file is none."""
        self._writer.close()


def _positions(kinds: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return where the name of each kind stands."""
    place = {int(kind): number for number, kind in enumerate(KIND_NAMES)}
    return np.array([place[kind] for kind in kinds.tolist()], dtype=np.int32)


def _named(places: NDArray[np.integer], names: Sequence[str]) -> "pa.DictionaryArray":
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(
        pa.array(places.astype(np.int32)), pa.array(names, pa.string())
    )
