import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.edge.delivery import DeliverySettings
from cloud_sync.edge.lane import REFUSALS_IN_A_ROW_MAX
from gateway.core.cursors import Scope
from gateway.core.errors import BatchTooLargeError, RefusedBatchError, StoreError
from gateway.core.events import Transition
from gateway.core.ports import Batch, SendResult
from gateway.core.records import LedgerEntry, LedgerReason, Record, RecordKind, Seq
from gateway.wire.clock import SystemClock
from tests.cloud_sync.edge_doubles import (
    FAST,
    Bench,
    MemoryDeadLetters,
    MemoryLog,
    ScriptedUplink,
    event_body,
    no_answer,
    take_all,
    until,
)


def seqs(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


def has_taken(uplink: ScriptedUplink, count: int) -> bool:
    return len(uplink.taken) == count


async def test_records_arrive_in_order_and_once() -> None:
    bench = Bench(ScriptedUplink())
    await bench.reader.append_frames(50)
    await bench.run_until_level()
    assert seqs(1, 50) == bench.uplink.taken
    assert bench.noted == []


async def test_a_batch_carries_the_tables_of_its_epochs() -> None:
    bench = Bench(ScriptedUplink())
    await bench.reader.append(RecordKind.EVENT, event_body("no table needed"))
    await bench.reader.append_frames(3, epoch=1)
    await bench.reader.append_frames(3, epoch=2)
    await bench.run_until_level()
    notes, samples = bench.uplink.batches
    assert [table.epoch for table in notes.tables] == []
    assert [table.epoch for table in samples.tables] == [1, 2]


async def test_the_cursor_moves_only_past_what_was_accepted() -> None:
    def take_three(batch: Batch) -> SendResult:
        return replace(take_all(batch), accepted=3)

    bench = Bench(ScriptedUplink([take_three, no_answer, take_three]))
    await bench.reader.append_frames(10)
    await bench.run_until_level()
    assert bench.reader.moves == [3, 6, 10]
    assert seqs(1, 10) == bench.uplink.taken


@pytest.mark.parametrize("accepted", [-1, 0, 11])
async def test_an_impossible_acceptance_counts_as_none(accepted: int) -> None:
    def lie(batch: Batch) -> SendResult:
        return replace(take_all(batch), accepted=accepted)

    bench = Bench(ScriptedUplink([lie, lie]))
    await bench.reader.append_frames(10)
    await bench.run_until_level()
    assert bench.reader.moves == [10]


async def test_an_outage_is_told_on_its_edges_only() -> None:
    bench = Bench(ScriptedUplink([take_all, no_answer, no_answer, no_answer]))
    await bench.reader.append_frames(1)
    await bench.run_until_level()
    await bench.reader.append_frames(30)
    await bench.run_until_level()
    told = [(event.condition, event.transition) for event in bench.events]
    assert told == [
        ("uplink_lost", Transition.RAISED),
        ("uplink_lost", Transition.RETURNED),
        ("uplink_drained", Transition.NOTED),
    ]
    assert "30 records were kept" in bench.events[1].text
    assert bench.events[1].onset_ns == bench.events[0].time_ns
    assert "30 records with 60 samples" in bench.events[2].text


async def test_a_drain_over_several_batches_is_counted_to_the_last_record() -> None:
    bench = Bench(
        ScriptedUplink([no_answer]), settings=FAST.model_copy(update={"batch_records_max": 7})
    )
    await bench.reader.append_frames(30)
    await bench.run_until_level()
    assert [event.condition for event in bench.events] == [
        "uplink_lost",
        "uplink_lost",
        "uplink_drained",
    ]
    assert bench.delivery.status().drained_records == 30


async def test_the_status_tells_both_messages_and_the_totals() -> None:
    uplink = ScriptedUplink([take_all, *[no_answer] * 10_000])
    bench = Bench(uplink)
    await bench.reader.append_frames(4)
    await bench.run_until_level()
    fine = bench.delivery.status()
    assert fine.is_connected is True
    assert (fine.error, fine.error_detail, fine.retry_ns) == ("", "", None)
    assert (fine.acknowledged_records, fine.acknowledged_samples, fine.bytes_today) == (4, 8, 100)
    assert (fine.cursor, fine.lag_records, fine.lag_s) == (4, 0, 0.0)
    await bench.reader.append_frames(5)
    await bench.run_until(lambda: len(uplink.batches) >= 4)
    lost = bench.delivery.status()
    assert lost.is_connected is False
    assert lost.error == "no connection: check the network"
    assert lost.error_detail == "ECONNREFUSED 127.0.0.1:9"
    assert lost.retry_ns is not None
    assert lost.lag_records == 5
    assert 0 < lost.lag_s < 20
    assert 0 < lost.outage_s < 20


async def test_the_lag_counts_from_the_oldest_record_also_after_a_restart() -> None:
    """The log knows when it was committed; the process may be younger than that."""
    bench = Bench(ScriptedUplink([no_answer] * 10_000))
    await bench.reader.append_frames(1)
    bench.reader.oldest_ns = SystemClock().now_ns() - 3600 * 1_000_000_000
    await bench.run_until(lambda: bench.delivery.status().is_connected is False)
    assert 3600 <= bench.delivery.status().lag_s < 3620


async def test_before_the_first_attempt_nothing_is_claimed() -> None:
    status = Bench(ScriptedUplink()).delivery.status()
    assert status.is_connected is None
    assert status.since_ns is None
    assert status.outage_s == 0.0


class PoisonedUplink(ScriptedUplink):
    """Refuses every batch with one of some records in it."""

    def __init__(self, poison: set[int]) -> None:
        super().__init__()
        self.poison = poison

    async def send(self, batch: Batch) -> SendResult:
        if self.poison & {record.seq for record in batch.records}:
            self.batches.append(batch)
            raise RefusedBatchError("a record is bad", detail="HTTP 400")
        return await super().send(batch)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 120),
    data=st.data(),
    batch_records_max=st.integers(1, 130),
)
def test_exactly_the_poisoned_records_are_set_aside(
    count: int, data: st.DataObject, batch_records_max: int
) -> None:
    """Every other record arrives, once and in order; the books say what is missing."""
    poison = data.draw(st.sets(st.integers(1, count), max_size=3))

    async def story() -> None:
        uplink = PoisonedUplink(set(poison))
        bench = Bench(
            uplink, settings=FAST.model_copy(update={"batch_records_max": batch_records_max})
        )
        await bench.reader.append_frames(count)
        await bench.run_until_level()
        assert [seq for seq in seqs(1, count) if seq not in poison] == uplink.taken
        assert set(bench.dead_letters.letters) == poison
        entries = [note for note in bench.noted if isinstance(note, LedgerEntry)]
        assert [entry.count for entry in entries] == [2] * len(poison)
        assert all(entry.reason is LedgerReason.REFUSED for entry in entries)
        assert bench.delivery.status().dead_letters == len(poison)

    asyncio.run(story())


async def test_a_poisoned_record_among_thousands_is_found_in_a_few_attempts() -> None:
    uplink = PoisonedUplink({1777})
    bench = Bench(uplink)
    await bench.reader.append_frames(3000)
    await bench.run_until_level()
    refused = sum(1777 in {record.seq for record in batch.records} for batch in uplink.batches)
    assert refused <= 14  # log2(3000) is 11.6, and the batch grows again in between


async def test_a_refused_frame_names_its_tags_and_span_in_the_books() -> None:
    bench = Bench(PoisonedUplink({3}))
    await bench.reader.append_frames(5)
    await bench.run_until_level()
    (entry,) = [note for note in bench.noted if isinstance(note, LedgerEntry)]
    assert (entry.source, entry.tags) == ("pumps", ("pumps.T0", "pumps.T1"))
    assert (entry.from_ns, entry.to_ns, entry.count) == (2_000, 2_001, 2)
    assert [event.condition for event in bench.events] == ["record_refused"]


async def test_a_refused_event_costs_no_samples() -> None:
    bench = Bench(PoisonedUplink({1}))
    await bench.reader.append(RecordKind.EVENT, event_body("bad"))
    await bench.run_until_level()
    assert [event.condition for event in bench.events] == ["record_refused"]
    assert len(bench.noted) == 1


async def test_a_far_end_that_refuses_everything_does_not_empty_the_log() -> None:
    """A few are set aside at once; then each costs a back-off, and a person hears of it."""
    uplink = PoisonedUplink(set(range(1, 10_000)))
    bench = Bench(uplink, settings=FAST.model_copy(update={"retry_first_s": 60.0}))
    await bench.reader.append_frames(100)
    await bench.run_until(lambda: bench.delivery.status().is_connected is False)
    assert len(bench.dead_letters.letters) == REFUSALS_IN_A_ROW_MAX + 1
    assert bench.events[-1].condition == "uplink_lost"
    assert "compare its version" in bench.events[-1].text


async def test_batches_shrink_for_a_far_end_with_a_limit() -> None:
    class NarrowUplink(ScriptedUplink):
        async def send(self, batch: Batch) -> SendResult:
            if len(batch.records) > 8:
                raise BatchTooLargeError("too large", detail="HTTP 413")
            return await super().send(batch)

    bench = Bench(NarrowUplink())
    await bench.reader.append_frames(64)
    await bench.run_until_level()
    assert seqs(1, 64) == bench.uplink.taken
    assert bench.dead_letters.letters == {}


async def test_a_record_that_cannot_be_kept_is_not_passed() -> None:
    class FullDeadLetters(MemoryDeadLetters):
        tries = 0

        async def put(
            self, record: Record, *, uplink: str, reason: str, time_ns: int, is_historical: bool
        ) -> None:
            self.tries += 1
            if self.tries < 4:
                raise StoreError("no space left on device")
            await super().put(
                record, uplink=uplink, reason=reason, time_ns=time_ns, is_historical=is_historical
            )

    dead_letters = FullDeadLetters()
    bench = Bench(PoisonedUplink({2}), dead_letters=dead_letters)
    await bench.reader.append_frames(3)
    await bench.run_until_level()
    assert dead_letters.tries == 4
    assert seqs(1, 3) == bench.reader.moves
    assert bench.delivery.status().is_connected is True


async def test_a_log_that_cannot_be_read_is_tried_again() -> None:
    class BrokenLog(MemoryLog):
        async def read(
            self,
            *,
            after: Seq,
            size_bytes_max: int,
            until: Seq | None = None,
            scope: Scope = Scope.ALL,
        ) -> Sequence[Record]:
            if self.read_count < 5:
                self.read_count += 1
                raise StoreError("disk I/O error")
            return await super().read(
                after=after, size_bytes_max=size_bytes_max, until=until, scope=scope
            )

    bench = Bench(ScriptedUplink(), reader=BrokenLog())
    await bench.reader.append_frames(3)
    await bench.run_until_level()
    assert seqs(1, 3) == bench.uplink.taken
    assert bench.noted == []


async def test_positions_without_records_are_passed() -> None:
    """Retention may take the last undelivered records away; the cursor must not spin on them."""
    bench = Bench(ScriptedUplink())
    await bench.reader.append_frames(5)
    bench.reader.last = Seq(9)
    await bench.run_until_level()
    assert bench.reader.read_count <= 3


async def test_an_idle_delivery_waits_for_a_commit_instead_of_polling() -> None:
    bench = Bench(ScriptedUplink())
    await bench.reader.append_frames(1)
    running = asyncio.create_task(bench.delivery.run())
    await until(lambda: bool(bench.uplink.taken))
    reads = bench.reader.read_count
    await asyncio.sleep(0.2)  # long enough for any polling to show
    assert bench.reader.read_count == reads
    await bench.reader.append_frames(1)
    await until(lambda: len(bench.uplink.taken) == 2)
    running.cancel()


async def test_live_records_do_not_wait_longer_than_the_linger() -> None:
    bench = Bench(ScriptedUplink(), settings=DeliverySettings(linger_s=0.05))
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(bench.delivery.run())
    await asyncio.sleep(0)
    waits = []
    for number in range(1, 6):
        begun = loop.time()
        await bench.reader.append_frames(1)
        await until(partial(has_taken, bench.uplink, number))
        waits.append(loop.time() - begun)
    running.cancel()
    assert 0.05 <= min(waits) < 0.15


async def test_the_last_delivery_empties_the_log_and_closes() -> None:
    bench = Bench(ScriptedUplink())
    await bench.reader.append_frames(2000)
    assert await bench.delivery.finish(deadline_s=20) == 0
    assert bench.uplink.is_closed
    assert seqs(1, 2000) == bench.uplink.taken


async def test_the_last_delivery_gives_up_at_its_deadline() -> None:
    async def hang(_batch: Batch) -> SendResult:
        await asyncio.Event().wait()
        raise AssertionError

    bench = Bench(ScriptedUplink([hang]))
    await bench.reader.append_frames(3)
    assert await bench.delivery.finish(deadline_s=0.05) == 3
    assert bench.uplink.is_closed
    assert bench.reader.moves == []


async def test_the_last_delivery_does_not_wait_for_a_lost_far_end() -> None:
    bench = Bench(ScriptedUplink([no_answer]))
    await bench.reader.append_frames(3)
    assert await bench.delivery.finish(deadline_s=20) == 3


async def test_cancelled_at_any_await_nothing_is_lost_or_out_of_order() -> None:
    """Stop after each number of turns of the loop, then go on with a new delivery."""
    for turns in range(40):
        first = Bench(ScriptedUplink([take_all, no_answer]))
        await first.reader.append_frames(20)
        running = asyncio.create_task(first.delivery.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        second = Bench(ScriptedUplink(), reader=first.reader)
        await second.run_until_level()
        arrived = first.uplink.taken + second.uplink.taken
        assert sorted(set(arrived)) == seqs(1, 20)
        assert first.uplink.taken == seqs(1, len(first.uplink.taken))


async def test_two_uplinks_do_not_disturb_each_other() -> None:
    reader = MemoryLog()
    good = Bench(ScriptedUplink(name="cloud"), reader=reader)
    lost = Bench(ScriptedUplink([no_answer] * 1000, name="historian"), reader=reader)
    await reader.append_frames(10)
    other = asyncio.create_task(lost.delivery.run())
    await good.run_until_level()
    other.cancel()
    assert reader.cursor("cloud") == 10
    assert reader.cursor("historian") == 0
