"""A process that writes to a log until it is killed, and says what it was promised.

Importing takes longer than a life, so one nursery process imports once and forks a victim for
each line it is given: `path seed steps`. A victim appends, delivers to a receiver that is now and
then away, leaves holes and fills them, saves checkpoints, and has the log seal and drop. It prints
a line for each append *before* it is made, for each append that is durable, and for each record
*before* it counts as delivered; the pipe keeps the lines when the process is gone. `store_books`
reads them. With a number of steps it closes the log in the end, with 0 it lives until killed.
"""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path

import numpy as np
import structlog

from gateway.core.cursors import Span
from gateway.core.records import Draft, Record, RecordKind, Seq
from gateway.core.tags import TagTable
from gateway.store import RecordLog, Ticket
from gateway.store.database import LogDatabase
from gateway.wire.documents import draft_event
from tests.gateway.store_books import noisy_draft, words_of
from tests.gateway.store_cases import SEALING, TAGS, make_event, open_log

VICTIM = SEALING.model_copy(
    update={"backlog_bytes_max": 110_000, "history_bytes_max": 90_000, "history_age_s": 1.0}
)
"""Bounds so small that every life meets them."""
READ_BYTES = 20_000
CARELESS = "STORE_VICTIM_CARELESS"
"""Set in the environment: the disk is not asked to keep anything, which must be found out."""


def say(*words: object) -> None:
    """Write one line at once and whole; a pipe takes short writes without splitting them."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Victim:
    """One life."""

    def __init__(self, log: RecordLog, table: TagTable, seed: int) -> None:
        self.log = log
        self.table = table
        self.rng = np.random.default_rng(seed)
        self.number = log.boot * 1_000_000
        # Away for some lives, so that the backlog meets its bound.
        self.is_online = log.boot // 5 % 2 == 0
        self.waiting: set[asyncio.Task[None]] = set()

    async def step(self) -> None:
        self.append()
        if self.rng.random() < 0.01:
            self.is_online = not self.is_online
        if self.is_online:
            await self.deliver()
        if self.rng.random() < 0.15:
            number = str(self.number).encode()
            await self.log.save_checkpoint({"twin": number, "detector": number})
        if self.rng.random() < 0.05:
            self.begin(self.log.tidy())
        await asyncio.sleep(self.rng.random() / 500)

    def append(self) -> None:
        """Append a frame and what was made of it, as one group."""
        self.number += 1
        drafts: list[Draft] = [noisy_draft(self.number, self.table)]
        letters = "F"
        if self.rng.random() < 0.3:
            drafts.append(noisy_draft(self.number, self.table, kind=RecordKind.DERIVED))
            letters += "D"
        if self.rng.random() < 0.1:
            drafts.append(draft_event(make_event(self.number)))
            letters += "E"
        say("append", self.number, letters)
        self.begin(self.promise(self.log.append(drafts), self.number))

    def begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self.waiting.add(task)
        task.add_done_callback(self.waiting.discard)

    async def promise(self, ticket: Ticket, number: int) -> None:
        """Say that an append is durable, once it is."""
        await self.log.durable(ticket)
        say("durable", number)

    async def deliver(self) -> None:
        """Give the receiver something: of a hole, or of the end, or leave a hole."""
        chance = self.rng.random()
        holes = self.log.holes("cloud")
        end, cursor = self.log.end, self.log.cursor("cloud")
        if holes and chance < 0.5:
            hole = holes[0]
            records = await self.log.read(
                after=Seq(hole.first - 1), until=hole.last, size_bytes_max=READ_BYTES
            )
            self.receive(records)
            last = records[-1].seq if records else hole.last
            await self.log.fill("cloud", Span(first=hole.first, last=last))
        elif chance < 0.6:
            await self.log.skip("cloud", end)
        else:
            records = await self.log.read(after=cursor, size_bytes_max=READ_BYTES)
            self.receive(records)
            await self.log.advance("cloud", records[-1].seq if records else end)

    def receive(self, records: Sequence[Record]) -> None:
        for record in records:
            for boot, seq, word in words_of(record):
                say("got", boot, seq, word)


async def live(path: Path, seed: int, steps: int) -> None:
    """Live for some steps and close, or for ever."""
    log = open_log(path, VICTIM)
    if CARELESS in os.environ:
        await asyncio.wrap_future(log._writer.call(be_careless))
    table = log.intern(TAGS)
    say("open", log.boot, log.end)
    seq, parts = log.load_checkpoints()
    say("checkpoint", seq, *(part.decode() for part in parts.values()))
    say("holes", len(log.holes("cloud")))
    victim = Victim(log, table, seed)
    while not steps or victim.number % 1_000_000 < steps:
        await victim.step()
    say("closing", log.boot)
    await asyncio.gather(*victim.waiting)
    await log.close()
    say("closed", log.boot)


def be_careless(database: LogDatabase) -> None:
    database.connection.execute("PRAGMA synchronous = OFF")


def nursery() -> None:
    """Fork a victim for each line of the input."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for line in sys.stdin:
        path, seed, steps = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(live(Path(path), int(seed), int(steps)))
            os._exit(0)
        say("born", child)
        _, status = os.waitpid(child, 0)
        say("dead", child, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    nursery()
