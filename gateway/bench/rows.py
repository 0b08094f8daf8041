"""The plain way of storing samples: a row for each in SQLite, by tag and time."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from gateway.bench.figures import best_ms
from gateway.core.frame import Frame

SAMPLES_PER_COMMIT: Final = 100_000


class PlainLog:
    """A row for each sample in SQLite, by tag and time; as durable as the log."""

    def __init__(self, path: Path) -> None:
        """Begin a file, or go on with one."""
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS sample"
            " (tag INTEGER, time_ns INTEGER, value REAL, status INTEGER,"
            " PRIMARY KEY (tag, time_ns)) WITHOUT ROWID"
        )

    def store(self, frames: Sequence[Frame]) -> float:
        """Store the frames; returns the time that it took, in seconds."""
        begun_s = time.monotonic()
        waiting = 0
        self._connection.execute("BEGIN")
        for frame in frames:
            columns = (frame.tag_index, frame.time_ns, frame.value, frame.status)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            self._connection.executemany("INSERT INTO sample VALUES (?, ?, ?, ?)", rows)
            waiting += len(frame)
            if waiting >= SAMPLES_PER_COMMIT:
                self._connection.execute("COMMIT")
                self._connection.execute("BEGIN")
                waiting = 0
        self._connection.execute("COMMIT")
        return time.monotonic() - begun_s

    def trend_ms(self, tag: int, from_ns: int, to_ns: int) -> float:
        """Return the processor time for one tag's samples in a span, as arrays."""
        query = (
            "SELECT time_ns, value, status FROM sample"
            " WHERE tag = ? AND time_ns >= ? AND time_ns < ? ORDER BY time_ns"
        )

        def read() -> None:
            rows = self._connection.execute(query, (tag, from_ns, to_ns)).fetchall()
            assert len(np.array(rows, dtype=np.float64))

        return best_ms(read)

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        return int(pages * size)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
