"""Readers never block the writer, and the write-ahead log stays small, or it is said why not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from gateway.core.records import Draft, RecordKind
from gateway.store import RecordLog
from gateway.store.wal import WAL_SIZE_BYTES_MAX
from gateway.wire.body import close_body
from tests.gateway.store_cases import QUICK, TAGS, frame_draft, open_log, until

MIB = 1024 * 1024
WAL_SIZE_BYTES = 8 * MIB
"""What it stays below with our own readers: SQLite's 1000 pages, and the largest commit."""
SLOW_READER = """
import sys, time
from pathlib import Path
from gateway.store import LogReader
print("ready", flush=True)
while True:
    for record in LogReader(Path(sys.argv[1])).records():
        time.sleep(0.001)
"""
FOREIGN_READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
print("ready", connection.execute("SELECT count(*) FROM record").fetchone(), flush=True)
sys.stdin.read()
"""


@contextmanager
def reader(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process read the log until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        try:
            yield process
        finally:
            process.kill()


async def write(log: RecordLog, size_bytes: int) -> int:
    """Commit about so many bytes; returns the largest write-ahead log seen meanwhile."""
    largest = 0
    for _ in range(size_bytes // 100_000):
        body = close_body(os.urandom(100_000), version=1)
        await log.durable(log.append([Draft(kind=RecordKind.EVENT, body=body, is_urgent=True)]))
        largest = max(largest, wal_size_bytes(log.path))
    return largest


def wal_size_bytes(path: Path) -> int:
    return path.with_name("log.db-wal").stat().st_size


async def test_a_slow_reader_of_ours_does_not_grow_the_wal(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    table = log.intern(TAGS)
    await log.durable(log.append([frame_draft(number, table) for number in range(500)]))
    with reader(SLOW_READER, log.path):
        assert await write(log, 40 * MIB) <= WAL_SIZE_BYTES
    await log.close()


async def test_a_reader_that_does_not_let_go_is_told_of_and_stops_nothing(tmp_path: Path) -> None:
    """The writer goes on; when the reader is gone the file is cut, and that is told as well."""
    with structlog.testing.capture_logs() as told:
        log = open_log(tmp_path / "log.db", QUICK)
        log.intern(TAGS)
        with reader(FOREIGN_READER, log.path):
            assert await write(log, WAL_SIZE_BYTES_MAX + 4 * MIB) > WAL_SIZE_BYTES_MAX
            await until(lambda: "log_wal_grows" in [line["event"] for line in told])
            await write(log, MIB)
        await until(lambda: wal_size_bytes(log.path) < MIB)
        await until(lambda: "log_wal_back" in [line["event"] for line in told])
        [warning] = [line for line in told if line["event"] == "log_wal_grows"]
        assert warning["size_bytes"] > WAL_SIZE_BYTES_MAX
        assert "fuser" in warning["remedy"]
        await log.close()
