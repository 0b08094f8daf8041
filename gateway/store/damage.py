"""Damage: how it is told that a file is no sound database."""

import sqlite3


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
