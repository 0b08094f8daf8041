"""Opening the log: become the writer, count the start, and say what the last stop left behind.

The boot number is on disk, beside the database and in it, before the first record of this start:
`(boot, seq)` is never used twice, also when the database had to be set aside.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.core.cursors import Cursor, Scope
from gateway.core.errors import StoreError
from gateway.core.ports import Clock
from gateway.core.records import Boot, GatewayId, LedgerEntry, LedgerReason, Seq
from gateway.store.bodies import Bodies
from gateway.store.damage import is_damage, is_sound
from gateway.store.database import LogDatabase
from gateway.store.files import LogFiles
from gateway.store.keys import check_keys, take_keys
from gateway.store.rebasing import read_doubt
from gateway.store.salvage import renew
from gateway.store.settings import LogSettings
from gateway.store.sums import state_value
from gateway.store.tag_tables import mend_tables
from gateway.wire.documents import draft_ledger_entry

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What was found when the log was opened."""

    boot: Boot
    """Number of this start."""
    opened_ns: int
    """When this start opened the log, UTC."""
    was_clean: bool
    """Whether the previous start ended with `close`, or there was none."""
    last_commit_ns: int | None
    """When the previous start last committed a record; None when there was none."""
    known_ns: int
    """Wall time that the log has seen and has no doubts about; 0 when there is none."""
    first: Seq
    """Position of the first record of this start, whenever there is one."""
    set_aside: Path | None
    """The database that was damaged; what could be read of it goes on in the new one. None when
    there was none."""
    cursors: Mapping[str, Cursor]
    """Where the readers stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """The moment of a start."""

    machine: str
    now_ns: int
    offset_ns: int
    """Wall time minus monotonic time."""


def open_database(
    files: LogFiles,
    settings: LogSettings,
    *,
    gateway: GatewayId,
    cursors: Mapping[str, Scope],
    bodies: Bodies,
    machine: str,
    clock: Clock,
) -> tuple[LogDatabase, Opening]:
    """Open the log for writing and begin a new boot; the lock must be held.

    Args:
        files: Of the log.
        settings: What is checked.
        gateway: Owner of the log.
        cursors: The readers, and what each is for.
        bodies: How bodies are stored.
        machine: Names the machine's run since it was switched on; empty is unknown.
        clock: Time.

    Raises:
        StoreError: the disk refuses, or the log belongs to another gateway or release.
    """
    for is_last_attempt in (False, True):
        try:
            return _open(
                files,
                settings,
                gateway=gateway,
                cursors=cursors,
                bodies=bodies,
                start=_start(clock, machine),
            )
        except (sqlite3.Error, OSError) as error:
            # A full disk must not keep the gateway from starting: that is what the ballast is for.
            if is_last_attempt or not files.release_ballast():
                raise StoreError(f"{files.database} cannot be opened: {error}") from error
    raise AssertionError("the last attempt returns or raises")


def _start(clock: Clock, machine: str) -> _Start:
    now_ns = clock.now_ns()
    return _Start(machine=machine, now_ns=now_ns, offset_ns=now_ns - clock.monotonic_ns())


def _open(
    files: LogFiles,
    settings: LogSettings,
    *,
    gateway: GatewayId,
    cursors: Mapping[str, Scope],
    bodies: Bodies,
    start: _Start,
) -> tuple[LogDatabase, Opening]:
    aside = files.finish_rescue(now_ns=start.now_ns)
    database = _usable_database(files, settings, bodies)
    for is_renewed in (False, True):
        if database is None:
            database, rescue = renew(files, bodies, now_ns=start.now_ns)
            aside = rescue.aside
        try:
            return database, _begin_boot(
                database,
                files,
                gateway=gateway,
                cursors=cursors,
                bodies=bodies,
                aside=aside,
                start=start,
            )
        except (sqlite3.Error, OSError, StoreError) as error:
            database.close()
            if is_renewed or not (isinstance(error, sqlite3.Error) and is_damage(error)):
                raise
            database = None
    raise AssertionError("the last attempt returns or raises")


def _usable_database(files: LogFiles, settings: LogSettings, bodies: Bodies) -> LogDatabase | None:
    """Return the database that is there; None when it is damaged."""
    try:
        database = LogDatabase.open(files.database, bodies)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return None
        raise
    try:
        is_suspect = not database.state("is_clean", 1)
        is_small = database.used_bytes() <= settings.check_bytes_max
        if not (is_suspect and is_small) or is_sound(database.connection):
            return database
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            database.close()
            raise
    database.close()
    return None


def _begin_boot(
    database: LogDatabase,
    files: LogFiles,
    *,
    gateway: GatewayId,
    cursors: Mapping[str, Scope],
    bodies: Bodies,
    aside: Path | None,
    start: _Start,
) -> Opening:
    _check_owner(database, files, gateway)
    now_ns = start.now_ns
    check_keys(database.connection, database.bodies, path=files.database)
    take_keys(database)
    last_boot, known_boot = files.read_boot(), database.state("boot", 0)
    # A start that the database knows nothing of: it, or the end of it, was lost.
    was_clean = bool(database.state("is_clean", 1)) and known_boot >= last_boot
    last_commit_ns, known_ns = _last_times(database, start)
    first = Seq(database.last_seq + 1)
    boot = Boot(max(known_boot, last_boot) + 1)
    files.write_boot(boot)
    with database.transaction():
        database.set_state("boot", boot)
        database.set_state("is_clean", 0)
        database.set_state("started_ns", now_ns)
        mend_tables(database.connection, bodies)
        readers = database.cursors(cursors)
        database.save_cursors(readers)
        for entry in _entries(was_clean, last_commit_ns, now_ns):
            database.append([draft_ledger_entry(entry)], boot=boot, stored_ns=now_ns)
    return Opening(
        boot=boot,
        opened_ns=now_ns,
        was_clean=was_clean,
        last_commit_ns=last_commit_ns,
        known_ns=known_ns,
        first=first,
        set_aside=aside,
        cursors=readers,
    )


def _check_owner(database: LogDatabase, files: LogFiles, gateway: GatewayId) -> None:
    row = database.connection.execute("SELECT value FROM state WHERE name = 'gateway'").fetchone()
    if row is None:
        database.set_state("gateway", gateway)
        return
    owner = state_value("gateway", row[0])
    if owner != gateway:
        raise StoreError(
            f"{files.database} holds the records of gateway {owner!r}, not of {gateway!r}:"
            " put the id back, or move the log away"
        )


def _last_times(database: LogDatabase, start: _Start) -> tuple[int | None, int]:
    """Return when the last commit was, and the newest time that there is no doubt about."""
    last_commit_ns = _last_commit_ns(database)
    doubt = read_doubt(database)
    if doubt is None or last_commit_ns is None:
        return last_commit_ns, last_commit_ns or 0
    if doubt.machine == start.machine != "":
        # If the clock was set while nobody ran, it is now that the commit is to be told by.
        return last_commit_ns + start.offset_ns - doubt.offset_ns, doubt.known_ns
    # What that clock said then does not help to tell now from then. But once its samples went out
    # as they were, it is believed: perhaps it was right, and the log had seen one that was ahead.
    known_ns = doubt.known_ns if doubt.is_held else last_commit_ns
    return max(doubt.known_ns, last_commit_ns), known_ns


def _last_commit_ns(database: LogDatabase) -> int | None:
    row = database.connection.execute(
        "SELECT stored_ns FROM record ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    started_ns = database.state("started_ns", 0)
    if row is None and not started_ns:
        return None
    return max(row[0] if row else 0, started_ns)


def _entries(was_clean: bool, last_commit_ns: int | None, now_ns: int) -> list[LedgerEntry]:
    """Return what the ledger says about the time before this start."""
    if was_clean:
        return []
    from_ns = last_commit_ns or now_ns
    # The clock may have been set back in between; an entry never ends before it begins.
    to_ns = max(from_ns, now_ns)
    return [
        LedgerEntry(
            reason=LedgerReason.UNCLEAN_STOP, source="*", from_ns=from_ns, to_ns=to_ns, count=None
        )
    ]
