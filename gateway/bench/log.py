"""What the record log costs a sample, beside a row for each sample in SQLite.

Both take a day of twenty slow signals at 1 Hz, keep quality and time with each value, and are as
durable (`synchronous = FULL`). The log commits by its defaults, once a second or 256 KiB; SQLite
once for 100,000 samples. The log writes in a thread of its own, so it is the process's time.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from gateway.bench.figures import Figure, best_ms
from gateway.core.frame import Frame
from gateway.core.ports import Clock
from gateway.core.records import GatewayId, RecordKind
from gateway.core.tags import Tag, TagId, TagTable
from gateway.store import LogReader, LogSettings, RecordLog
from gateway.wire.frames import draft_frame

TAG_COUNT: Final = 20
SCANS_PER_FRAME: Final = 50
"""So that a frame holds a thousand samples."""
FRAMES_PER_COMMIT: Final = 100
DAY_S: Final = 86_400
RESOLUTION_DIGITS: Final = 1
NS_PER_S: Final = 1_000_000_000
SEALING: Final = LogSettings(seal_after_s=0.0, block_s=0.0, ballast_bytes=0)
BYTES_BUDGET: Final = 2.5
TREND_MS_BUDGET: Final = 100.0

_TAGS: Final = tuple(TagId(f"mill.T{number}") for number in range(TAG_COUNT))
_WATCHED: Final = 7


async def measure_log(folder: Path, clock: Clock, *, duration_s: int = DAY_S) -> list[Figure]:
    """Return what storing and reading cost; writes into an empty folder.

    Args:
        folder: On the disk that is to be measured.
        clock: The time.
        duration_s: Of the recording that is stored.
    """
    start_ns = clock.now_ns() // NS_PER_S * NS_PER_S - duration_s * NS_PER_S
    count = duration_s // SCANS_PER_FRAME * SCANS_PER_FRAME * TAG_COUNT
    log = RecordLog.open(folder / "log.db", SEALING, gateway=GatewayId("bench"), clock=clock)
    table = log.intern(Tag(id=tag) for tag in _TAGS)
    frames = list(slow_frames(table, start_ns=start_ns, duration_s=duration_s))
    begun_ns = time.process_time_ns()
    for frame in frames:
        ticket = log.append([draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)])
        await log.room()
    await log.durable(ticket)
    stored_ns = time.process_time_ns()
    await log.tidy()
    sealed_ns = time.process_time_ns()
    used_bytes = (await log.stats()).used_bytes
    await log.close()
    span = (start_ns, start_ns + duration_s * NS_PER_S)
    plain = PlainLog(folder / "plain.db")
    with closing(plain):
        plain_us = plain.store(frames)
        plain_ms = plain.trend_ms(*span)
        plain_bytes = plain.size_bytes
    return [
        Figure(
            name="encode, append, commit",
            value=(stored_ns - begun_ns) / count / 1e3,
            unit="µs a sample",
            plain=plain_us,
        ),
        Figure(
            name="seal into blocks, later",
            value=(sealed_ns - stored_ns) / count / 1e3,
            unit="µs a sample",
        ),
        Figure(
            name="on disk, slow signals, sealed",
            value=used_bytes / count,
            unit="bytes a sample",
            plain=plain_bytes / count,
            budget=BYTES_BUDGET,
        ),
        Figure(
            name=f"trend of one tag, {duration_s / 3600:.0f} h at 1 Hz",
            value=_trend_ms(LogReader(folder / "log.db"), *span),
            unit="ms",
            plain=plain_ms,
            budget=TREND_MS_BUDGET,
        ),
    ]


def slow_frames(table: TagTable, *, start_ns: int, duration_s: int) -> Iterator[Frame]:
    """Yield frames of random walks with one decimal, as slow instruments give them."""
    walk = np.random.default_rng(11).normal(0, 0.3, (duration_s, TAG_COUNT)).cumsum(axis=0)
    value = np.round(200 + walk, RESOLUTION_DIGITS)
    tag_index = np.tile(table.indices(_TAGS), SCANS_PER_FRAME)
    for begin in range(0, duration_s - SCANS_PER_FRAME + 1, SCANS_PER_FRAME):
        seconds = np.arange(begin, begin + SCANS_PER_FRAME, dtype=np.int64)
        yield Frame(
            tag_index=tag_index,
            time_ns=start_ns + np.repeat(seconds, TAG_COUNT) * NS_PER_S,
            value=value[begin : begin + SCANS_PER_FRAME].ravel(),
            status=np.zeros(len(tag_index), dtype=np.uint32),
            received_ns=start_ns + int(seconds[-1]) * NS_PER_S,
        )


class PlainLog:
    """A row for each sample in SQLite, by tag and time; as durable as the log."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file."""
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE sample (tag INTEGER, time_ns INTEGER, value REAL, status INTEGER,"
            " PRIMARY KEY (tag, time_ns)) WITHOUT ROWID"
        )

    def store(self, frames: list[Frame]) -> float:
        """Store the frames; returns the processor time for a sample, in microseconds."""
        begun_ns = time.process_time_ns()
        for begin in range(0, len(frames), FRAMES_PER_COMMIT):
            self._connection.execute("BEGIN")
            for frame in frames[begin : begin + FRAMES_PER_COMMIT]:
                columns = (frame.tag_index, frame.time_ns, frame.value, frame.status)
                rows = zip(*(column.tolist() for column in columns), strict=True)
                self._connection.executemany("INSERT INTO sample VALUES (?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        count = sum(len(frame) for frame in frames)
        return (time.process_time_ns() - begun_ns) / count / 1e3

    def trend_ms(self, from_ns: int, to_ns: int) -> float:
        """Return the processor time for one tag's samples in a span, as arrays."""
        query = (
            "SELECT time_ns, value, status FROM sample"
            " WHERE tag = ? AND time_ns >= ? AND time_ns < ? ORDER BY time_ns"
        )

        def read() -> None:
            rows = self._connection.execute(query, (_WATCHED, from_ns, to_ns)).fetchall()
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


def _trend_ms(reader: LogReader, from_ns: int, to_ns: int) -> float:
    def read() -> None:
        (trend,) = reader.frames([_TAGS[_WATCHED]], from_ns=from_ns, to_ns=to_ns)
        assert len(trend.value)

    return best_ms(read)
