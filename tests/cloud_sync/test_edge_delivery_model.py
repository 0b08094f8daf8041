"""Delivery against a model: whatever goes wrong in between, every record arrives and none twice.

The log is a real one: frames are sealed into blocks while they are delivered, rows vanish from it
as retention takes them, and it is closed and opened again. The far end keeps what it knows by
identity, as the cloud does.
"""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.places import cursors_of
from gateway.core.cursors import SAMPLE_KINDS
from gateway.core.errors import UplinkError
from gateway.core.events import Event
from gateway.core.ports import Batch, SendResult
from gateway.core.records import Record, RecordKind, Seq
from gateway.store import RecordLog
from gateway.wire.clock import SystemClock
from gateway.wire.documents import draft_event
from gateway.wire.frames import frames_of
from tests.cloud_sync.edge_doubles import FAST, MemoryDeadLetters, until
from tests.gateway.store_cases import GATEWAY, SEALING, TAGS, frame_draft

Identity = tuple[int, int]
"""Boot and seq."""

ACTIONS = ("frames", "events", "seal", "restart", "reopen", "drop", "wait")
ANSWERS = ("all", "some", "none", "lost", "hang", "slow")


def identities(record: Record) -> list[Identity]:
    """Return what a record holds: a block is the frames in it."""
    if record.kind is not RecordKind.BLOCK:
        return [(record.boot, record.seq)]
    return [(frame.boot, frame.seq) for frame in frames_of(record)[0]]


@dataclass
class FarEnd:
    """Implements `Uplink`; its answers come from a script, then it takes all."""

    answers: list[str]
    name: str = "cloud"
    address: str = "https://far.end"
    taken: set[Identity] = field(default_factory=set)
    order: dict[str, list[Seq]] = field(
        default_factory=lambda: {"alarms": [], "live": [], "backfill": []}
    )
    in_flight: int = 0

    async def send(self, batch: Batch) -> SendResult:
        assert self.in_flight < 2
        self.in_flight += 1
        try:
            return await self._answer(batch, self.answers.pop() if self.answers else "all")
        finally:
            self.in_flight -= 1

    async def _answer(self, batch: Batch, answer: str) -> SendResult:
        await asyncio.sleep(0.003 if answer == "slow" else 0)
        if answer == "none":
            raise UplinkError("no")
        count = max(1, len(batch.records) // 2) if answer == "some" else len(batch.records)
        result = self._take(batch, batch.records[:count])
        if answer == "hang":
            await asyncio.sleep(0.03)
        if answer in ("hang", "lost"):
            raise UplinkError("taken, but the answer is lost")
        return result

    def _take(self, batch: Batch, records: tuple[Record, ...]) -> SendResult:
        is_notes = batch.records[0].kind not in SAMPLE_KINDS
        assert all((record.kind in SAMPLE_KINDS) is not is_notes for record in batch.records)
        kind = "alarms" if is_notes else "backfill" if batch.is_historical else "live"
        fresh = [each for record in records for each in identities(record)]
        fresh = [each for each in fresh if each not in self.taken]
        self.order[kind] += [Seq(seq) for _, seq in fresh]
        self.taken.update(fresh)
        duplicates = sum(not set(identities(record)) & set(fresh) for record in records)
        return SendResult(accepted=len(records), sample_count=0, duplicate_count=duplicates)

    async def aclose(self) -> None:
        pass


class Site:
    """The log, the delivery, and which records are still in the log."""

    def __init__(self, folder: Path, far_end: FarEnd, live_lag_s: float) -> None:
        self.path = folder / "log.db"
        self.far_end = far_end
        self.settings = FAST.model_copy(
            update={"batch_records_max": 5, "live_lag_s": live_lag_s, "retry_cap_s": 0.1}
        )
        self.count = 0
        self.open()

    def open(self) -> None:
        self.log = RecordLog.open(
            self.path, SEALING, gateway=GATEWAY, clock=SystemClock(), cursors=cursors_of("cloud")
        )
        self.table = self.log.intern(TAGS)
        self.begin()

    def begin(self) -> None:
        self.delivery = Delivery(
            self.far_end,
            gateway=GATEWAY,
            reader=self.log,
            settings=self.settings,
            dead_letters=MemoryDeadLetters(),
            clock=SystemClock(),
            note=lambda _: None,
        )
        self.running = asyncio.create_task(self.delivery.run())

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    async def do(self, action: str) -> None:
        if action == "frames":
            drafts = [frame_draft(self.count + each, self.table) for each in range(7)]
            self.count += 7
            await self.log.durable(self.log.append(drafts))
        elif action == "events":
            event = Event(time_ns=self.count, source="x", condition="hot", severity=1, text="")
            self.count += 1
            await self.log.durable(self.log.append([draft_event(event)]))
        elif action == "seal":
            await self.log.tidy()
        elif action == "restart":
            await self.end()
            self.begin()
        elif action == "reopen":
            await self.end()
            await self.log.close()
            self.open()
        elif action == "drop":
            self.drop()
        else:
            await asyncio.sleep(0.01)

    def drop(self) -> None:
        """Take the oldest third of the rows with samples out, as retention does."""
        with closing(sqlite3.connect(self.path, timeout=5)) as connection:
            rows = connection.execute(
                "SELECT seq FROM record WHERE kind IN (1, 2, 7, 8) ORDER BY seq"
            ).fetchall()
            for (last,) in rows[: len(rows) // 3]:
                connection.execute("DELETE FROM record WHERE seq = ?", (last,))
            connection.commit()

    async def everything(self) -> set[Identity]:
        records = await self.log.read(after=Seq(0), size_bytes_max=1 << 30)
        return {each for record in records for each in identities(record)}


@settings(max_examples=20, deadline=None)
@given(
    actions=st.lists(st.sampled_from(ACTIONS), min_size=3, max_size=14),
    answers=st.lists(st.sampled_from(ANSWERS), max_size=20),
    live_lag_s=st.sampled_from([1e-6, 0.005, 5.0]),
)
def test_every_record_arrives_once_and_in_the_order_of_its_class(
    actions: list[str], answers: list[str], live_lag_s: float
) -> None:
    async def story(folder: Path) -> None:
        far_end = FarEnd(answers)
        site = Site(folder, far_end, live_lag_s)
        for action in actions:
            await site.do(action)
        await until(lambda: site.delivery.status().lag_records == 0 or site.running.done())
        assert not site.running.done(), site.running.result()
        await site.end()
        missing = await site.everything() - far_end.taken
        assert not missing
        assert site.log.holes("cloud") == ()
        cursors = {lag.name: lag for lag in (await site.log.stats()).cursors}
        assert [lag.samples for lag in cursors.values()] == [0, 0]
        assert [lag.oldest_ns for lag in cursors.values()] == [None, None]
        for order in far_end.order.values():
            assert order == sorted(order)
        if live_lag_s == 5.0:
            assert far_end.order["backfill"] == []
        await site.log.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder)))


async def test_a_block_that_lies_partly_in_a_hole_is_sent_in_that_part_only(
    tmp_path: Path,
) -> None:
    far_end = FarEnd([])
    site = Site(tmp_path, far_end, 5.0)
    await site.end()
    begin = site.log.end
    await site.log.durable(
        site.log.append([frame_draft(number, site.table) for number in range(12)])
    )
    await site.log.advance("cloud", Seq(begin + 3))
    await site.log.skip("cloud", Seq(begin + 9))
    await site.log.tidy()
    site.begin()
    await until(lambda: site.delivery.status().lag_records == 0)
    await site.end()
    await site.log.close()
    assert far_end.order["backfill"] == list(range(begin + 4, begin + 10))
    assert far_end.order["live"] == list(range(begin + 10, begin + 13))
