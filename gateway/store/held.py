"""The database over failures: closed when the disk refuses, opened anew, replaced after damage."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.cursors import Cursor
from gateway.core.records import Boot
from gateway.core.tags import TagTable
from gateway.store.damage import damage, is_damage, is_sound
from gateway.store.database import LogDatabase
from gateway.store.files import LogFiles
from gateway.store.salvage import Known, go_on

DAMAGE_COUNT_MAX = 1
"""Damage met so often may be a bad read; met again, the database is set aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The database, and what it is to whoever wrote to it before."""

    database: LogDatabase
    is_anew: bool
    """Whether it was opened just now, after a failure."""
    is_replaced: bool = False
    """Whether it is another one: what was under way is not in it."""


class HeldDatabase:
    """Holds the writing connection; used by the writer's thread."""

    def __init__(self, database: LogDatabase, files: LogFiles, *, boot: Boot) -> None:
        """Take over an opened database."""
        self.table: TagTable | None = None
        """The tags of the running epoch; they go on in a new database, should there be one."""
        self._database: LogDatabase | None = database
        self._files = files
        self._bodies = database.bodies
        self._boot = boot
        self._known = self._known_of(database)
        self._damage_count = 0

    def opened(self, cursors: Mapping[str, Cursor], *, now_ns: int) -> Opened:
        """Return the database, opened anew or replaced if need be.

        Args:
            cursors: Where the readers stand, as last committed.
            now_ns: UTC.
        Raises:
            sqlite3.Error: the disk refuses, or it is damaged.
            OSError: the disk refuses.
            StoreError: it is no longer ours.
        """
        if self._database is not None:
            return Opened(database=self._database, is_anew=False)
        if self._damage_count > DAMAGE_COUNT_MAX:
            self._database = go_on(
                self._files,
                self._bodies,
                self._known,
                cursors=cursors,
                table=self.table,
                now_ns=now_ns,
            )
            self._damage_count = 0
            return Opened(database=self._database, is_anew=True, is_replaced=True)
        self._database = LogDatabase.reopen(self._files.database, self._bodies)
        if self._database.last_seq < self._known.end:
            self._damage_count = DAMAGE_COUNT_MAX
            raise damage(f"it ends at {self._database.last_seq} instead of {self._known.end}")
        return Opened(database=self._database, is_anew=True)

    def committed(self, database: LogDatabase) -> None:
        """Note what is on disk now: a replacement goes on from there."""
        self._known = self._known_of(database)

    def examine(self, database: LogDatabase) -> None:
        """Read the whole database, since somebody has met damage.

        Raises:
            sqlite3.DatabaseError: it is damaged indeed, and is replaced at the next opening.
        """
        if not is_sound(database.connection):
            self._damage_count = DAMAGE_COUNT_MAX
            raise damage(f"{self._files.database} is damaged")

    def failed(self, error: Exception) -> bool:
        """Close the connection after an error; returns whether it is damage."""
        self.close()
        is_damaged = isinstance(error, sqlite3.Error) and is_damage(error)
        self._damage_count += is_damaged
        return is_damaged

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _known_of(self, database: LogDatabase) -> Known:
        return Known(boot=self._boot, end=database.last_seq, raw_total=database.raw_total)
