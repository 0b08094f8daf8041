"""The writer: one thread that owns the writing connection.

What is appended waits in the `Backlog` until a commit is due: by time, by bytes, or at once for
an urgent draft. It then becomes a `Flight`, one transaction, which is tried unchanged until it is
on disk. A commit that failed may have reached the disk all the same; so the connection is opened
anew before the next attempt, and where the positions of the flight exist already it is settled:
nothing is written twice, and nothing is left out.

While the disk fails the log is *degraded*: appends go on, the ballast is let go, whoever waits in
`durable` is told, and beyond `pending_bytes_max` the oldest samples are shed; the ledger says so
with the next commit that succeeds.
"""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress

import structlog

from gateway.core.cursors import Cursor
from gateway.core.errors import StoreError
from gateway.core.ports import Clock
from gateway.core.records import Boot, Draft, Seq
from gateway.core.tags import TagTable
from gateway.store.backlog import Backlog, Flight, Ticket
from gateway.store.calls import AnswerT, Calls
from gateway.store.database import LogDatabase
from gateway.store.files import LogFiles
from gateway.store.flash import written_bytes
from gateway.store.held import HeldDatabase
from gateway.store.progress import Progress
from gateway.store.rebasing import Rebasing
from gateway.store.settings import LogSettings
from gateway.store.stats import StoreState
from gateway.store.tidying import Tidying

log = structlog.get_logger()

_DISK_FULL_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class Writer:
    """Owns the database from `start` to `close`; every other method may be called by any thread."""

    def __init__(
        self,
        database: LogDatabase,
        files: LogFiles,
        settings: LogSettings,
        *,
        boot: Boot,
        cursors: Mapping[str, Cursor],
        rebasing: Rebasing,
        progress: Progress,
        clock: Clock,
    ) -> None:
        """Take over an opened database."""
        self.end = database.last_seq
        """Position of the last committed record."""
        self.state = StoreState.OK
        self.reason = ""
        """Why it is degraded, for a person; empty otherwise."""
        self.settled = Ticket(0)
        """Everything up to this ticket is on disk, or in the ledger."""
        self.commit_count = 0
        """Transactions with records since the start."""
        self._held = HeldDatabase(database, files, boot=boot)
        self._files = files
        self._settings = settings
        self._boot = boot
        self._progress = progress
        self._clock = clock
        self._tidying = Tidying(
            files,
            settings,
            boot=boot,
            boundary=database.last_seq,
            rebasing=rebasing,
            clock=clock,
        )
        self._condition = threading.Condition()
        self._saved_cursors = cursors
        self._backlog = Backlog(self._saved_cursors)
        self._flight: Flight | None = None
        self._attempted_seq = Seq(0)
        self._lost: tuple[Ticket, Ticket] | None = None
        self._calls = Calls()
        self._due_ns: int | None = None
        self._retry_ns = 0
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="record-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def append(self, drafts: Sequence[Draft]) -> Ticket:
        """Take drafts to be committed together and in order; never waits for the disk."""
        with self._condition:
            self._expect_open()
            ticket = self._backlog.add(drafts)
            self._wake(is_urgent=any(draft.is_urgent for draft in drafts))
        return ticket

    def save_checkpoint(self, parts: Mapping[str, bytes]) -> Ticket:
        """Take a checkpoint as of everything appended so far."""
        with self._condition:
            self._expect_open()
            ticket = self._backlog.add(checkpoint=parts)
            self._wake(is_urgent=False)
        return ticket

    def cursor(self, name: str) -> Cursor:
        """Return where a named reader stands."""
        return self._backlog.cursors.get(name, Cursor(seq=Seq(0)))

    def cursors(self) -> Mapping[str, Cursor]:
        """Return where every named reader stands."""
        with self._condition:
            return dict(self._backlog.cursors)

    def move(self, name: str, change: Callable[[Cursor], Cursor]) -> None:
        """Move a cursor, or change its holes; it is on disk with the next commit."""
        with self._condition:
            self._expect_open()
            self._backlog.move(name, change)
            self._wake(is_urgent=False)

    def forget(self, name: str) -> None:
        """Take a cursor out; it is gone from the disk with the next commit."""
        with self._condition:
            self._expect_open()
            self._backlog.forget(name)
            self._wake(is_urgent=False)

    def call(self, work: Callable[[LogDatabase], AnswerT]) -> Future[AnswerT]:
        """Let the thread do something with the database, after all that was appended before.

        The future raises `StoreError` while the log is degraded.
        """
        with self._condition:
            self._expect_open()
            future = self._calls.add(work)
            self._condition.notify()
        return future

    def suspect(self) -> None:
        """Have the whole database checked, since a reader has met damage."""
        with suppress(StoreError):  # the log is closed; the next start will find it again
            self.call(self._held.examine)

    def go_on_with(self, table: TagTable) -> None:
        """Keep the tags of the running epoch for a new database, should there be one."""
        self._held.table = table

    def hurry(self) -> None:
        """Seal and drop now what is due by the settings."""
        with self._condition:
            self._tidying.hurry()
            self._condition.notify()

    @property
    def written_bytes(self) -> int | None:
        """Bytes that the thread wrote since the start; None when the system does not tell."""
        thread_id = self._thread.native_id
        return None if thread_id is None else written_bytes(thread_id)

    @property
    def is_hurried(self) -> bool:
        """Whether what `hurry` asked for is not done yet."""
        return self._tidying.is_hurried

    @property
    def pending_bytes(self) -> int:
        """Memory of what waits for the disk, about."""
        flight = self._flight
        return self._backlog.size_bytes + (flight.size_bytes if flight else 0)

    @property
    def has_room(self) -> bool:
        """Whether a producer may go on; always while degraded, when shedding takes over."""
        is_low = self.pending_bytes < self._settings.pending_bytes_max // 2
        return is_low or self.state is not StoreState.OK

    def is_decided(self, ticket: Ticket) -> bool:
        """Return whether there is news for whoever waits for a ticket."""
        return self.settled >= ticket or self.state is not StoreState.OK

    def check(self, ticket: Ticket) -> None:
        """Return if a ticket is on disk.

        Raises:
            StoreError: it is not, or not all of it.
        """
        if self.settled < ticket:
            raise StoreError(f"not on disk: {self.reason or 'the log is closed'}")
        if self._lost is not None and self._lost[0] <= ticket <= self._lost[1]:
            raise StoreError("not on disk: samples were dropped while the disk failed")

    def close(self, *, timeout_s: float) -> bool:
        """Commit what waits, mark the stop as clean, and end the thread.

        Returns:
            Whether everything is on disk.
        """
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and self._backlog.is_empty and self._flight is None

    def _expect_open(self) -> None:
        if self._is_closing or self.state is StoreState.CLOSED:
            raise StoreError("the log is closed")

    def _wake(self, *, is_urgent: bool) -> None:
        """Let the thread look again, if what was added changes when it has to act."""
        now_ns = self._clock.monotonic_ns()
        is_full = self._backlog.size_bytes >= self._settings.group_commit_bytes
        if is_urgent or is_full:
            self._due_ns = now_ns
            self._condition.notify()
        elif self._due_ns is None:
            self._due_ns = now_ns + int(self._settings.group_commit_s * 1e9)
            self._condition.notify()

    def _run(self) -> None:
        try:
            while self._wait():
                self._step()
            self._finish()
        finally:
            # Also when a bug ends the thread: whoever waits must not wait for ever.
            self.state = StoreState.CLOSED
            with self._condition:
                self._calls.take()
            self._calls.fail(self.reason)
            self._held.close()
            self._progress.tell()

    def _wait(self) -> bool:
        """Wait until there is something to do; returns False when it is time to end."""
        with self._condition:
            while not self._is_closing and self._calls.is_empty:
                wait_s = (self._next_ns() - self._clock.monotonic_ns()) / 1e9
                if wait_s <= 0:
                    break
                self._condition.wait(wait_s)
            return not self._is_closing

    def _next_ns(self) -> int:
        if self.state is StoreState.DEGRADED:
            is_over = self._backlog.size_bytes > self._settings.pending_bytes_max
            return 0 if is_over else self._retry_ns
        return min(self._tidying.due_ns, self._due_ns or self._tidying.due_ns)

    def _step(self) -> None:
        """Do all that is due; an error of the disk leaves it to the next attempt."""
        if self.state is StoreState.DEGRADED:
            self._shed()
            if self._clock.monotonic_ns() < self._retry_ns:
                with self._condition:
                    self._calls.take()
                self._calls.fail(self.reason)
                return
        try:
            database = self._opened()
            self._commit(database)
            self._calls.answer(database)
            self._tidying.step(database, self._saved_cursors, settled=self.settled)
            self._held.committed(database)
            self.end = database.last_seq
        except (sqlite3.Error, OSError, StoreError) as error:
            self._failed(error)
        else:
            self._progress.tell()

    def _opened(self) -> LogDatabase:
        """Return the database, opened anew after a failure; what reached the disk is settled."""
        opened = self._held.opened(self._saved_cursors, now_ns=self._clock.now_ns())
        database = opened.database
        if opened.is_replaced:
            # What was under way was not taken over, and is written again as a whole.
            self._attempted_seq = Seq(0)
        if opened.is_anew:
            self.end = database.last_seq
            if self._flight is not None and database.last_seq >= self._attempted_seq > 0:
                self._land(database, self._flight)
        return database

    def _commit(self, database: LogDatabase) -> None:
        """Write what waits: first the flight that failed before, if any, then all the rest."""
        while True:
            with self._condition:
                if self._flight is None:
                    self._due_ns = None
                    self._calls.take()
                    if self._backlog.is_empty:
                        break
                    self._flight = self._backlog.take()
                flight = self._flight
            self._attempted_seq = Seq(0)
            with database.transaction():
                self._write(database, flight)
                if database.last_seq > self.end:
                    self._attempted_seq = database.last_seq
            self._land(database, flight)
        if self.state is StoreState.DEGRADED:
            self.state, self.reason = StoreState.OK, ""
            log.info("log_back", path=str(self._files.database))

    def _write(self, database: LogDatabase, flight: Flight) -> None:
        now_ns = self._clock.now_ns()
        drafts = flight.loss.entries()
        for group in flight.groups:
            drafts += group.drafts
            if group.checkpoint is not None:
                database.append(drafts, boot=self._boot, stored_ns=now_ns)
                drafts = []
                database.save_checkpoint(group.checkpoint)
        database.append(drafts, boot=self._boot, stored_ns=now_ns)
        if flight.cursors is not None:
            database.save_cursors(flight.cursors)

    def _land(self, database: LogDatabase, flight: Flight) -> None:
        """Note that a flight is on disk."""
        with self._condition:
            self._flight = None
        self._attempted_seq = Seq(0)
        self.settled = flight.ticket
        self.end = database.last_seq
        self._held.committed(database)
        self.commit_count += 1
        if flight.cursors is not None:
            self._saved_cursors = flight.cursors
        self._tidying.committed(self.end)
        if flight.loss.record_count:
            log.error(
                "records_lost",
                records=flight.loss.record_count,
                samples=flight.loss.sample_count,
                stage="processing",
            )
        self._progress.tell()

    def _failed(self, error: sqlite3.Error | OSError | StoreError) -> None:
        """Become degraded, make room, and try again later."""
        is_damaged = self._held.failed(error)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        has_room = code in _DISK_FULL_CODES and self._files.release_ballast()
        pause_s = 0.0 if has_room or is_damaged else self._settings.retry_s
        self._retry_ns = self._clock.monotonic_ns() + int(pause_s * 1e9)
        is_edge = self.state is StoreState.OK
        self.reason = f"{self._files.database} cannot be written: {error}"
        self.state = StoreState.DEGRADED
        if is_edge:
            log.error(
                "log_degraded",
                reason=self.reason,
                code=getattr(error, "sqlite_errorname", ""),
                retry_s=self._settings.retry_s,
                stage="processing",
            )
        if not is_damaged:
            self._calls.fail(self.reason)
        self._progress.tell()

    def _shed(self) -> None:
        with self._condition:
            lost = self._backlog.shed(self._settings.pending_bytes_max)
        if lost is not None:
            first = min(lost[0], self._lost[0]) if self._lost else lost[0]
            self._lost = first, lost[1]

    def _finish(self) -> None:
        """Commit the last records and mark the stop as clean."""
        try:
            database = self._opened()
            self._commit(database)
            self._calls.answer(database)
            with database.transaction():
                database.set_state("is_clean", 1)
                database.set_state("raw_total", database.raw_total)
        except (sqlite3.Error, OSError, StoreError) as error:
            log.error(
                "log_not_closed",
                reason=str(error),
                pending_bytes=self.pending_bytes,
                stage="processing",
            )
