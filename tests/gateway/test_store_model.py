"""The log against a list: random actions, the same answer from both.

The model is what a log is meant to be: a list of records with positions. Appends, commits, seals,
restarts, kept and moved cursors and reads of any span are chosen at random from a seed; after each
step the log must tell what the list tells.
"""

from pathlib import Path

import numpy as np
import pytest

from gateway.core.records import Boot, Draft, Record, RecordKind, Seq
from gateway.core.tags import TagTable
from gateway.store import LogReader
from gateway.wire.documents import draft_event
from gateway.wire.frames import FRAME_KINDS
from tests.gateway.store_cases import (
    SEALING,
    TAGS,
    frame_draft,
    make_event,
    open_log,
    samples,
)

EVERYTHING = 100_000_000
ACTIONS = 60


class Model:
    """What the log should hold."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.cursor = 0

    @property
    def end(self) -> int:
        return self.records[-1].seq if self.records else 0

    def append(self, drafts: list[Draft], boot: Boot) -> None:
        for draft in drafts:
            record = Record(boot=boot, seq=Seq(self.end + 1), kind=draft.kind, body=draft.body)
            self.records.append(record)

    def span(self, after: int, until: int) -> list[Record]:
        return [record for record in self.records if after < record.seq <= until]


class Run:
    """One log and its model, and the random actions on both."""

    def __init__(self, path: Path, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.path = path
        self.model = Model()
        self.number = 0
        self.log = open_log(path, SEALING)
        self.table = self.intern()

    def intern(self) -> TagTable:
        table = self.log.intern(TAGS)
        if not self.model.records:
            (record,) = LogReader(self.path).records()
            self.model.records.append(record)
        return table

    async def step(self) -> None:
        actions = (self.append, self.append, self.append, self.read, self.advance, self.tidy)
        action = actions[self.rng.integers(len(actions))]
        if self.rng.random() < 0.05:
            action = self.restart
        await action()
        assert self.log.cursor("cloud") == self.model.cursor

    async def append(self) -> None:
        drafts = [self.random_draft() for _ in range(self.rng.integers(1, 6))]
        ticket = self.log.append(drafts)
        self.model.append(drafts, self.log.boot)
        if self.rng.random() < 0.3:
            await self.log.durable(ticket)
            assert self.log.end == self.model.end

    def random_draft(self) -> Draft:
        self.number += 1
        if self.rng.random() < 0.1:
            return draft_event(make_event(self.number))
        kinds = sorted(FRAME_KINDS)
        count = int(self.rng.integers(1, len(TAGS) + 1))
        tags = self.rng.choice(len(TAGS), size=count, replace=False).tolist()
        kind = kinds[self.rng.integers(len(kinds))]
        return frame_draft(self.number, self.table, kind=kind, tags=tags)

    async def settle(self) -> None:
        await self.log.durable(self.log.append([]))
        assert self.log.end == self.model.end

    async def read(self) -> None:
        await self.settle()
        after, until = sorted(self.rng.integers(0, self.model.end + 3, size=2).tolist())
        limit = int(self.rng.choice([1, 3000, EVERYTHING]))
        found: list[Record] = []
        position = Seq(after)
        while page := await self.log.read(after=position, size_bytes_max=limit, until=Seq(until)):
            found += page
            position = page[-1].seq
        compare(found, self.model.span(after, until))

    async def advance(self) -> None:
        await self.settle()
        seq = int(self.rng.integers(0, self.model.end + 1))
        await self.log.advance("cloud", Seq(seq))
        self.model.cursor = max(self.model.cursor, seq)

    async def tidy(self) -> None:
        await self.settle()
        await self.log.tidy()

    async def restart(self) -> None:
        await self.log.close()
        self.log = open_log(self.path, SEALING)
        assert self.log.opening.was_clean
        assert self.log.end == self.model.end
        self.table = self.intern()


def compare(found: list[Record], expected: list[Record]) -> None:
    """Blocks count as the frames in them; everything else is equal to the byte."""
    with_frames = {*FRAME_KINDS, RecordKind.BLOCK}
    assert [record for record in found if record.kind not in with_frames] == [
        record for record in expected if record.kind not in with_frames
    ]
    assert samples(found) == samples(expected)


@pytest.mark.parametrize("seed", range(12))
async def test_the_log_agrees_with_a_list(tmp_path: Path, seed: int) -> None:
    run = Run(tmp_path / "log.db", seed)
    for _ in range(ACTIONS):
        await run.step()
    await run.log.close()
    compare(list(LogReader(run.path).records()), run.model.records)
