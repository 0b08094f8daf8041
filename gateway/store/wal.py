"""The write-ahead log's size: SQLite begins it anew by itself, unless a reader stands in the way.

Our readers keep no transaction open (`reader.py`), so it stays below the size at which SQLite
moves it into the database, 4 MiB, and one transaction. A foreign one, such as a shell left open on
the log, holds it: then it grows with every commit, until the disk is full.
"""

import structlog

from gateway.store.database import BUSY_TIMEOUT_S, LogDatabase
from gateway.store.files import LogFiles

log = structlog.get_logger()

WAL_SIZE_BYTES_MAX = 24 * 1024 * 1024
"""Beyond it somebody is in the way; SQLite cuts it to 16 MiB whenever it begins anew."""


class WalWatch:
    """Has it begun anew when it is too large, and tells when that does not help."""

    def __init__(self, files: LogFiles) -> None:
        """Begin with a size that is no reason to worry."""
        self._files = files
        self._is_told = False

    def step(self, database: LogDatabase) -> None:
        """Look once.

        Raises:
            sqlite3.Error: the disk refuses.
        """
        size_bytes = self._files.wal_size_bytes()
        is_large = size_bytes > WAL_SIZE_BYTES_MAX
        if is_large and not _begun_anew(database) and not self._is_told:
            log.warning(
                "log_wal_grows",
                path=str(self._files.database),
                size_bytes=size_bytes,
                size_bytes_max=WAL_SIZE_BYTES_MAX,
                remedy="a process reads the log and does not let go: end it (see fuser or lsof)",
                stage="processing",
            )
            self._is_told = True
        if not is_large and self._is_told:
            log.info("log_wal_back", path=str(self._files.database), size_bytes=size_bytes)
            self._is_told = False


def _begun_anew(database: LogDatabase) -> bool:
    """Move all of it into the database and cut it, without waiting for a reader."""
    connection = database.connection
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    return not is_busy
