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
from enum import StrEnum
from typing import TypeVar

import structlog

from gateway.core.cursors import Cursor, Span
from gateway.core.errors import StoreError
from gateway.core.ports import Clock
from gateway.core.records import Boot, Draft, LedgerReason, Seq
from gateway.core.tags import TagTable
from gateway.store.backlog import Backlog, Flight, Ticket
from gateway.store.damage import damage, is_damage, is_sound
from gateway.store.database import LogDatabase, missing_entry
from gateway.store.files import LogFiles
from gateway.store.flash import written_bytes
from gateway.store.progress import Progress
from gateway.store.rebasing import Rebasing
from gateway.store.salvage import Known, go_on
from gateway.store.settings import LogSettings
from gateway.store.tidying import Tidying
from gateway.wire.documents import draft_ledger_entry

log = structlog.get_logger()

AnswerT = TypeVar("AnswerT")

DAMAGE_COUNT_MAX = 1
"""Damage met so often may be a bad read; met again, the database is set aside."""

_DISK_FULL_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class StoreState(StrEnum):
    """How the log is doing."""

    OK = "ok"
    DEGRADED = "degraded"
    """The disk refuses; records wait in memory."""
    CLOSED = "closed"
    """Nothing is taken any more."""


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
        self.table: TagTable | None = None
        """The tags of the running epoch; they go on in a new database, should there be one."""
        self._database: LogDatabase | None = database
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
        self._bodies = database.bodies
        self._raw_total = database.raw_total
        self._damage_count = 0
        self._saved_cursors = cursors
        self._backlog = Backlog(self._saved_cursors)
        self._flight: Flight | None = None
        self._attempted_seq = Seq(0)
        self._lost: tuple[Ticket, Ticket] | None = None
        self._calls: list[Callable[[LogDatabase | None], None]] = []
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

    def advance(self, name: str, seq: Seq) -> None:
        """Move a cursor; it is on disk with the next commit."""
        with self._condition:
            self._expect_open()
            self._backlog.advance(name, seq)
            self._wake(is_urgent=False)

    def skip(self, name: str, to: Seq) -> None:
        """Move a cursor ahead with a hole behind it; both are on disk with the next commit."""
        with self._condition:
            self._expect_open()
            self._backlog.skip(name, to)
            self._wake(is_urgent=False)

    def fill(self, name: str, span: Span) -> None:
        """Close a cursor's holes in a span; it is on disk with the next commit."""
        with self._condition:
            self._expect_open()
            self._backlog.fill(name, span)
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
        future: Future[AnswerT] = Future()

        def answer(database: LogDatabase | None) -> None:
            # Whoever asked may have been cancelled meanwhile: then nobody waits for an answer.
            if not future.set_running_or_notify_cancel():
                return
            if database is None:
                future.set_exception(StoreError(f"the log is degraded: {self.reason}"))
                return
            try:
                future.set_result(work(database))
            except sqlite3.Error as error:
                future.set_exception(StoreError(f"the log cannot be written: {error}"))
                raise

        with self._condition:
            self._expect_open()
            self._calls.append(answer)
            self._condition.notify()
        return future

    def suspect(self) -> None:
        """Have the whole database checked, since a reader has met damage."""

        def look(database: LogDatabase) -> None:
            if not is_sound(database.connection):
                self._damage_count = DAMAGE_COUNT_MAX
                raise damage(f"{self._files.database} is damaged")

        with suppress(StoreError):  # the log is closed; the next start will find it again
            self.call(look)

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
            self._fail_calls()
            if self._database is not None:
                self._database.close()
            self._progress.tell()

    def _wait(self) -> bool:
        """Wait until there is something to do; returns False when it is time to end."""
        with self._condition:
            while not self._is_closing and not self._calls:
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
                self._fail_calls()
                return
        try:
            database = self._opened()
            self._commit(database)
            self._answer_calls(database)
            self._tidying.step(database, self._saved_cursors, settled=self.settled)
            self._raw_total = database.raw_total
            self.end = database.last_seq
        except (sqlite3.Error, OSError, StoreError) as error:
            self._failed(error)
        else:
            self._progress.tell()

    def _opened(self) -> LogDatabase:
        """Return the database, opened anew after a failure; what reached the disk is settled."""
        if self._database is None and self._damage_count > DAMAGE_COUNT_MAX:
            known = Known(boot=self._boot, end=self.end, raw_total=self._raw_total)
            self._database = go_on(
                self._files,
                self._bodies,
                known,
                cursors=self._saved_cursors,
                table=self.table,
                now_ns=self._clock.now_ns(),
            )
            self._damage_count = 0
            self.end = self._database.last_seq
            # What was under way was not taken over, and is written again as a whole.
            self._attempted_seq = Seq(0)
        if self._database is None:
            self._database = LogDatabase.reopen(self._files.database, self._bodies)
            if self._database.last_seq < self.end:
                self._damage_count = DAMAGE_COUNT_MAX
                raise damage(f"it ends at {self._database.last_seq} instead of {self.end}")
            self.end = self._database.last_seq
            if self._flight is not None and self._database.last_seq >= self._attempted_seq > 0:
                self._land(self._database, self._flight)
        return self._database

    def _commit(self, database: LogDatabase) -> None:
        """Write what waits: first the flight that failed before, if any, then all the rest."""
        while True:
            with self._condition:
                if self._flight is None:
                    self._due_ns = None
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
        drafts: list[Draft] = []
        if flight.loss.sample_count:
            entry = missing_entry(
                LedgerReason.STORE_FAILED,
                first_ns=flight.loss.first_ns,
                last_ns=flight.loss.last_ns,
                count=flight.loss.sample_count,
            )
            drafts.append(draft_ledger_entry(entry))
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
        self._raw_total = database.raw_total
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

    def _answer_calls(self, database: LogDatabase | None) -> None:
        # One by one: an error at one of them leaves the others to the next attempt.
        for _ in range(len(self._calls)):
            with self._condition:
                answer = self._calls.pop(0)
            answer(database)

    def _fail_calls(self) -> None:
        self._answer_calls(None)

    def _failed(self, error: sqlite3.Error | OSError | StoreError) -> None:
        """Become degraded, make room, and try again later."""
        if self._database is not None:
            self._database.close()
            self._database = None
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        has_room = code in _DISK_FULL_CODES and self._files.release_ballast()
        is_damaged = isinstance(error, sqlite3.Error) and is_damage(error)
        self._damage_count += is_damaged
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
            self._fail_calls()
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
            self._answer_calls(database)
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
