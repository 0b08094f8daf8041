"""The tables of the log.

    record      seq · first_seq · boot · kind · counts · times · body
                A BLOCK stands at its last seq and covers the range from `first_seq`; no other
                record lies in that range. `raw_total` counts the raw samples of all records up to
                and with this one, dropped ones included, so that the samples between two
                positions are a difference.
    cursor      how far a named reader got, and in `hole` the spans that it left for later
    checkpoint  named parts of one state, all as of one seq
    epoch       the tag tables, kept also when their TAGS records are dropped
    ledgered    entries and samples of the ledger so far, by reason
    doubt       where times begin that the clock cannot be relied on for (`rebasing.py`)
    shift       by how much times are to be moved, and how far that got
    state       boot, clean stop, sealed_seq and the like
    log_key     fingerprints of the keys that bodies are encrypted with; see `keys.py`

What no body covers has sums of its own: each value of `state`, the checkpoint with its position,
and the cursors together, in a row without a name.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.core.errors import StoreError
from gateway.store.damage import damage
from gateway.store.doubt import DOUBT_SCHEMA
from gateway.store.removed import REMOVED_SCHEMA

FORMAT = 2
"""Of the tables; in SQLite's `user_version`."""
APPLICATION_ID = 0x4564_6757
"""Marks the file as a record log; in SQLite's header."""
_WAL_SIZE_BYTES = 16 * 1024 * 1024

_SCHEMA = """
CREATE TABLE record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, first_seq INTEGER NOT NULL, boot INTEGER NOT NULL,
    kind INTEGER NOT NULL, raw_count INTEGER NOT NULL, sample_count INTEGER NOT NULL,
    raw_total INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
    stored_ns INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX block_by_time ON record (last_ns, first_ns) WHERE kind = 7;
CREATE TABLE cursor (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (
    name TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE ledgered (
    reason TEXT PRIMARY KEY, entry_count INTEGER NOT NULL, sample_count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
"""
_SCHEMA_2 = """
CREATE INDEX note_by_seq ON record (seq) WHERE kind NOT IN (1, 2, 7, 8);
CREATE TABLE hole (
    name TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (name, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE log_key (fingerprint BLOB PRIMARY KEY, last_seq INTEGER) STRICT, WITHOUT ROWID;
"""
_NEW_IN_2 = _SCHEMA_2 + DOUBT_SCHEMA + REMOVED_SCHEMA
"""What format 2 has beside format 1."""


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, if there are none, and set how the connection writes.

    Raises:
        sqlite3.Error: it is damaged, or the disk refuses; see `is_damage`.
        StoreError: it is of another version or not a record log.
    """
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except (sqlite3.OperationalError, UnicodeDecodeError) as error:
        # Nothing is wrong with these words, so it is the head of the file.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR:
            raise damage(f"{path}: {error}") from error
        raise
    if tables and (application != APPLICATION_ID or not 0 < version <= FORMAT):
        raise StoreError(
            f"{path} is not a record log of format {FORMAT} (application {application:#x}, format"
            f" {version}): use the release that wrote it, or move it away"
        )
    if tables and not _schema_of(version) <= _schema_in(connection):
        raise damage(f"{path} lacks tables of a record log")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_SIZE_BYTES}")
    if version < FORMAT:
        schema = ("" if tables else _SCHEMA) + _NEW_IN_2
        connection.executescript(
            f"BEGIN IMMEDIATE; {schema} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {FORMAT}; COMMIT;"
        )


def _schema_in(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT sql FROM sqlite_schema") if row[0]}


def _schema_of(version: int) -> set[str]:
    """Return what a sound log of a format has at least."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA if version == 1 else _SCHEMA + _NEW_IN_2)
        return _schema_in(connection)
