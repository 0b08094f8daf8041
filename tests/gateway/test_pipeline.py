"""The pipeline with a real log and scripted stages: what is decided goes to disk with its cause."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analytics.alarms import LimitAlarms
from analytics.assessment import Assessment
from analytics.cases import CaseBook, CaseSettings
from analytics.limits import AlarmSettings, alarm_limit
from analytics.vibration.watch import VibrationWatch
from gateway.core.alarms import AlarmAction, AlarmId, AlarmOrder, AlarmState
from gateway.core.cases import Verdict
from gateway.core.events import Event
from gateway.core.frame import Frame, Origin
from gateway.core.ports import TwinUpdate
from gateway.core.quality import Status
from gateway.core.records import LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagId, TagTable
from gateway.core.twin_state import TwinState
from gateway.pipeline import Chain, Ingress, LiveValues, Pipeline, Processor
from gateway.store import LogReader, RecordLog
from gateway.wire.clock import SystemClock
from gateway.wire.frames import frames_of
from tests.gateway.service_run import events_in
from tests.gateway.store_cases import SECOND_NS, kinds, open_log, until
from tests.gateway.test_store_faults import refusing_disk

ASSET = AssetId("P-101")
MEASURED = (Tag(id=TagId("pumps.Flow")), Tag(id=TagId("pumps.Speed")))
TOTAL = Tag(id=TagId("P-101.total"), is_derived=True)
ALARM = AlarmId("P-101/total_high")
POISON = -1.0
BAD = int(Status.BAD_NO_COMMUNICATION)


class SumTwin:
    """Adds up every value it sees: what it saw twice, or not at all, shows."""

    assets = (ASSET,)
    derived_tags = (TOTAL,)

    def __init__(self) -> None:
        self.total = 0.0
        self.seen: list[list[float]] = []
        self._index = -1

    def bind(self, table: TagTable) -> None:
        self._index = table.index(TOTAL.id)

    def update(self, frame: Frame) -> TwinUpdate:
        if POISON in frame.value:
            raise ZeroDivisionError("poison")
        self.seen.append(frame.value.tolist())
        self.total += float(frame.value.sum())
        return TwinUpdate(
            rows=(),
            frame=replace(
                frame,
                tag_index=np.array([self._index], dtype=np.int32),
                time_ns=frame.time_ns[-1:].copy(),
                value=np.array([self.total]),
                status=np.zeros(1, dtype=np.uint32),
                is_received=False,
            ),
        )

    def state(self, asset: AssetId) -> TwinState:
        raise NotImplementedError

    def rebase(self, shift_ns: int) -> None:
        """A sum knows no times."""

    def checkpoint(self) -> bytes:
        return str(self.total).encode()

    def restore(self, checkpoint: bytes) -> None:
        self.total = float(checkpoint)


class Bench:
    """One start of a pipeline on a log."""

    def __init__(self, log: RecordLog, *, assets: Sequence[AssetId] = ()) -> None:
        self.log = log
        self.twin = SumTwin()
        settings = AlarmSettings(when="total >= 100", text="enough")
        self.board = LimitAlarms([alarm_limit(ASSET, "total_high", settings, signals={})])
        self.cases = CaseBook(assets, settings=CaseSettings(), diagnose=lambda _: None)
        chain = Chain(name="sum", twin=self.twin, detector=None)
        self.processor = Processor(
            [chain], VibrationWatch([]), Assessment([]), self.board, self.cases
        )
        self.table = log.intern((*MEASURED, TOTAL))
        self.processor.bind(self.table)
        self.ingress = Ingress(size_bytes_max=1 << 20)
        self.told: list[tuple[str, bool]] = []
        self.pipeline = Pipeline(
            ingress=self.ingress,
            table=self.table,
            processor=self.processor,
            board=self.board,
            cases=self.cases,
            store=log,
            clock=SystemClock(),
            values=LiveValues(self.table),
            listeners=[self._listen],
        )

    def _listen(self, events: Sequence[Event], is_live: bool) -> None:
        self.told += [(event.condition, is_live) for event in events]

    def restore(self) -> int:
        """Bring the state to the end of the log; returns the samples replayed."""
        seq, parts = self.log.load_checkpoints()
        assert self.pipeline.restore(parts) == ()
        return self.pipeline.replay(self.log.replay(after=seq, table=self.table))

    def act(self, action: AlarmAction, *, for_s: float | None = None) -> Event:
        """Do something to the alarm as a person."""
        now_ns = SystemClock().now_ns()
        return self.pipeline.act_on_alarm(
            AlarmOrder(
                alarm=ALARM,
                action=action,
                time_ns=now_ns,
                operator="somebody",
                reason="a test",
                until_ns=None if for_s is None else now_ns + round(for_s * 1e9),
            )
        )

    async def take_in(self, *entries: Frame | Event | LedgerEntry) -> None:
        """Process entries one by one, and wait until all is on disk."""
        for entry in entries:
            await self.pipeline.take_in([entry])
        await self.log.durable(self.log.append([]))


@asynccontextmanager
async def bench_in(folder: Path, *, assets: Sequence[AssetId] = ()) -> AsyncIterator[Bench]:
    log = open_log(folder / "log.db")
    try:
        yield Bench(log, assets=assets)
    finally:
        await log.close()


def frame(*values: float, age_s: float = 0.0, origin: Origin = Origin.LIVE) -> Frame:
    """Return values of the first tag, a microsecond apart, that came so many seconds ago."""
    count = len(values)
    now_ns = SystemClock().now_ns() - int(age_s * 1e9)
    return Frame(
        tag_index=np.zeros(count, dtype=np.int32),
        time_ns=now_ns + 1000 * np.arange(count),
        value=np.array(values),
        status=np.zeros(count, dtype=np.uint32),
        received_ns=now_ns,
        arrival_ns=SystemClock().monotonic_ns() - int(age_s * 1e9),
        origin=origin,
    )


def lagging(frame: Frame, *, by_s: float) -> Frame:
    """Return a frame as from a machine whose clock lags."""
    return replace(frame, time_ns=frame.time_ns - int(by_s * 1e9))


def stored_frames(path: Path, kind: RecordKind) -> list[Frame]:
    return [
        stored.frame
        for record in LogReader(path).records(after=Seq(0))
        if record.kind is kind
        for stored in frames_of(record)[0]
    ]


def values_on_disk(path: Path, kind: RecordKind = RecordKind.FRAME) -> list[list[float]]:
    return [each.value.tolist() for each in stored_frames(path, kind)]


async def test_a_frame_and_all_it_led_to_are_one_append(tmp_path: Path) -> None:
    async with bench_in(tmp_path) as bench:
        await bench.take_in(frame(60.0), frame(50.0))
        assert kinds(bench.log.path) == ["TAGS", "FRAME", "DERIVED", "FRAME", "DERIVED", "EVENT"]
        assert (await bench.log.stats()).stored_samples == 2


async def test_a_disk_that_refuses_delays_no_decision(tmp_path: Path) -> None:
    """The frame and what was decided from it come to the disk together, when it is back."""
    async with bench_in(tmp_path) as bench:
        await bench.take_in(frame(60.0))
        with refusing_disk():
            await bench.pipeline.take_in([frame(50.0)])
            await until(lambda: bool(bench.log.reason))
            # Decided all the same: nothing waits for the disk.
            assert bench.told == [("total_high", True)]
        await until(lambda: not bench.log.reason)
        assert kinds(bench.log.path)[1:] == ["FRAME", "DERIVED", "FRAME", "DERIVED", "EVENT"]


@pytest.mark.parametrize("count", range(1, 6))
async def test_whatever_a_person_did_to_an_alarm_is_replayed(tmp_path: Path, count: int) -> None:
    """Each order by itself and after the others: the state, the figures and the reasons."""
    orders = (
        (AlarmAction.ACKNOWLEDGE, None),
        (AlarmAction.SHELVE, 3600.0),
        (AlarmAction.UNSHELVE, None),
        (AlarmAction.TAKE_OUT, None),
        (AlarmAction.PUT_BACK, None),
    )
    async with bench_in(tmp_path, assets=[ASSET]) as bench:
        await bench.pipeline.checkpoint()
        await bench.take_in(frame(60.0, 50.0))
        for action, for_s in orders[:count]:
            assert bench.act(action, for_s=for_s).reason == "a test"
        await bench.log.durable(bench.log.append([]))
        alarms, end_ns = bench.board.alarms(), SystemClock().now_ns()
        cases = bench.cases.cases()
        assert [bool(case.active) for case in cases] == [count not in (2, 4)]
        metrics = bench.board.metrics(end_ns)
    async with bench_in(tmp_path, assets=[ASSET]) as again:
        again.restore()
        assert alarms == again.board.alarms()
        assert metrics == again.board.metrics(end_ns)
        assert cases == again.cases.cases()


async def test_replay_gives_the_same_state_and_stores_nothing(tmp_path: Path) -> None:
    """With the checkpoint in the middle: neither side of it counts twice."""
    async with bench_in(tmp_path) as bench:
        await bench.take_in(frame(60.0))
        await bench.pipeline.checkpoint()
        await bench.take_in(frame(50.0, 7.0), frame(3.0))
        bench.act(AlarmAction.ACKNOWLEDGE)
        await bench.log.durable(bench.log.append([]))
        alarms = bench.board.alarms()
        assert [alarm.state for alarm in alarms] == [AlarmState.ACKNOWLEDGED]
        end = bench.log.end
    async with bench_in(tmp_path) as again:
        assert again.restore() == 3
        assert again.twin.total == 120.0
        assert again.twin.seen == [[50.0, 7.0], [3.0]]
        assert again.board.alarms() == alarms
        assert again.told == []
        assert again.pipeline.values.value[0] == 3.0
        assert again.log.end == end


async def test_a_verdict_on_a_case_is_on_disk_and_comes_back(tmp_path: Path) -> None:
    """A case and what a technician said of it outlive a restart, with or without a checkpoint."""
    async with bench_in(tmp_path, assets=[ASSET]) as bench:
        await bench.take_in(frame(120.0))
        (case,) = bench.cases.cases()
        told = bench.pipeline.decide(case.id, Verdict.FALSE, note="a: test", operator="kim")
        await bench.log.durable(bench.log.append([]))
        cases = bench.cases.cases()
        assert [each.condition for each in events_in(bench.log.path)] == [
            "total_high",
            "case_opened",
            told.condition,
        ]
    async with bench_in(tmp_path, assets=[ASSET]) as again:
        again.restore()
        assert again.cases.cases() == cases
        await again.pipeline.checkpoint()
    async with bench_in(tmp_path, assets=[ASSET]) as third:
        third.restore()
        assert third.cases.cases() == cases


async def test_a_frame_that_breaks_a_stage_is_stored_and_the_next_goes_on(tmp_path: Path) -> None:
    """And it breaks neither the replay after a restart: nothing would ever start again."""
    async with bench_in(tmp_path) as bench:
        await bench.take_in(frame(1.0), frame(2.0, POISON), frame(3.0))
        assert values_on_disk(bench.log.path) == [[1.0], [2.0, POISON], [3.0]]
        assert values_on_disk(bench.log.path, RecordKind.DERIVED) == [[1.0], [4.0]]
        [event] = events_in(bench.log.path)
        assert (event.source, event.condition) == ("gateway", "frame_quarantined")
        assert "poison" in event.text
        assert bench.told == [("frame_quarantined", True)]
        assert bench.pipeline.quarantined_frames == 1
    async with bench_in(tmp_path) as again:
        assert again.restore() == 4
        assert again.twin.total == 4.0
        assert len(events_in(again.log.path)) == 1


async def test_frames_that_wait_together_are_joined_in_order(tmp_path: Path) -> None:
    """Events and the ledger keep their place between them."""
    note = Event(time_ns=SECOND_NS, source="pumps", condition="test", severity=1, text="in between")
    gap = LedgerEntry(
        reason=LedgerReason.DEVICE_LOST, source="pumps", from_ns=1, to_ns=2, count=None
    )
    async with bench_in(tmp_path) as bench:
        await bench.pipeline.take_in([frame(1.0), frame(2.0, 3.0), note, frame(4.0), gap])
        await bench.log.durable(bench.log.append([]))
        assert bench.twin.seen == [[1.0, 2.0, 3.0], [4.0]]
        assert kinds(bench.log.path)[1:] == [
            *("FRAME", "DERIVED"),
            "EVENT",
            *("FRAME", "DERIVED"),
            "LEDGER",
        ]


async def test_only_live_and_young_frames_lead_to_actions(tmp_path: Path) -> None:
    """Historical and late frames change state and are stored; whoever listens knows them apart.

    Late is what came long ago: the clock of a machine that lags makes nothing late.
    """
    for number, (entry, is_live) in enumerate(
        [
            (frame(100.0), True),
            (frame(100.0, origin=Origin.HISTORICAL), False),
            (frame(100.0, age_s=60.0), False),
            (lagging(frame(100.0), by_s=3600.0), True),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with bench_in(folder) as bench:
            await bench.take_in(entry)
            assert bench.told == [("total_high", is_live)]
            assert len(events_in(bench.log.path)) == 1
            assert bench.board.alarms()[0].state is AlarmState.UNACKNOWLEDGED


async def test_what_a_gap_was_healed_with_changes_no_state_and_is_told_to_nobody(
    tmp_path: Path,
) -> None:
    """It is stored; twin, alarms and last values know newer, now and after a restart."""
    healed = frame(150.0, 160.0, age_s=20.0, origin=Origin.HISTORICAL)
    # An hour ahead, as a source whose clock is wrong gives it: still older than the live value.
    live = frame(3.0)
    ahead = replace(live, time_ns=live.time_ns + 3600 * SECOND_NS)
    async with bench_in(tmp_path) as bench:
        await bench.take_in(frame(1.0, age_s=40.0), ahead, healed)
        assert bench.told == []
        assert bench.twin.seen == [[1.0], [3.0]]
        assert bench.pipeline.values.value[0] == 3.0
        assert bench.board.alarms() == ()
        assert values_on_disk(bench.log.path) == [[1.0], [3.0], [150.0, 160.0]]
    async with bench_in(tmp_path) as again:
        assert again.restore() == 4
        assert again.twin.seen == [[1.0], [3.0]]
        assert again.pipeline.values.value[0] == 3.0
        assert again.told == []


async def test_a_value_that_comes_back_unchanged_is_stated_to_be_good_again(
    tmp_path: Path,
) -> None:
    """It comes with its old source time; sorted by time, the log would end with our Bad edge."""
    before, edge, now = frame(7.0, age_s=60.0), frame(0.0, age_s=5.0), frame(7.0)
    edge = replace(
        edge, value=np.array([np.nan]), status=np.array([BAD], np.uint32), is_received=False
    )
    back = replace(now, time_ns=before.time_ns)
    async with bench_in(tmp_path) as bench:
        await bench.take_in(before, edge, back)
        await bench.take_in(*await bench.ingress.take())
        frames = stored_frames(bench.log.path, RecordKind.FRAME)
        stated = stored_frames(bench.log.path, RecordKind.STATED)
        assert [each.time_ns.tolist() for each in frames] == [before.time_ns.tolist()] * 2
        newest = max((*frames, *stated), key=lambda each: int(each.time_ns[-1]))
        assert (newest.value.tolist(), newest.status.tolist()) == ([7.0], [0])
        assert newest.time_ns.tolist() == [back.received_ns]
        await bench.take_in(back)
        assert bench.ingress.size_bytes == 0, "stated once"


async def test_latency_is_that_of_live_frames(tmp_path: Path) -> None:
    async with bench_in(tmp_path) as bench:
        await bench.take_in(frame(1.0, origin=Origin.HISTORICAL), replace(frame(2.0), arrival_ns=0))
        assert bench.pipeline.latency.count == 0
        await bench.take_in(frame(3.0))
        assert bench.pipeline.latency.count == 1


async def test_a_stop_at_any_entry_loses_none(tmp_path: Path) -> None:
    """Cancelled between any two entries, the rest is processed by the drain, in order."""
    expected = [float(number) for number in range(6)]
    for steps in range(len(expected) + 2):
        folder = tmp_path / str(steps)
        folder.mkdir()
        async with bench_in(folder) as bench:
            for number in expected:
                # An event between two frames keeps them apart.
                await bench.ingress.put(frame(number))
                bench.ingress.note(_note(number))
            running = asyncio.create_task(bench.pipeline.run())
            for _ in range(steps):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait([running])
            await bench.pipeline.drain()
            assert bench.ingress.size_bytes == 0
        assert values_on_disk(bench.log.path) == [[number] for number in expected]


def _note(number: float) -> Event:
    return Event(
        time_ns=int(number), source="pumps", condition="test", severity=1, text=f"{number}"
    )
