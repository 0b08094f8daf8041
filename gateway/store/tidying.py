"""What the writer does between commits: re-base, seal, drop beyond the bounds, mind the ballast."""

from collections.abc import Mapping

from gateway.core.cursors import Cursor
from gateway.core.ports import Clock
from gateway.core.records import Boot, Seq
from gateway.store.backlog import Ticket
from gateway.store.database import LogDatabase
from gateway.store.files import LogFiles
from gateway.store.rebasing import Rebasing
from gateway.store.retention import Retention
from gateway.store.sealing import Ages, Joining, seal_next, sealed_seq, unsealed_samples
from gateway.store.settings import LogSettings
from gateway.store.wal import WalWatch

SEAL_PERIOD_S = 5.0
"""Time between two looks whether something is to be sealed."""


class Tidying:
    """Knows when which of it is due, and does it in steps of one short transaction each."""

    def __init__(
        self,
        files: LogFiles,
        settings: LogSettings,
        *,
        boot: Boot,
        boundary: Seq,
        rebasing: Rebasing,
        clock: Clock,
    ) -> None:
        """Begin with everything up to the boundary being of earlier starts."""
        self._rebasing = rebasing
        self._files = files
        self._settings = settings
        self._retention = Retention(settings, boot=boot)
        self._wal = WalWatch(files)
        self._clock = clock
        self._ages = Ages(boundary=boundary)
        self._joining = Joining()
        self._seal_until = Seq(0)
        self._seal_due_ns = 0
        self._retain_due_ns = 0

    @property
    def due_ns(self) -> int:
        """When there is something to do next, on the monotonic clock."""
        if self._rebasing.is_due:
            return 0
        return min(self._seal_due_ns, self._retain_due_ns)

    def committed(self, seq: Seq) -> None:
        """Note that everything up to here is committed now."""
        self._ages.committed(seq, now_ns=self._clock.monotonic_ns())

    @property
    def is_hurried(self) -> bool:
        """Whether what `hurry` asked for is not done yet."""
        return self._seal_due_ns == 0 or self._retain_due_ns == 0

    def hurry(self) -> None:
        """Make everything due."""
        self._seal_due_ns = self._retain_due_ns = 0

    def step(
        self, database: LogDatabase, cursors: Mapping[str, Cursor], *, settled: Ticket
    ) -> None:
        """Do one step of what is due; what remains is due at once.

        Args:
            database: The log.
            cursors: Of the readers, as saved.
            settled: Up to where the log is on disk.
        Raises:
            sqlite3.Error: the disk refuses.
        """
        if self._rebasing.is_due:
            # Nothing is sealed before: a block must not hold what is moved beside what is not.
            self._rebasing.step(database, settled=settled)
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._seal_due_ns and not self._seal(database, now_ns):
            self._seal_due_ns = now_ns + int(SEAL_PERIOD_S * 1e9)
        if now_ns >= self._retain_due_ns and not self._retain(database, cursors):
            self._retain_due_ns = now_ns + int(self._settings.retention_period_s * 1e9)
            self._files.make_ballast(self._settings.ballast_bytes)
            self._wal.step(database)

    def _seal(self, database: LogDatabase, now_ns: int) -> bool:
        """Seal one block, or join two, if it is time; returns whether there may be more."""
        samples_max = self._settings.block_samples_max
        if self._joining.step(database, samples_max=samples_max):
            return True
        sealed = sealed_seq(database)
        if self._seal_until <= sealed:
            self._seal_until = self._next_limit(database, sealed, now_ns)
        if self._seal_until <= sealed:
            return False
        seal_next(database, up_to=self._seal_until, samples_max=samples_max)
        self._joining.sealed(database)
        self._ages.forget(sealed_seq(database))
        return True

    def _next_limit(self, database: LogDatabase, sealed: Seq, now_ns: int) -> Seq:
        """Return up to where to seal now; not behind `sealed` when it is not time."""
        single_s = self._settings.seal_after_s
        limit = self._ages.older_than(single_s, now_ns=now_ns)
        oldest = self._ages.older_than(single_s + self._settings.block_s, now_ns=now_ns)
        if oldest > sealed:
            return limit
        is_full = limit > sealed and (
            unsealed_samples(database, up_to=limit) >= self._settings.block_samples_max
        )
        return limit if is_full else sealed

    def _retain(self, database: LogDatabase, cursors: Mapping[str, Cursor]) -> bool:
        """Drop one step of what is beyond the bounds; returns whether there is more."""
        return self._retention.step(
            database,
            readers=tuple(cursors.values()),
            now_ns=self._clock.now_ns(),
            is_time_known=self._rebasing.doubt is None,
            is_disk_full=self._settings.ballast_bytes > 0 and not self._files.has_ballast,
        )
