"""The cloud's database: one SQLite file, one thread that touches it, whole transactions.

A transaction is on disk (`synchronous=FULL`) when `transact` returns, or it has left no trace.
The inbox holds acknowledged batches, as they came, until the lake has their samples in a file that
is registered here in the same transaction that empties the inbox: at any instant a sample that was
acknowledged is in the inbox or in a registered file, and never in both.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from gateway.core.errors import StoreError

T = TypeVar("T")

SCHEMA_VERSION: Final = 2

_SCHEMA: Final = """
CREATE TABLE gateways (
    gateway TEXT PRIMARY KEY,
    record_count INTEGER NOT NULL,
    sample_count INTEGER NOT NULL,
    duplicate_count INTEGER NOT NULL,
    loss_count INTEGER NOT NULL,
    gap_count INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    last_received_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE seen (
    gateway TEXT NOT NULL, boot INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (gateway, boot, first)
) WITHOUT ROWID;
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_ns INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    known TEXT NOT NULL,
    is_spoilt INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL
);
CREATE TABLE inbox_level (
    batch_count INTEGER NOT NULL, row_count INTEGER NOT NULL, size_bytes INTEGER NOT NULL
);
INSERT INTO inbox_level VALUES (0, 0, 0);
CREATE TRIGGER inbox_rises AFTER INSERT ON inbox BEGIN
    UPDATE inbox_level SET batch_count = batch_count + 1,
        row_count = row_count + NEW.row_count, size_bytes = size_bytes + NEW.size_bytes;
END;
CREATE TRIGGER inbox_falls AFTER DELETE ON inbox BEGIN
    UPDATE inbox_level SET batch_count = batch_count - 1,
        row_count = row_count - OLD.row_count, size_bytes = size_bytes - OLD.size_bytes;
END;
CREATE TABLE files (
    name TEXT PRIMARY KEY, row_count INTEGER NOT NULL, size_bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE events (
    gateway TEXT NOT NULL, id TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    time_ns INTEGER NOT NULL, source TEXT NOT NULL, condition TEXT NOT NULL,
    severity INTEGER NOT NULL, transition TEXT NOT NULL, onset_ns INTEGER,
    operator TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (gateway, id)
) WITHOUT ROWID;
CREATE INDEX events_by_time ON events (time_ns);
CREATE TABLE ledger (
    gateway TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    reason TEXT NOT NULL, source TEXT NOT NULL, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL,
    count INTEGER, tags TEXT NOT NULL, error_percent REAL,
    PRIMARY KEY (gateway, boot, seq)
) WITHOUT ROWID;
CREATE TABLE commands (
    gateway TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    id TEXT NOT NULL, tag TEXT NOT NULL, value REAL, origin TEXT NOT NULL,
    operator TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (gateway, boot, seq)
) WITHOUT ROWID;
CREATE TABLE retrain_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL, started_ns INTEGER NOT NULL, duration_s REAL NOT NULL,
    outcome TEXT NOT NULL, text TEXT NOT NULL, incumbent TEXT NOT NULL, released TEXT,
    figures TEXT NOT NULL
);
"""
_FROM_1: Final = "ALTER TABLE ledger ADD COLUMN error_percent REAL;"
"""What schema 2 has beside schema 1."""


class Database:
    """The connection and its thread; open it with `open_database`."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        """Take over a connection that was made on the thread."""
        self._connection = connection
        self._thread = thread

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in one transaction on the database's thread, and commit it.

        When the caller is cancelled the transaction still ends whole, one way or the other.

        Raises:
            StoreError: the disk or the file refuses; nothing of it was committed.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, work)

    async def aclose(self) -> None:
        """Finish the work that is waiting and close the file."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"the database refuses: {error}") from error
        finally:
            # Left open only when something was raised; SQLite itself rolls back after some errors.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return result


async def open_database(path: Path) -> Database:
    """Open the database, made new where there is none.

    Raises:
        StoreError: it cannot be opened, is damaged, or was written by a newer release.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="database")
    loop = asyncio.get_running_loop()
    try:
        connection = await loop.run_in_executor(thread, _connect, path)
    except sqlite3.Error as error:
        thread.shutdown()
        raise StoreError(f"{path}: the database cannot be opened: {error}") from error
    except StoreError:
        thread.shutdown()
        raise
    return Database(connection, thread)


def _connect(path: Path) -> sqlite3.Connection:
    # Closing may happen on another thread than opening when the loop is torn down early.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreError(f"{path} was written by a newer release (schema {version})")
    if version == 1:
        connection.executescript(f"BEGIN IMMEDIATE; {_FROM_1} PRAGMA user_version = 2; COMMIT;")
    if version == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    return connection
