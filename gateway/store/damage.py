"""Damage: how it is told that a file is no sound database."""

import sqlite3
from collections.abc import Iterable, Iterator

from gateway.core.records import RecordKind, Seq

RecordRow = tuple[int, int, int, int, bytes]
"""Seq, first_seq, boot, kind and body of a record, as they lie."""

_KINDS = frozenset(RecordKind)


def damage(text: str) -> sqlite3.DatabaseError:
    """Return an error that says that the file itself is no sound database."""
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"
    return error


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file itself is no sound database."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # Python's own: a text in the file is none.
        return str(error).startswith("Could not decode")
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_sound(connection: sqlite3.Connection) -> bool:
    """Read the whole file and return whether its structure holds together."""
    try:
        (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise
    return bool(answer == "ok")


def in_order(rows: Iterable[RecordRow], after: Seq) -> Iterator[RecordRow]:
    """Yield rows as they come, as long as each can be the next one of a log.

    Raises:
        sqlite3.DatabaseError: one cannot: a page is damaged in a way that SQLite did not notice.
    """
    last = 0
    for row in rows:
        seq, first_seq, boot, kind, body = row
        is_sound = (
            all(isinstance(number, int) for number in (seq, first_seq, boot))
            and isinstance(body, bytes)
            and kind in _KINDS
            and last < first_seq <= seq > after
        )
        if not is_sound:
            raise damage(f"what stands behind {max(last, after)} is no record")
        last = seq
        yield row
