"""The tag tables in the database: each stands by its epoch, and once more in a TAGS record."""

import sqlite3
from contextlib import suppress

import structlog

from gateway.core.errors import CorruptRecordError
from gateway.core.records import RecordKind
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.store.bodies import Bodies, epoch_place, record_place
from gateway.wire.documents import decode_tags

log = structlog.get_logger()


def read_table(bodies: Bodies, epoch: int, stored: bytes) -> TagTable | None:
    """Return a tag table; None when it is damaged, or of another epoch."""
    try:
        table = decode_tags(bodies.get(stored, place=epoch_place(epoch)))
    except CorruptRecordError:
        return None
    return table if table.epoch == epoch else None


def has_table(connection: sqlite3.Connection, epoch: ConfigEpoch) -> bool:
    """Return whether the tag table of an epoch is there."""
    row = connection.execute("SELECT 1 FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
    return row is not None


def mend_tables(connection: sqlite3.Connection, bodies: Bodies) -> None:
    """Replace tag tables that are damaged or lost by the records that tell of them.

    One that no sound record tells of is taken out: its frames cannot be named any more.
    """
    tables = connection.execute("SELECT epoch, body FROM epoch").fetchall()
    damaged = [epoch for epoch, body in tables if read_table(bodies, epoch, body) is None]
    if tables and not damaged:
        return
    for epoch in damaged:
        connection.execute("DELETE FROM epoch WHERE epoch = ?", (epoch,))
        log.error("tag_table_damaged", epoch=epoch, stage="processing")
    rows = connection.execute(
        "SELECT seq, body FROM record WHERE kind = ?", (int(RecordKind.TAGS),)
    ).fetchall()
    for seq, stored in rows:
        with suppress(CorruptRecordError):  # whoever reads the record will tell
            body = bodies.get(stored, place=record_place(seq))
            epoch = decode_tags(body).epoch
            connection.execute(
                "INSERT OR IGNORE INTO epoch VALUES (?, ?, ?)",
                (epoch, seq, bodies.put(body, place=epoch_place(epoch))),
            )
