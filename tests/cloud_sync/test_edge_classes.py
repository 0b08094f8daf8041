"""Alarms, live samples and backfill of one uplink beside each other."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from cloud_sync.edge.delivery import HOLES_MAX
from gateway.core.cursors import Cursor, Span
from gateway.core.errors import RefusedBatchError, UplinkError
from gateway.core.events import Transition
from gateway.core.ports import Batch, SendResult
from gateway.core.records import LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.core.uplink_status import ClassStatus, DeliveryClass
from gateway.wire.clock import SystemClock
from tests.cloud_sync.edge_doubles import (
    FAST,
    Bench,
    MemoryLog,
    ScriptedUplink,
    event_body,
    no_answer,
    take_all,
    until,
)

HOUR_NS = 3600 * 1_000_000_000
SMALL = FAST.model_copy(update={"batch_records_max": 10})


class NoonClock(SystemClock):
    """Stands at noon of a day, so that no test goes over midnight."""

    def now_ns(self) -> int:
        return 20_000 * 24 * HOUR_NS + 12 * HOUR_NS


def kinds(batch: Batch) -> set[RecordKind]:
    return {record.kind for record in batch.records}


def class_of(batch: Batch) -> str:
    if kinds(batch).isdisjoint({RecordKind.FRAME}):
        return "alarms"
    return "backfill" if batch.is_historical else "live"


def has_taken(uplink: ScriptedUplink, seq: Seq) -> bool:
    return seq in uplink.taken[-20:]


def standing(bench: Bench) -> dict[DeliveryClass, ClassStatus]:
    return {each.name: each for each in bench.delivery.status().classes}


async def late_log(count: int) -> MemoryLog:
    """Return a log with frames that an earlier start left an hour ago."""
    reader = MemoryLog()
    await reader.append_frames(count)
    reader.oldest_ns = SystemClock().now_ns() - HOUR_NS
    return reader


class SlowUplink(ScriptedUplink):
    """Takes a while for each historical batch, or never answers it."""

    def __init__(self, backfill_s: float | None) -> None:
        super().__init__()
        self.backfill_s = backfill_s
        self.in_flight = 0
        self.in_flight_max = 0

    async def send(self, batch: Batch) -> SendResult:
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        try:
            if batch.is_historical:
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), self.backfill_s)
            return await super().send(batch)
        finally:
            self.in_flight -= 1


async def test_late_samples_are_told_as_historical_and_fresh_ones_are_not() -> None:
    reader = await late_log(100)
    bench = Bench(ScriptedUplink(), reader=reader, settings=SMALL)
    await bench.run_until(lambda: len(bench.uplink.taken) == 100)
    reader.oldest_ns = None
    await reader.append_frames(5)
    await bench.run_until_level()
    assert {class_of(batch) for batch in bench.uplink.batches[:10]} == {"backfill"}
    assert [class_of(batch) for batch in bench.uplink.batches[10:]] == ["live"]
    assert bench.uplink.taken == list(range(1, 106))


async def test_a_short_outage_leaves_nothing_to_the_backfill() -> None:
    bench = Bench(ScriptedUplink([no_answer] * 3))
    await bench.reader.append_frames(30)
    await bench.run_until_level()
    assert not any(batch.is_historical for batch in bench.uplink.batches)


async def test_a_backlog_that_gets_no_answer_keeps_neither_alarm_nor_sample_waiting() -> None:
    reader = await late_log(100)
    uplink = SlowUplink(backfill_s=None)
    bench = Bench(uplink, reader=reader, settings=SMALL)
    running = asyncio.create_task(bench.delivery.run())
    await until(lambda: uplink.in_flight == 1)
    for _ in range(5):
        await reader.append(RecordKind.EVENT, event_body("hot"))
        await reader.append_frames(1)
        await until(lambda: uplink.taken[-2:] == [reader.end - 1, reader.end], deadline_s=10)
    assert uplink.in_flight_max == 2
    backfill = standing(bench)[DeliveryClass.BACKFILL]
    assert (backfill.lag_records, backfill.acknowledged_records) == (100, 0)
    assert 3600 <= backfill.lag_s < 3660
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_live_samples_are_fresh_while_a_backlog_drains_beside_them() -> None:
    """Each batch of the backlog takes a while; p99 of the live age is far below one of them all."""
    reader = await late_log(400)
    uplink = SlowUplink(backfill_s=0.02)
    bench = Bench(uplink, reader=reader, settings=SMALL)
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(bench.delivery.run())
    await until(lambda: uplink.in_flight == 1)
    ages = []
    while bench.delivery.status().lag_records > 0:
        begun = loop.time()
        await reader.append_frames(1)
        await until(partial(has_taken, uplink, reader.end))
        ages.append(loop.time() - begun)
        await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(ages) > 20
    assert sorted(ages)[int(0.99 * len(ages))] < 1.0
    assert sorted(uplink.taken) == list(range(1, reader.end + 1))


async def test_the_backfill_is_oldest_first() -> None:
    reader = await late_log(50)
    reader.cursors["cloud"] = Cursor(
        seq=Seq(50), holes=(Span(first=Seq(3), last=Seq(20)), Span(first=Seq(31), last=Seq(40)))
    )
    bench = Bench(ScriptedUplink(), reader=reader, settings=SMALL)
    await bench.run_until_level()
    assert bench.uplink.taken == [*range(3, 21), *range(31, 41)]
    assert all(batch.is_historical for batch in bench.uplink.batches)


async def test_samples_that_must_not_go_out_yet_wait_and_alarms_do_not() -> None:
    bench = Bench(ScriptedUplink())
    await bench.reader.append_frames(3)
    bench.reader.held_from = Seq(3)
    await bench.reader.append(RecordKind.EVENT, event_body("hot"))
    await bench.run_until(lambda: set(bench.uplink.taken) == {1, 2, 4})
    reads = bench.reader.read_count
    assert reads < 20
    bench.reader.held_from = None
    await bench.run_until_level()
    assert bench.uplink.taken[-1] == 3


async def test_samples_that_were_held_for_long_are_told_as_historical() -> None:
    bench = Bench(ScriptedUplink(), settings=FAST.model_copy(update={"live_lag_s": 0.1}))
    bench.reader.held_from = Seq(1)
    await bench.reader.append_frames(3)
    running = asyncio.create_task(bench.delivery.run())
    await until(lambda: standing(bench)[DeliveryClass.LIVE].lag_s > 0.2)
    assert bench.uplink.batches == []
    bench.reader.held_from = None
    await until(lambda: bench.uplink.taken == [1, 2, 3])
    assert [batch.is_historical for batch in bench.uplink.batches] == [True]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_backlog_that_fails_beside_a_working_front_is_no_outage() -> None:
    class FussyUplink(ScriptedUplink):
        failures = 0

        async def send(self, batch: Batch) -> SendResult:
            if batch.is_historical and self.taken and self.failures < 5:
                await asyncio.sleep(0.2)
                self.failures += 1
                raise UplinkError("too slow", detail="timeout")
            return await super().send(batch)

    reader = await late_log(30)
    uplink = FussyUplink()
    bench = Bench(uplink, reader=reader, settings=SMALL)
    running = asyncio.create_task(bench.delivery.run())
    await until(lambda: bench.delivery.status().is_connected is True)
    while uplink.failures < 5:
        await reader.append_frames(1)
        await asyncio.sleep(0.01)
    await until(lambda: bench.delivery.status().lag_records == 0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert bench.events == []
    assert sorted(uplink.taken) == list(range(1, reader.end + 1))


async def test_an_outage_with_nothing_in_front_is_found_and_left_by_the_backlog() -> None:
    reader = await late_log(30)
    bench = Bench(ScriptedUplink([no_answer] * 4), reader=reader, settings=SMALL)
    await bench.run_until(lambda: bool(bench.events) and bench.delivery.status().lag_records == 0)
    told = [(event.condition, event.transition) for event in bench.events]
    assert told == [
        ("uplink_lost", Transition.RAISED),
        ("uplink_lost", Transition.RETURNED),
        ("uplink_drained", Transition.NOTED),
    ]
    assert "30 records with 60 samples" in bench.events[-1].text


async def test_an_outage_that_ends_drains_what_it_left_behind() -> None:
    """`uplink_drained` comes when the holes are filled, not when the present is reached."""
    settings = SMALL.model_copy(update={"live_lag_s": 0.05, "retry_cap_s": 0.1})
    bench = Bench(ScriptedUplink([no_answer] * 6), settings=settings)
    await bench.reader.append_frames(45)
    await bench.run_until(
        lambda: "uplink_drained" in [event.condition for event in bench.events], deadline_s=20
    )
    assert bench.reader.holes("cloud") == ()
    assert sorted(bench.uplink.taken) == list(range(1, 46))


async def test_a_pause_that_the_far_end_asks_for_is_kept_also_above_our_own() -> None:
    def later(_batch: Batch) -> SendResult:
        raise UplinkError("not now", retry_after_s=0.5)

    bench = Bench(ScriptedUplink([later]), settings=FAST.model_copy(update={"retry_cap_s": 0.1}))
    await bench.reader.append_frames(1)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    running = asyncio.create_task(bench.delivery.run())
    await until(lambda: len(bench.uplink.batches) == 1)
    await bench.reader.append(RecordKind.EVENT, event_body("hot"))
    await until(lambda: len(bench.uplink.batches) > 1)
    assert loop.time() - begun >= 0.5
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_partial_acceptance_of_the_backlog_closes_just_that_part() -> None:
    def take_three(batch: Batch) -> SendResult:
        return replace(take_all(batch), accepted=3, sample_count=6)

    reader = await late_log(10)
    bench = Bench(ScriptedUplink([take_three]), reader=reader)
    await bench.run_until_level()
    assert [batch.records[0].seq for batch in bench.uplink.batches] == [1, 4]
    assert bench.uplink.taken == list(range(1, 11))
    assert standing(bench)[DeliveryClass.BACKFILL].acknowledged_samples == 20


async def test_a_poisoned_record_of_the_past_is_set_aside_and_the_present_goes_on() -> None:
    class Poisoned(ScriptedUplink):
        async def send(self, batch: Batch) -> SendResult:
            if 17 in {record.seq for record in batch.records}:
                raise RefusedBatchError("a record is bad", detail="HTTP 400")
            return await super().send(batch)

    reader = await late_log(40)
    bench = Bench(Poisoned(), reader=reader, settings=SMALL)
    await bench.run_until_level()
    assert bench.uplink.taken == [seq for seq in range(1, 41) if seq != 17]
    (kept,) = await bench.dead_letters.kept(count_max=9)
    assert (kept.letter.seq, kept.letter.is_historical) == (17, True)
    entries = [note for note in bench.noted if isinstance(note, LedgerEntry)]
    assert [(entry.reason, entry.count) for entry in entries] == [(LedgerReason.REFUSED, 2)]


async def test_a_budget_stops_the_backlog_then_the_samples_and_never_an_alarm() -> None:
    """Each batch costs 100 bytes here."""
    reader = await late_log(1000)
    reader.oldest_ns = NoonClock().now_ns() - HOUR_NS
    settings = SMALL.model_copy(update={"budget_bytes_per_day": 1000})
    bench = Bench(ScriptedUplink(), reader=reader, settings=settings, clock=NoonClock())
    running = asyncio.create_task(bench.delivery.run())
    await until(lambda: bench.delivery.status().bytes_today >= 800)
    for _ in range(5):
        await reader.append_frames(1)
        await asyncio.sleep(0.02)
    await reader.append(RecordKind.EVENT, event_body("hot"))
    await until(lambda: reader.end in bench.uplink.taken)
    classes = [class_of(batch) for batch in bench.uplink.batches]
    assert classes == ["backfill"] * 8 + ["live"] * 2 + ["alarms"]
    status = bench.delivery.status()
    assert (status.bytes_today, status.budget_bytes_per_day) == (1100, 1000)
    spent = [event for event in bench.events if event.condition == "uplink_budget_spent"]
    assert [event.transition for event in spent] == [Transition.RAISED] * 2
    assert await bench.delivery.finish(deadline_s=5) > 900
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_restart_in_the_middle_of_a_day_goes_on_with_its_budget(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"budget_bytes_per_day": 1000})
    reader = MemoryLog()
    for number in range(1, 12):
        bench = Bench(
            ScriptedUplink(),
            reader=reader,
            settings=settings,
            clock=NoonClock(),
            budget_file=tmp_path / "cloud.json",
        )
        await reader.append_frames(1)
        await bench.delivery.finish(deadline_s=20)
        assert bench.delivery.status().bytes_today == min(number * 100, 1000)
    assert reader.cursor("cloud") == 10


async def test_a_link_that_never_carries_the_rate_leaves_few_stretches_behind() -> None:
    class Narrow(ScriptedUplink):
        async def send(self, batch: Batch) -> SendResult:
            await asyncio.sleep(0.01)
            return await super().send(batch)

    settings = FAST.model_copy(update={"batch_records_max": 1, "live_lag_s": 0.02})
    bench = Bench(Narrow(), settings=settings)
    running = asyncio.create_task(bench.delivery.run())
    holes = []
    for _ in range(150):
        await bench.reader.append_frames(5)
        await asyncio.sleep(0.01)
        holes.append(len(bench.reader.holes("cloud")))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert 1 < max(holes) < HOLES_MAX / 2
    live = [batch for batch in bench.uplink.batches if not batch.is_historical]
    assert len(live) > 10
    assert len(bench.uplink.batches) - len(live) > 10
