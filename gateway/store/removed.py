"""Raw samples taken out of the middle of the log, so that it still knows how many are there.

Every record has the total of raw samples up to it, so the difference of two totals tells how many
lie between them, without reading these. What was taken out in between stands in `removed`, until
nothing older is left. `thinned` says to which error blocks were thinned, tried and done.
"""

import sqlite3
from collections.abc import Sequence

from gateway.core.records import Seq

REMOVED_SCHEMA = """
CREATE TABLE removed (seq INTEGER PRIMARY KEY, raw_count INTEGER NOT NULL) STRICT;
CREATE TABLE thinned (
    seq INTEGER PRIMARY KEY, tried_percent REAL NOT NULL, missed_percent REAL NOT NULL
) STRICT;
"""


def note_removed(connection: sqlite3.Connection, counts: Sequence[tuple[Seq, int]]) -> None:
    """Note how many raw samples were taken out at positions; inside a transaction."""
    connection.executemany(
        "INSERT INTO removed VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET raw_count = raw_count + excluded.raw_count",
        counts,
    )
    oldest = connection.execute("SELECT min(seq) FROM record").fetchone()
    connection.execute("DELETE FROM removed WHERE seq < ?", oldest)
    connection.execute("DELETE FROM thinned WHERE seq < ?", oldest)


def removed_count(connection: sqlite3.Connection, first: int, last: int) -> int:
    """Return the raw samples taken out of a stretch, both ends included."""
    (count,) = connection.execute(
        "SELECT total(raw_count) FROM removed WHERE seq BETWEEN ? AND ?", (first, last)
    ).fetchone()
    return int(count)
