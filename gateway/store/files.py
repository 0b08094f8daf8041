"""The files beside the database: the lock, the boot number, the ballast, and what is set aside.

log.db          the database, with log.db-wal and log.db-shm while it is open
log.db.lock     held by the one process that writes; the system lets go of it with the process
log.db.boot     the last boot number, also when the database is lost
log.db.ballast  disk kept aside for the day the disk is full
log.db.salvage  what can be read of a damaged database is being copied here
log.db.rescued  the same, complete; about to become the database
log.db.aside-T  a database that could not be used at time T; never deleted by us
"""

import fcntl
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gateway.core.errors import StoreError
from gateway.core.records import Boot

_SUFFIXES = ("-wal", "-shm", "")
"""The database comes last: its companions must never lie beside another one."""


class LogFiles:
    """The files of one log; holds the lock from `lock` to `unlock`."""

    def __init__(self, path: Path) -> None:
        """Name the files beside a database; nothing is opened."""
        self.database = path
        self.rescue = _beside(path, ".salvage")
        """Where a new database is made beside a damaged one."""
        self._rescued = _beside(path, ".rescued")
        self._lock_path = _beside(path, ".lock")
        self._boot = _beside(path, ".boot")
        self._ballast = _beside(path, ".ballast")
        self._lock_descriptor: int | None = None

    def lock(self) -> None:
        """Become the only writer.

        Raises:
            StoreError: another process is, or the folder cannot be written.
        """
        try:
            self.database.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreError(f"{self.database.parent} cannot be written: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise StoreError(
                f"{self.database} is being written by process {holder or 'unknown'}:"
                " only one gateway may use it"
            ) from error
        with suppress(OSError):  # the disk is full; the number is for people only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock_descriptor = descriptor

    def unlock(self) -> None:
        """Let the next writer in."""
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def read_boot(self) -> Boot:
        """Return the last boot number written here; 0 when there is none to be read."""
        try:
            return Boot(max(0, int(self._boot.read_text(encoding="ascii"))))
        except (OSError, ValueError):
            # The database knows it too; losing both would take two failures at once.
            return Boot(0)

    def write_boot(self, boot: Boot) -> None:
        """Write the boot number; it is on disk when this returns.

        Raises:
            OSError: the disk refuses.
        """
        temporary = _beside(self._boot, ".new")
        with temporary.open("w", encoding="ascii") as file:
            file.write(f"{boot}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._boot)
        _sync_folder(self._boot.parent)

    def begin_rescue(self) -> None:
        """Take out what an earlier rescue left that was not completed.

        Raises:
            OSError: the disk refuses.
        """
        for suffix in _SUFFIXES:
            _beside(self.rescue, suffix).unlink(missing_ok=True)

    def complete_rescue(self) -> None:
        """Mark the new database as complete: from now on it is the one that counts.

        Raises:
            OSError: the disk refuses.
        """
        if _beside(self.rescue, "-wal").exists():
            raise OSError(f"{self.rescue} could not be completed")
        self.rescue.replace(self._rescued)
        _sync_folder(self._rescued.parent)

    def finish_rescue(self, *, now_ns: int) -> Path | None:
        """Put a complete new database in the place of the damaged one.

        Returns:
            The database that was set aside; None when no rescue was to be finished.
        Raises:
            OSError: the disk refuses.
        """
        if not self._rescued.exists():
            return None
        aside = self.set_aside(now_ns=now_ns)
        self._rescued.replace(self.database)
        _sync_folder(self.database.parent)
        return aside

    def set_aside(self, *, now_ns: int) -> Path:
        """Rename the database and its companions, so that a new one can be made.

        Raises:
            OSError: the disk refuses.
        """
        time = datetime.fromtimestamp(now_ns / 1e9, tz=UTC)
        target = _beside(self.database, f".aside-{time:%Y%m%dT%H%M%S.%fZ}")
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                _beside(self.database, suffix).rename(_beside(target, suffix))
        _sync_folder(target.parent)
        return target

    def wal_size_bytes(self) -> int:
        """Return the size of the write-ahead log; 0 when there is none."""
        try:
            return _beside(self.database, "-wal").stat().st_size
        except OSError:
            return 0

    @property
    def has_ballast(self) -> bool:
        """Whether the ballast is in place."""
        return self._ballast.exists()

    def make_ballast(self, size_bytes: int) -> bool:
        """Take the ballast, unless the disk is short; returns whether it is there."""
        if self._ballast.exists():
            return True
        # Taking it must not be what fills the disk.
        if size_bytes == 0 or shutil.disk_usage(self._ballast.parent).free < 4 * size_bytes:
            return False
        try:
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
        except OSError:
            self.release_ballast()
            return False
        return True

    def release_ballast(self) -> bool:
        """Give the ballast's room back to the disk; returns whether there was any."""
        try:
            self._ballast.unlink()
        except OSError:
            return False
        return True


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk; a rename is not there before."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
