"""The pipeline with a real log and scripted stages: what is decided goes to disk with its cause."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np

from gateway.core.alarms import AlarmAction, AlarmState
from gateway.core.cases import Verdict
from gateway.core.events import Event
from gateway.core.frame import Origin
from gateway.core.records import LedgerEntry, LedgerReason, RecordKind
from tests.gateway.pipeline_bench import (
    ASSET,
    BAD,
    POISON,
    bench_in,
    frame,
    lagging,
    stored_frames,
    values_on_disk,
)
from tests.gateway.service_run import events_in
from tests.gateway.store_cases import SECOND_NS, kinds, until
from tests.gateway.test_store_faults import refusing_disk


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
