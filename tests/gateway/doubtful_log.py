"""A log with times in doubt; run as a program, it moves them until it kills itself."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from gateway.core.frame import ClockSource, Frame
from gateway.core.records import RecordKind, Seq
from gateway.core.tags import TagTable
from gateway.store import Doubt, RecordLog, Shift
from gateway.store.doubt import moved_frame
from gateway.wire.frames import draft_frame
from tests.gateway.store_cases import SECOND_NS, TAGS, make_frame, open_log

FROM_NS = 100 * SECOND_NS
"""The wrong clock began shortly after 1970."""
TO_NS = 100_000 * SECOND_NS
SHIFT = Shift(
    shift_ns=1_790_000_000 * SECOND_NS, from_ns=FROM_NS, to_ns=TO_NS, clock=ClockSource.REBASED
)
CLOCKS = (ClockSource.UNTRUSTED, ClockSource.SOURCE, ClockSource.GATEWAY)
"""Of the frames, in turns: ours in doubt, the machine's, and ours when it was right again."""


def doubt_of(first: Seq) -> Doubt:
    return Doubt(first=first, machine="this", offset_ns=0, from_ns=FROM_NS, known_ns=TO_NS)


def doubtful_frame(number: int, clock: ClockSource) -> Frame:
    """Return a frame whose value says which one it is, stamped by one of the clocks."""
    wrong_ns = FROM_NS + number * SECOND_NS
    right_ns = wrong_ns + SHIFT.shift_ns
    frame = make_frame(number)
    return replace(
        frame,
        time_ns=np.full(
            len(frame),
            wrong_ns if clock is ClockSource.UNTRUSTED else right_ns,
            dtype=np.int64,
        ),
        received_ns=right_ns if clock is ClockSource.GATEWAY else wrong_ns,
        server_ns=None,
        clock=clock,
    )


def expected_frame(number: int) -> Frame:
    """Return the frame as it has to be once its times are moved."""
    return moved_frame(doubtful_frame(number, CLOCKS[number % len(CLOCKS)]), SHIFT)


async def append_in_doubt(log: RecordLog, table: TagTable, numbers: Iterable[int]) -> None:
    """Append a frame for each number, with the clocks in turns."""
    for number in numbers:
        frame = doubtful_frame(number, CLOCKS[number % len(CLOCKS)])
        log.append([draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)])
    await log.durable(log.append([]))


async def be_killed(path: Path, count: int) -> None:
    """Fill the log and order the move, or go on with it; end by kill -9 when some of it is done."""
    log = open_log(path)
    table = log.intern(TAGS)
    if not log.rebasing.is_due:
        log.rebasing.begin(doubt_of(Seq(log.end + 1)))
        await append_in_doubt(log, table, range(count))
        log.rebasing.shift(SHIFT)
    begun = log.samples_end
    while log.samples_end == begun:
        await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(be_killed(Path(sys.argv[1]), int(sys.argv[2])))
