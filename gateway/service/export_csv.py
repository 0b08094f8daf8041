"""Rows of an export as CSV: a header, then one line a sample.

Times are ISO 8601 in UTC with nanoseconds. A value has as many digits as it takes to read back the
same bits, and none where it is Bad; a status is the OPC UA code, as `0x80310000`.
"""

import csv
import io
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from gateway.core.arrays import TimeArray
from gateway.core.quality import is_bad, quality_of
from gateway.core.tags import Tag
from gateway.service.export import COLUMNS, KIND_NAMES, QUALITY_NAMES
from gateway.store.slices import Slice

_ROWS_AT_ONCE = 10_000
"""A row takes a kilobyte of memory while its text is made."""


class CsvSink:
    """Implements `RowSink` with a CSV file."""

    def __init__(self, file: BinaryIO, tags: Sequence[Tag]) -> None:
        """Write the header.

        Args:
            file: It is not closed.
            tags: What the rows' positions mean.
        """
        self._file = file
        self._tags = tags
        file.write((",".join(COLUMNS) + "\n").encode())

    def write(self, rows: Slice) -> None:
        """Write a line for each row."""
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            self._write(rows.part(begin, begin + _ROWS_AT_ONCE))

    def close(self) -> None:
        """There is nothing behind the last line."""

    def _write(self, rows: Slice) -> None:
        places = rows.tag_index.tolist()
        tags = [self._tags[place] for place in places]
        has_value = ~(is_bad(rows.status) | np.isnan(rows.value))
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(
            zip(
                _iso(rows.time_ns),
                [tag.id for tag in tags],
                # `csv` writes floats as `repr` does, which reads back the same bits.
                [
                    value if is_there else ""
                    for value, is_there in zip(rows.value.tolist(), has_value.tolist(), strict=True)
                ],
                [tag.unit for tag in tags],
                map(QUALITY_NAMES.__getitem__, quality_of(rows.status).tolist()),
                [f"0x{code:08x}" for code in rows.status.tolist()],
                [
                    time if is_there else ""
                    for time, is_there in zip(
                        _iso(rows.server_ns), rows.server_ns.tolist(), strict=True
                    )
                ],
                map(KIND_NAMES.__getitem__, rows.kind.tolist()),
                strict=True,
            )
        )
        self._file.write(text.getvalue().encode())


def _iso(time_ns: TimeArray) -> list[str]:
    """Return times as ISO 8601 in UTC."""
    texts: list[str] = np.datetime_as_string(
        time_ns.view("datetime64[ns]"), unit="ns", timezone="UTC"
    ).tolist()
    return texts
