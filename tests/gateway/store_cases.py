"""What the tests of the log share: tags, frames, a clock that can be set, a look inside."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from gateway.core.cursors import Scope
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.records import Draft, GatewayId, LedgerEntry, Record, RecordKind, Seq
from gateway.core.tags import Tag, TagId, TagTable
from gateway.store import LogReader, LogSettings, RecordLog
from gateway.store.bodies import Bodies, PlainBodies
from gateway.wire.clock import SystemClock
from gateway.wire.documents import decode_ledger_entry
from gateway.wire.frames import StoredFrame, draft_frame, frames_of

GATEWAY = GatewayId("pumphouse-1")
START_NS = 1_760_000_000_000_000_000
SECOND_NS = 1_000_000_000
TAGS = tuple(Tag(id=TagId(f"pumps.T{number}")) for number in range(8))
QUICK = LogSettings(group_commit_s=0.01, retention_period_s=0.05, retry_s=0.05, ballast_bytes=0)
"""Commits soon and seals late."""
SEALING = QUICK.model_copy(update={"seal_after_s": 0.0, "block_s": 0.0})
"""Seals whatever there is at every look."""

Sample = tuple[str, int, int, int, int, float]
"""Kind, boot, seq, tag, time, value: one sample with the identity of its frame."""


class SettableClock(SystemClock):
    """The system's clock with a wall time that can be moved."""

    def __init__(self, shift_s: float = 0.0) -> None:
        self.shift_s = shift_s

    def now_ns(self) -> int:
        return super().now_ns() + int(self.shift_s * 1e9)


def open_log(
    path: Path,
    settings: LogSettings = QUICK,
    *,
    cursors: Sequence[str] = ("cloud",),
    clock: SystemClock | None = None,
) -> RecordLog:
    return RecordLog.open(
        path,
        settings,
        gateway=GATEWAY,
        clock=clock or SettableClock(),
        cursors=dict.fromkeys(cursors, Scope.ALL),
    )


def make_frame(number: int, *, tags: Sequence[int] = range(len(TAGS))) -> Frame:
    """Return a frame whose values all say which one it is; every other one has server's times."""
    count = len(tags)
    time_ns = START_NS + number * SECOND_NS
    server_ns = np.full(count, time_ns, dtype=np.int64) - np.arange(count)
    server_ns[::3] = 0
    return Frame(
        tag_index=np.array(tags, dtype=np.int32),
        time_ns=np.full(count, time_ns, dtype=np.int64),
        server_ns=server_ns if number % 2 else None,
        value=number + np.arange(count) / 100,
        status=np.zeros(count, dtype=np.uint32),
        received_ns=time_ns + 1,
    )


def frame_draft(
    number: int,
    table: TagTable,
    *,
    kind: RecordKind = RecordKind.FRAME,
    tags: Sequence[int] = range(len(TAGS)),
) -> Draft:
    return draft_frame(make_frame(number, tags=tags), epoch=table.epoch, kind=kind)


def make_event(number: int) -> Event:
    return Event(
        time_ns=START_NS + number * SECOND_NS,
        source="P-101",
        condition="test",
        severity=500,
        text=f"event {number}",
    )


async def append_all(log: RecordLog, drafts: Iterable[Draft]) -> None:
    """Append each draft for itself, and wait until all are on disk."""
    ticket = None
    for draft in drafts:
        ticket = log.append([draft])
    if ticket is not None:
        await log.durable(ticket)


def stored_frames(records: Iterable[Record]) -> list[StoredFrame]:
    """Return the frames in records, those in blocks included, in the order of the log."""
    with_frames = (RecordKind.FRAME, RecordKind.STATED, RecordKind.DERIVED, RecordKind.BLOCK)
    return [
        stored
        for record in records
        if record.kind in with_frames
        for stored in frames_of(record)[0]
    ]


def samples(records: Iterable[Record]) -> list[Sample]:
    """Return every sample in records with its identity."""
    return [
        (stored.kind.name, stored.boot, stored.seq, tag, time_ns, value)
        for stored in stored_frames(records)
        for tag, time_ns, value in zip(
            stored.frame.tag_index.tolist(),
            stored.frame.time_ns.tolist(),
            stored.frame.value.tolist(),
            strict=True,
        )
    ]


def ledger(path: Path, *, bodies: Bodies | None = None) -> list[LedgerEntry]:
    """Return all entries of the ledger that are in a log."""
    reader = LogReader(path, bodies=bodies or PlainBodies())
    return [
        decode_ledger_entry(record.body)
        for record in reader.records(after=Seq(0))
        if record.kind is RecordKind.LEDGER
    ]


def kinds(path: Path) -> list[str]:
    return [record.kind.name for record in LogReader(path).records()]


async def until(is_true: Callable[[], bool], *, deadline_s: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + deadline_s
    while not is_true():
        assert time.monotonic() < end, "waited too long"
        await asyncio.sleep(0.01)
