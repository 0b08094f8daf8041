"""Which keys the bodies of a log are encrypted with, and whether we have them.

A body that cannot be read is a damaged one: it is dropped and entered into the ledger. So that a
missing key never looks like damage, the table `log_key` has the fingerprint of every key that the
log was written with, and the position up to which it was. Nothing of a log is read before they
are compared. An earlier key is forgotten when no record that it can have been used for is left.
"""

import sqlite3
from pathlib import Path

from gateway.core.errors import CorruptRecordError, StoreError
from gateway.store.bodies import Bodies, checkpoint_place, epoch_place
from gateway.store.database import LogDatabase

_FORMAT_WITH_KEYS = 2


def check_keys(connection: sqlite3.Connection, bodies: Bodies, *, path: Path) -> None:
    """Return if every key that something in a log is encrypted with is there.

    Raises:
        StoreError: one is missing.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < _FORMAT_WITH_KEYS:
        return
    missing = [
        fingerprint
        for fingerprint, last_seq in connection.execute("SELECT * FROM log_key")
        if fingerprint not in bodies.fingerprints and _is_needed(connection, last_seq)
    ]
    if not missing:
        return
    names = ", ".join(each.hex() for each in missing)
    if not bodies.fingerprints:
        raise StoreError(
            f"{path} is encrypted, and no key is given: name it under [log.encryption]"
            f" (fingerprint of the key: {names})"
        )
    given = ", ".join(each.hex() for each in bodies.fingerprints)
    raise StoreError(
        f"{path} was encrypted with another key: put the key back, or name it among"
        " log.encryption.previous_key_files; nothing was changed"
        f" (fingerprints needed: {names}; given: {given})"
    )


def take_keys(database: LogDatabase) -> None:
    """Note the keys of the one who writes from now on; call `check_keys` before.

    With a new key, the tag tables and the checkpoint, which are few and stay, are made anew: the
    records become readable by the new key alone as the old ones go.

    Raises:
        sqlite3.Error: the disk refuses; nothing was changed.
    """
    known = dict(database.connection.execute("SELECT * FROM log_key"))
    current = database.bodies.fingerprints[:1]
    is_new = any(known.get(each, 0) is not None for each in current)
    gone = [
        (fingerprint,)
        for fingerprint, last_seq in known.items()
        if fingerprint not in current and not _is_needed(database.connection, last_seq)
    ]
    if not is_new and not gone:
        return
    with database.transaction():
        database.connection.executemany("DELETE FROM log_key WHERE fingerprint = ?", gone)
        if is_new:
            database.connection.execute(
                "UPDATE log_key SET last_seq = ? WHERE last_seq IS NULL", (database.last_seq,)
            )
            database.connection.execute("INSERT OR REPLACE INTO log_key VALUES (?, NULL)", current)
            _renew(database)


def _is_needed(connection: sqlite3.Connection, last_seq: int | None) -> bool:
    """Return whether something may be left that was encrypted up to a position."""
    if last_seq is None:
        return True
    row = connection.execute("SELECT 1 FROM record WHERE seq <= ? LIMIT 1", (last_seq,)).fetchone()
    return row is not None


def _renew(database: LogDatabase) -> None:
    """Store the tag tables and the checkpoint again, with the newest key."""
    epochs = database.connection.execute("SELECT epoch, body FROM epoch").fetchall()
    database.connection.executemany(
        "UPDATE epoch SET body = ? WHERE epoch = ?",
        [
            (_renewed(database.bodies, stored, place=epoch_place(epoch)), epoch)
            for epoch, stored in epochs
        ],
    )
    parts = database.connection.execute("SELECT name, body FROM checkpoint").fetchall()
    database.connection.executemany(
        "UPDATE checkpoint SET body = ? WHERE name = ?",
        [
            (_renewed(database.bodies, stored, place=checkpoint_place(name)), name)
            for name, stored in parts
        ],
    )


def _renewed(bodies: Bodies, stored: bytes, *, place: str) -> bytes:
    try:
        return bodies.put(bodies.get(stored, place=place), place=place)
    except CorruptRecordError:
        return stored  # as it is, for whoever reads it to say so
