"""The pipeline follows the gateway's clock: with a real log, and clocks that a test moves."""

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
from gateway.core.alarms import AlarmAction, AlarmOrder, AlarmState
from gateway.core.events import Event, Transition
from gateway.core.frame import ClockSource, Frame
from gateway.core.records import RecordKind
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagId
from gateway.pipeline import (
    ClockSettings,
    Ingress,
    LiveValues,
    Pipeline,
    Processor,
    Timekeeper,
)
from gateway.pipeline.pipeline import joined
from gateway.store import LogReader, RecordLog
from gateway.wire.clock import WatchedClock
from gateway.wire.documents import decode_event
from tests.gateway.store_cases import GATEWAY, QUICK, SettableClock, stored_frames, until

S = 1_000_000_000
NOW_NS = 1_790_000_000 * S
HOUR_NS = 3600 * S
WAIT_S = 100.0
DELAY_S = 60
ASSET = AssetId("press")
ALARM = "press/high"
TAGS = (Tag(id=TagId("plc.pressure")),)
"""Stamped by the gateway, as Modbus is."""


class TwoHands:
    """A wall clock and a monotonic one, each moved by hand."""

    is_trusted = True

    def __init__(self, wall_ns: int = NOW_NS) -> None:
        self.wall_ns = wall_ns
        self.is_synchronised: bool | None = None
        """What the kernel says; None asks for nothing but a plausible time."""
        self.run_ns = 1000 * S

    def now_ns(self) -> int:
        return self.wall_ns

    def monotonic_ns(self) -> int:
        return self.run_ns

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.wall_ns += int(seconds * S)
        self.run_ns += int(seconds * S)


class Bench:
    """One start of a pipeline with a timekeeper."""

    def __init__(self, log: RecordLog, clock: TwoHands, *, machine: str, known_ns: int) -> None:
        self.log = log
        self.clock = clock
        settings = AlarmSettings(when="pressure > 10", delay_s=DELAY_S, text="look")
        limit = alarm_limit(ASSET, "high", settings, signals={"pressure": TAGS[0].id})
        self.board = LimitAlarms([limit])
        self.cases = CaseBook([], settings=CaseSettings(), diagnose=lambda _: None)
        self.processor = Processor([], VibrationWatch([]), Assessment([]), self.board, self.cases)
        table = log.intern(TAGS)
        self.processor.bind(table)
        self.told: list[Event] = []
        self.watched = WatchedClock(clock)
        self.pipeline = Pipeline(
            ingress=Ingress(size_bytes_max=1 << 20),
            table=table,
            processor=self.processor,
            board=self.board,
            cases=self.cases,
            store=log,
            clock=self.watched,
            values=LiveValues(table),
            listeners=[self._listen],
            timekeeper=Timekeeper(
                self.watched,
                ClockSettings(
                    wait_s=WAIT_S,
                    trust="plausible" if clock.is_synchronised is None else "kernel",
                ),
                table=table,
                opening=replace(log.opening, opened_ns=clock.wall_ns, known_ns=known_ns),
                rebasing=log.rebasing,
                machine=machine,
                is_synchronised=lambda: clock.is_synchronised,
            ),
        )
        self.table = table

    def _listen(self, events: Sequence[Event], is_live: bool) -> None:
        self.told += events

    def is_in_doubt(self) -> bool:
        return not self.watched.is_trusted

    def frame(self, value: float, *, clock: ClockSource = ClockSource.GATEWAY) -> Frame:
        """Return one sample that is received now."""
        return Frame(
            tag_index=np.zeros(1, dtype=np.int32),
            time_ns=np.array([self.clock.wall_ns]),
            value=np.array([value]),
            status=np.zeros(1, dtype=np.uint32),
            received_ns=self.clock.wall_ns,
            arrival_ns=self.clock.run_ns,
            clock=clock,
        )

    async def run(self, seconds: int, value: float) -> None:
        """Take in one sample a second."""
        for _ in range(seconds):
            self.clock.go(1)
            await self.pipeline.take_in([self.frame(value)])

    async def stored(self) -> list[Frame]:
        await self.log.durable(self.log.append([]))
        await until(lambda: not self.log.rebasing.is_due)
        return [x.frame for x in stored_frames(LogReader(self.log.path).records())]


@asynccontextmanager
async def bench_in(
    folder: Path, clock: TwoHands, *, machine: str = "this", known_ns: int = 0
) -> AsyncIterator[Bench]:
    log = RecordLog.open(
        folder / "log.db", QUICK, gateway=GATEWAY, clock=SettableClock(), machine=machine
    )
    try:
        yield Bench(log, clock, machine=machine, known_ns=known_ns)
    finally:
        await log.close()


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS], ids=["forward", "back"])
async def test_a_delay_of_an_alarm_runs_on_as_if_the_clock_had_not_been_set(
    tmp_path: Path, step_ns: int
) -> None:
    clock = TwoHands()
    async with bench_in(tmp_path, clock) as bench:
        await bench.run(10, 20.0)
        clock.wall_ns += step_ns
        await bench.run(DELAY_S - 15, 20.0)
        assert bench.board.alarms() == ()
        await bench.run(10, 20.0)
        [alarm] = bench.board.alarms()
        assert alarm.state is AlarmState.UNACKNOWLEDGED
        [jumped, _] = bench.told
        assert (jumped.condition, jumped.transition) == ("clock_jumped", Transition.NOTED)


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS], ids=["forward", "back"])
async def test_a_shelved_alarm_is_silent_for_as_long_as_a_person_said(
    tmp_path: Path, step_ns: int
) -> None:
    clock = TwoHands()
    async with bench_in(tmp_path, clock) as bench:
        await bench.run(DELAY_S + 5, 20.0)
        [alarm] = bench.board.alarms()
        bench.pipeline.act_on_alarm(
            AlarmOrder(
                alarm=alarm.id,
                action=AlarmAction.SHELVE,
                time_ns=clock.wall_ns,
                operator="kim",
                until_ns=clock.wall_ns + 100 * S,
            )
        )
        clock.wall_ns += step_ns
        await bench.run(90, 20.0)
        assert bench.board.alarms()[0].state is AlarmState.SHELVED
        await bench.run(15, 20.0)
        assert bench.board.alarms()[0].state is AlarmState.UNACKNOWLEDGED


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS], ids=["forward", "back"])
async def test_a_replay_over_a_step_leads_where_the_live_run_led(
    tmp_path: Path, step_ns: int
) -> None:
    clock = TwoHands()
    async with bench_in(tmp_path, clock) as bench:
        await bench.run(10, 20.0)
        clock.wall_ns += step_ns
        await bench.run(20, 20.0)
        await bench.stored()
        expected = bench.processor.checkpoint()
    async with bench_in(tmp_path, clock) as again:
        again.pipeline.replay(again.log.replay(after=again.log.load_checkpoints()[0],
                                               table=again.table))  # fmt: skip
        assert again.processor.checkpoint() == expected


async def test_the_step_stands_between_what_was_stamped_before_and_after(tmp_path: Path) -> None:
    """The frame itself shows that the clock was set: nobody need have looked in between."""
    clock = TwoHands()
    async with bench_in(tmp_path, clock) as bench:
        await bench.run(3, 1.0)
        clock.wall_ns += HOUR_NS
        await bench.run(3, 1.0)
        await bench.stored()
        kinds = [record.kind for record in LogReader(bench.log.path).records()]
    frame, event = RecordKind.FRAME, RecordKind.EVENT
    assert kinds == [RecordKind.TAGS, frame, frame, frame, event, frame, frame, frame]


async def test_what_waited_while_the_clock_was_set_is_moved_at_once(tmp_path: Path) -> None:
    """Stamped by the former clock and taken in under the new one; not joined with the others."""
    clock = TwoHands()
    async with bench_in(tmp_path, clock) as bench:
        await bench.run(3, 1.0)
        clock.go(1)
        late, theirs = bench.frame(2.0), bench.frame(3.0, clock=ClockSource.SOURCE)
        clock.wall_ns += HOUR_NS
        new = bench.frame(4.0)
        assert [len(x) for x in joined([late, new]) if isinstance(x, Frame)] == [1, 1]
        await bench.pipeline.take_in([new, late, theirs])
        *_, new, late, theirs = await bench.stored()
        assert (new.clock, late.clock) == (ClockSource.GATEWAY, ClockSource.REBASED)
        assert late.time_ns.tolist() == new.time_ns.tolist()
        assert theirs.clock is ClockSource.SOURCE
        assert theirs.time_ns.tolist() == [clock.wall_ns - HOUR_NS]
        assert late.received_ns == theirs.received_ns == new.received_ns


async def test_a_clock_in_doubt_is_told_marked_and_put_right(tmp_path: Path) -> None:
    clock = TwoHands(wall_ns=60 * S)
    async with bench_in(tmp_path, clock) as bench:
        assert bench.is_in_doubt()
        await bench.pipeline.follow_clock()
        await bench.run(DELAY_S + 5, 20.0)
        raised, alarm = bench.told
        assert (raised.condition, raised.transition) == ("clock_in_doubt", Transition.RAISED)
        assert alarm.condition == "high"
        frames = await bench.stored()
        assert {frame.clock for frame in frames} == {ClockSource.UNTRUSTED}
        assert bench.log.samples_end < bench.log.end
        clock.wall_ns = NOW_NS
        await bench.run(3, 20.0)
        frames = await bench.stored()
        assert bench.log.samples_end == bench.log.end
        assert not bench.is_in_doubt()
        *_, settled = bench.told
        assert (settled.condition, settled.transition) == ("clock_in_doubt", Transition.RETURNED)
        times = np.concatenate([frame.time_ns for frame in frames])
        assert np.diff(times).tolist()[:-3] == [S] * (DELAY_S + 4)
        assert [x.clock for x in frames[-4:]] == [
            ClockSource.REBASED,
            *[ClockSource.GATEWAY] * 3,
        ]
        assert abs(int(times[0]) - (NOW_NS - (DELAY_S + 4) * S)) <= S


async def test_where_the_kernel_is_asked_a_clock_may_turn_out_to_be_right(tmp_path: Path) -> None:
    """Nothing had to be set: the samples keep their times, and are known to be right."""
    clock = TwoHands()
    clock.is_synchronised = False
    async with bench_in(tmp_path, clock) as bench:
        await bench.pipeline.follow_clock()
        await bench.run(3, 1.0)
        before = await bench.stored()
        assert {frame.clock for frame in before} == {ClockSource.UNTRUSTED}
        clock.is_synchronised = True
        await bench.pipeline.follow_clock()
        after = await bench.stored()
        assert bench.log.samples_end == bench.log.end
    assert {frame.clock for frame in after} == {ClockSource.REBASED}
    assert [x.time_ns.tolist() for x in after] == [x.time_ns.tolist() for x in before]
    assert "was right to 0.0 s" in bench.told[-1].text


async def test_a_checkpoint_stands_behind_every_move_of_times(tmp_path: Path) -> None:
    """A replay that began before it would see moved times, and then hear that they move."""
    clock = TwoHands(wall_ns=60 * S)
    async with bench_in(tmp_path, clock) as bench:
        await bench.run(10, 20.0)
        clock.wall_ns = NOW_NS
        await bench.run(10, 20.0)
        await bench.stored()
        expected = bench.processor.checkpoint()
    async with bench_in(tmp_path, clock) as again:
        seq, parts = again.log.load_checkpoints()
        events = [
            decode_event(record.body)
            for record in LogReader(again.log.path).records(after=seq)
            if record.kind is RecordKind.EVENT
        ]
        assert events == []
        assert again.pipeline.restore(parts) == ()
        again.pipeline.replay(again.log.replay(after=seq, table=again.table))
        assert again.processor.checkpoint() == expected


async def test_samples_in_doubt_wait_so_long_and_no_longer(tmp_path: Path) -> None:
    clock = TwoHands(wall_ns=NOW_NS - HOUR_NS)
    async with bench_in(tmp_path, clock, known_ns=NOW_NS) as bench:
        await bench.pipeline.follow_clock()
        await bench.run(int(WAIT_S) - 5, 1.0)
        await bench.pipeline.follow_clock()
        await bench.stored()
        assert bench.log.samples_end < bench.log.end
        await bench.run(10, 1.0)
        await bench.pipeline.follow_clock()
        frames = await bench.stored()
        assert bench.log.samples_end == bench.log.end
        assert [x.transition for x in bench.told] == [Transition.RAISED, Transition.NOTED]
        assert frames[-1].clock is ClockSource.UNTRUSTED


async def test_after_a_power_cut_nobody_knows_and_the_marks_stay(tmp_path: Path) -> None:
    clock = TwoHands(wall_ns=60 * S)
    async with bench_in(tmp_path, clock, machine="before") as bench:
        await bench.run(3, 1.0)
        await bench.stored()
    async with bench_in(tmp_path, TwoHands(), machine="after") as again:
        await again.run(3, 1.0)
        frames = await again.stored()
        assert again.log.samples_end == again.log.end
        assert [x.clock for x in frames] == [
            *[ClockSource.UNTRUSTED] * 3,
            *[ClockSource.GATEWAY] * 3,
        ]
