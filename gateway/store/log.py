"""The record log: everything that matters is a record in it, every consumer a cursor on it.

Format
    One SQLite database (`database.py` has the tables), write-ahead log, `synchronous=FULL`. A
    record's identity is `(gateway, boot, seq)`: `boot` counts the starts and is on disk before
    the first record of its start, `seq` is the position and never used twice. Bodies carry a
    version and a check sum, looked at before the write and after the read (`gateway.wire`), and
    are encrypted when there is a key (`encryption.py`).

Invariants
    - The drafts of one `append` are committed together and in order, whatever happens.
    - What `durable` has confirmed survives a power cut. What waits for the group commit (one
      second of samples; events and commands never wait) is what a power cut can cost.
    - A cursor moves forward only; what it leaves out on its way stands in a hole until it is
      filled, and is kept as if undelivered. It is on disk with the next commit: after a crash a
      reader may see records again, but never misses one.
    - Sealing and retention change how records are kept, never their order or identity.
    - Whatever is missing stands in the ledger, once: stored and ledgered together are received.

What survives which failure
    process killed    all that was committed; one UNCLEAN_STOP entry covers the rest
    power cut         the same, as far as the disk honours fsync
    disk full, or     the log is degraded: work goes on in memory up to a bound and is committed
    refusing          when the disk is back; what had to be shed is a STORE_FAILED entry; the
                      ballast file makes room to act
    a damaged record  is left out by every reader and becomes a CORRUPT entry
    a damaged file    is set aside; what can be read goes on in a new one, the rest is ledgered
    the key missing   the log is not opened, and nothing is taken for damaged (`keys.py`)
    clock set back    order is `seq`; times are data. Retention by age waits until time has caught
                      up, retention by size does not
    boot in 1970      samples wait until the clock is set, then are moved (`rebasing.py`)
    a second writer   is refused by a lock that the system releases with the process

Threads: `append`, `advance`, `cursor` never wait. One thread owns the writing connection
(`writer.py`); readers open their own read-only ones (`reader.py`).
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

import structlog

from gateway.core.cursors import Scope, Span
from gateway.core.errors import StoreError
from gateway.core.ports import Clock
from gateway.core.records import Boot, Draft, GatewayId, LogEntry, Record, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.store.backlog import Ticket
from gateway.store.database import LogDatabase
from gateway.store.encryption import bodies_of
from gateway.store.files import LogFiles
from gateway.store.opening import Opening, open_database
from gateway.store.progress import Progress
from gateway.store.reader import LogReader
from gateway.store.rebasing import Rebasing
from gateway.store.replay import replay_entries
from gateway.store.settings import LogSettings
from gateway.store.stats import StoreState, StoreStats, lags, ledgered, nothing_told
from gateway.store.trends import Trend
from gateway.store.writer import Writer

log = structlog.get_logger()

CLOSE_TIMEOUT_S = 20.0
"""Longest wait for the last commit."""
INTERN_TIMEOUT_S = 30.0
"""Longest wait for the commit of a new tag table."""


class RecordLog:
    """The one log of a gateway; implements `RecordReader`."""

    def __init__(
        self,
        database: LogDatabase,
        files: LogFiles,
        settings: LogSettings,
        opening: Opening,
        *,
        clock: Clock,
    ) -> None:
        """Begin to write to an opened database; use `open`."""
        self.path = files.database
        self.opening = opening
        """What was found when the log was opened."""
        self.bodies = database.bodies
        """How what lies beside the log is to be stored, such as dead letters."""
        self._files = files
        self._clock = clock
        self._progress = Progress()
        self.rebasing = Rebasing(database, boot=opening.boot, mark=lambda: self.append([]))
        """What it knows of times in doubt, and is told about them."""
        self._writer = Writer(
            database,
            files,
            settings,
            boot=opening.boot,
            cursors=opening.cursors,
            rebasing=self.rebasing,
            progress=self._progress,
            clock=clock,
        )
        self._reader = LogReader(
            files.database,
            bodies=self.bodies,
            on_corrupt=self._discard_damaged,
            on_damage=self._writer.suspect,
        )
        self._told = nothing_told(opening.boot, end=database.last_seq)
        self._writer.start()

    @classmethod
    def open(
        cls,
        path: Path,
        settings: LogSettings,
        *,
        gateway: GatewayId,
        clock: Clock,
        cursors: Mapping[str, Scope] = MappingProxyType({}),
        machine: str = "",
    ) -> "RecordLog":
        """Open the log for writing, or begin one; blocks.

        Args:
            path: Of the database; other files lie beside it, under longer names.
            settings: When to commit, what to keep.
            gateway: Owner of the log.
            clock: The time.
            cursors: The readers that records are kept for, and what each is for. Those of earlier
                starts that are not among them are forgotten; without any, nothing is undelivered.
            machine: Names the machine's run since it was switched on, so that a doubt about its
                clock outlives a restart of the process; empty is unknown.
        Raises:
            ConfigError: a key of the log cannot be read.
            StoreError: another process writes it, the disk refuses, it is not ours, or it is
                encrypted with a key that was not given.
        """
        bodies = bodies_of(settings.encryption)
        files = LogFiles(path)
        files.lock()
        try:
            database, opening = open_database(
                files,
                settings,
                gateway=gateway,
                cursors=cursors,
                bodies=bodies,
                machine=machine,
                clock=clock,
            )
        except StoreError:
            files.unlock()
            raise
        files.make_ballast(settings.ballast_bytes)
        log.info(
            "log_opened",
            path=str(path),
            boot=opening.boot,
            end=database.last_seq,
            was_clean=opening.was_clean,
        )
        return cls(database, files, settings, opening, clock=clock)

    @property
    def boot(self) -> Boot:
        """The running boot."""
        return self.opening.boot

    @property
    def end(self) -> Seq:
        """Position of the last committed record; 0 before the first."""
        return self._writer.end

    @property
    def samples_end(self) -> Seq:
        """Position up to which samples may go out; those with times in doubt are held back."""
        held = self.rebasing.samples_end
        return self._writer.end if held is None else min(held, self._writer.end)

    @property
    def state(self) -> StoreState:
        """How the log is doing."""
        return self._writer.state

    @property
    def reason(self) -> str:
        """Why it is degraded, for a person; empty otherwise."""
        return self._writer.reason

    def intern(self, tags: Iterable[Tag]) -> TagTable:
        """Return the table of these tags; blocks until it is on disk, so use it at the start.

        The same tags in the same order as last time keep their epoch; otherwise a new epoch
        begins, with a TAGS record before the first frame under it.

        Raises:
            StoreError: the disk refuses.
            ValueError: two tags have the same id.
        """
        ordered = tuple(tags)
        TagTable.build(ordered, epoch=ConfigEpoch(0))
        work = partial(
            LogDatabase.intern, tags=ordered, boot=self.boot, stored_ns=self._clock.now_ns()
        )
        try:
            table = self._writer.call(work).result(INTERN_TIMEOUT_S)
        except TimeoutError as error:
            raise StoreError(f"{self.path}: no commit in {INTERN_TIMEOUT_S} s") from error
        self._writer.go_on_with(table)
        return table

    def append(self, drafts: Sequence[Draft]) -> Ticket:
        """Take drafts to be committed together and in this order; never waits.

        Raises:
            StoreError: the log is closed.
        """
        return self._writer.append(drafts)

    async def durable(self, ticket: Ticket) -> None:
        """Wait until the drafts of an append are on disk.

        Raises:
            StoreError: the log is degraded or closed; they may or may not come to be on disk.
        """
        await self._progress.wait_for(lambda: self._writer.is_decided(ticket))
        self._writer.check(ticket)

    async def room(self) -> None:
        """Wait until what waits for the disk is well below its bound in memory."""
        await self._progress.wait_for(lambda: self._writer.has_room)

    async def read(
        self,
        *,
        after: Seq,
        size_bytes_max: int,
        until: Seq | None = None,
        scope: Scope = Scope.ALL,
    ) -> Sequence[Record]:
        """Return committed records after a position, in order; see `LogReader.read`.

        Raises:
            StoreError: the log cannot be read.
        """
        # Another connection sees a commit a moment before `end` does, and a cursor may not pass it.
        return await asyncio.to_thread(
            self._reader.read,
            after=after,
            size_bytes_max=size_bytes_max,
            until=self.end if until is None else min(until, self.end),
            scope=scope,
        )

    async def wait_for_records(self, *, after: Seq) -> None:
        """Return as soon as a record behind this position is committed.

        Raises:
            StoreError: the log is closed.
        """
        await self._progress.wait_for(
            lambda: self._writer.end > after or self._writer.state is StoreState.CLOSED
        )
        if self._writer.end <= after:
            raise StoreError("the log is closed")

    async def table_of(self, record: Record) -> TagTable:
        """Return the tag table that a record was written under."""
        return await asyncio.to_thread(self._reader.table_of, record)

    async def read_frames(
        self, tags: Sequence[TagId], from_ns: int, to_ns: int
    ) -> tuple[Trend, ...]:
        """Return the committed samples of some tags in a span of source time, by tag.

        Args:
            tags: Their order is that of the result.
            from_ns: UTC, inclusive.
            to_ns: UTC, exclusive.
        """
        return await asyncio.to_thread(self._reader.frames, tags, from_ns=from_ns, to_ns=to_ns)

    def cursor(self, name: str) -> Seq:
        """Return how far a named reader got; 0 before its first record."""
        return self._writer.cursor(name).seq

    def holes(self, name: str) -> tuple[Span, ...]:
        """Return the spans that a named reader left for later, the oldest first."""
        return self._writer.cursor(name).holes

    async def advance(self, name: str, seq: Seq) -> None:
        """Move a reader's cursor; never back, and not beyond the end.

        It is on disk with the next commit, which it does not wait for: a reader that delivers at
        least once loses nothing by it.
        """
        assert seq <= self._writer.end, (name, seq, self._writer.end)
        self._writer.move(name, lambda cursor: cursor.advanced(seq))

    async def skip(self, name: str, to: Seq) -> None:
        """Move a reader's cursor to a position ahead, with a hole behind it; see `advance`."""
        assert to <= self._writer.end, (name, to, self._writer.end)
        self._writer.move(name, lambda cursor: cursor.skipped(to))

    async def fill(self, name: str, span: Span) -> None:
        """Close what of a reader's holes lies in a span; see `advance`."""
        self._writer.move(name, lambda cursor: cursor.filled(span))

    async def forget(self, name: str) -> None:
        """Take a reader's cursor out: nothing is kept for it from now on."""
        self._writer.forget(name)

    async def save_checkpoint(self, parts: Mapping[str, bytes]) -> None:
        """Save the state as of everything appended so far; the parts are saved together.

        It is on disk with the next commit, which it does not wait for: until then the former
        checkpoint stands, and a restart replays a little more.
        """
        self._writer.save_checkpoint(dict(parts))

    def load_checkpoints(self) -> tuple[Seq, dict[str, bytes]]:
        """Return the position of the last checkpoint and its parts; 0 and none without one."""
        return self._reader.checkpoints()

    def replay(self, *, after: Seq, table: TagTable) -> Iterator[LogEntry]:
        """Yield what a restarted pipeline has to see again; see `replay_entries`."""
        return replay_entries(self._reader, after=after, table=table)

    async def stats(self) -> StoreStats:
        """Return what the log tells of itself; while degraded, what it told last."""
        try:
            self._told = await asyncio.wrap_future(self._writer.call(self._stats))
        except StoreError:
            writer = self._writer
            self._told = self._told.since(writer.state, writer.reason, writer.pending_bytes)
        return self._told

    async def tidy(self) -> None:
        """Seal and drop now what is due by the settings, instead of at the next look."""
        self._writer.hurry()
        await self._progress.wait_for(
            lambda: not self._writer.is_hurried or self._writer.state is not StoreState.OK
        )

    async def close(self) -> None:
        """Commit what waits, mark the stop as clean, and let the next writer in."""
        is_safe = await asyncio.to_thread(self._writer.close, timeout_s=CLOSE_TIMEOUT_S)
        if not is_safe:
            log.error("log_closed_early", pending_bytes=self._writer.pending_bytes)
        self._files.unlock()

    def _stats(self, database: LogDatabase) -> StoreStats:
        """Gather on the writer's thread, where all numbers are of one moment."""
        oldest_ns, newest_ns = database.stored_span()
        return StoreStats(
            state=self._writer.state,
            reason=self._writer.reason,
            boot=self.boot,
            end=database.last_seq,
            stored_samples=database.raw_total,
            ledgered=ledgered(database.connection),
            cursors=lags(
                database.connection,
                self._writer.cursors(),
                end=database.last_seq,
                raw_total=database.raw_total,
            ),
            used_bytes=database.used_bytes(),
            pending_bytes=self._writer.pending_bytes,
            oldest_ns=oldest_ns,
            newest_ns=newest_ns,
            commit_count=self._writer.commit_count,
            written_bytes=self._writer.written_bytes,
        )

    def _discard_damaged(self, seq: Seq) -> None:
        """Have a record that a reader could not read entered into the ledger."""

        def work(database: LogDatabase) -> None:
            with database.transaction():
                is_new = database.discard_damaged(
                    seq, boot=self.boot, stored_ns=self._clock.now_ns()
                )
            if is_new:
                log.error("record_corrupt", seq=seq, stage="processing")

        with suppress(StoreError):  # the log is closed; the next reader will find it again
            self._writer.call(work)
