"""The cloud's database: what an earlier release wrote is taken over."""

import sqlite3
from contextlib import closing
from pathlib import Path

from cloud_sync.cloud.database import SCHEMA_VERSION, open_database
from cloud_sync.cloud.journal import read_losses


async def test_a_database_of_schema_1_keeps_its_ledger(tmp_path: Path) -> None:
    """Its entries have no error, as they were of nothing thinned; new ones may have one."""
    path = tmp_path / "cloud.db"
    await (await open_database(path)).aclose()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "ALTER TABLE ledger DROP COLUMN error_percent;"
            "INSERT INTO ledger VALUES ('g', 1, 2, 'retention', '*', 3, 4, 5, '[]');"
            "PRAGMA user_version = 1;"
        )
    database = await open_database(path)
    try:
        losses = await database.transact(
            lambda connection: read_losses(connection, gateway=None, limit=10)
        )
    finally:
        await database.aclose()
    (entry,) = losses.entries
    assert (entry.count, entry.error_percent) == (5, None)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
