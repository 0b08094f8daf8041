"""A process that writes to a log until it is killed, and says what it was promised.

Importing takes longer than a life, so one nursery process imports once and forks a victim for
each line it is given: `path seed`. A victim prints a line for each append *before* it is made and
one for each append that is durable; the pipe keeps them when the process is gone.
"""

import asyncio
import os
import sys
from pathlib import Path

import numpy as np
import structlog

from gateway.core.records import RecordKind
from gateway.store import RecordLog, Ticket
from gateway.wire.documents import draft_event
from tests.gateway.store_cases import SEALING, TAGS, frame_draft, make_event, open_log


def say(*words: object) -> None:
    """Write one line at once and whole; a pipe takes short writes without splitting them."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def live(path: Path, seed: int) -> None:
    """Append groups of one frame and what was made of it, for ever."""
    rng = np.random.default_rng(seed)
    log = open_log(path, SEALING)
    table = log.intern(TAGS)
    say("open", log.boot)
    number = log.boot * 1_000_000
    waiting: set[asyncio.Task[None]] = set()
    while True:
        number += 1
        drafts = [frame_draft(number, table)]
        if rng.random() < 0.3:
            drafts.append(frame_draft(number, table, kind=RecordKind.DERIVED))
        if rng.random() < 0.1:
            drafts.append(draft_event(make_event(number)))
        say("append", number, len(drafts))
        task = asyncio.create_task(promise(log, log.append(drafts), number))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        await log.advance("cloud", log.end)
        if rng.random() < 0.02:
            await log.save_checkpoint({"number": str(number).encode()})
        if rng.random() < 0.05:
            waiting.add(asyncio.create_task(log.tidy()))
        await asyncio.sleep(rng.random() / 500)


async def promise(log: RecordLog, ticket: Ticket, number: int) -> None:
    """Say that an append is durable, once it is."""
    await log.durable(ticket)
    say("durable", number)


def nursery() -> None:
    """Fork a victim for each line of the input."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for line in sys.stdin:
        path, seed = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(live(Path(path), int(seed)))
        say("born", child)
        os.waitpid(child, 0)
        say("dead", child)


if __name__ == "__main__":
    nursery()
