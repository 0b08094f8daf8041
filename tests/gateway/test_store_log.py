"""The promises of the record log, one by one."""

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.core.errors import StoreError
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.records import GatewayId, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import Tag, TagId
from gateway.store import LogReader, LogSettings, RecordLog, StoreState
from gateway.store.database import LogDatabase
from gateway.wire.clock import SystemClock
from gateway.wire.documents import decode_event, decode_tags, draft_event
from gateway.wire.frames import encode_frame
from tests.gateway.store_cases import (
    GATEWAY,
    QUICK,
    SEALING,
    SECOND_NS,
    START_NS,
    TAGS,
    SettableClock,
    append_all,
    frame_draft,
    kinds,
    ledger,
    make_event,
    make_frame,
    open_log,
    samples,
    stored_frames,
    until,
)

EVERYTHING = 100_000_000


async def test_what_was_appended_is_read_in_order_and_as_it_was(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    table = log.intern(TAGS)
    drafts = [frame_draft(1, table), draft_event(make_event(1)), frame_draft(2, table)]
    await log.durable(log.append(drafts))
    found = await log.read(after=Seq(0), size_bytes_max=EVERYTHING)
    assert [record.kind for record in found] == [RecordKind.TAGS, *(each.kind for each in drafts)]
    assert [record.body for record in found[1:]] == [draft.body for draft in drafts]
    assert [record.seq for record in found] == [1, 2, 3, 4]
    assert log.end == 4
    assert (await log.table_of(found[1])).tags == TAGS
    await log.close()


async def test_urgent_drafts_do_not_wait_for_the_group(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db", LogSettings(group_commit_s=60, ballast_bytes=0))
    table = log.intern(TAGS)
    slow = log.append([frame_draft(1, table)])
    await asyncio.sleep(0.05)
    assert log.end == 1
    urgent = log.append([draft_event(make_event(1))])
    await asyncio.wait_for(log.durable(urgent), 10)
    await asyncio.wait_for(log.durable(slow), 10)
    assert log.end == 3
    await log.close()


async def test_many_bytes_do_not_wait_for_the_group(tmp_path: Path) -> None:
    settings = LogSettings(group_commit_s=60, group_commit_bytes=4096, ballast_bytes=0)
    log = open_log(tmp_path / "log.db", settings)
    table = log.intern(TAGS)
    tickets = [log.append([frame_draft(number, table)]) for number in range(40)]
    await asyncio.wait_for(log.durable(tickets[0]), 10)
    await log.close()
    assert len(kinds(tmp_path / "log.db")) == 41


async def test_readers_are_woken_by_a_commit(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    table = log.intern(TAGS)
    waiting = asyncio.create_task(log.wait_for_records(after=log.end))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    log.append([frame_draft(1, table)])
    await asyncio.wait_for(waiting, 10)
    assert log.end == 2
    lost = asyncio.create_task(log.wait_for_records(after=log.end))
    await asyncio.sleep(0)
    await log.close()
    with pytest.raises(StoreError, match="closed"):
        await lost
    with pytest.raises(StoreError, match="closed"):
        log.append([frame_draft(2, table)])


async def test_waiting_can_be_cancelled(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    for waiting in (log.wait_for_records(after=Seq(99)), log.read(after=Seq(0), size_bytes_max=1)):
        task = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await log.close()


async def test_the_same_tags_keep_their_epoch(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = open_log(path)
    first = log.intern(TAGS)
    assert log.intern(TAGS).epoch == first.epoch
    await log.close()
    log = open_log(path)
    assert log.intern(TAGS).epoch == first.epoch
    changed = log.intern([*TAGS, Tag(id=TagId("pumps.T9"))])
    assert changed.epoch > first.epoch
    with pytest.raises(ValueError, match="twice"):
        log.intern([TAGS[0], TAGS[0]])
    await log.close()
    records = list(LogReader(path).records())
    assert [decode_tags(record.body).epoch for record in records] == [first.epoch, changed.epoch]


async def test_a_cursor_moves_forward_only_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = open_log(path)
    table = log.intern(TAGS)
    await append_all(log, [frame_draft(number, table) for number in range(9)])
    assert log.cursor("cloud") == 0
    await log.advance("cloud", Seq(7))
    await log.advance("cloud", Seq(3))
    assert log.cursor("cloud") == 7
    lag = (await log.stats()).cursors[0]
    assert (lag.name, lag.seq, lag.records, lag.samples) == ("cloud", 7, 3, 24)
    await log.close()
    log = open_log(path, cursors=("cloud", "scada"))
    assert (log.cursor("cloud"), log.cursor("scada")) == (7, 0)
    await log.close()
    log = open_log(path, cursors=())
    assert (await log.stats()).cursors == ()
    await log.close()


@pytest.mark.parametrize("after", [0, 1, 5, 10, 11, 15, 40])
@pytest.mark.parametrize("limit", [1, 200, EVERYTHING])
async def test_a_block_partly_behind_a_cursor_gives_its_remaining_frames(
    tmp_path: Path, after: int, limit: int
) -> None:
    log = open_log(tmp_path / "log.db", SEALING)
    table = log.intern(TAGS)
    drafts = [frame_draft(number, table) for number in range(20)]
    drafts[10] = draft_event(make_event(10))
    await append_all(log, drafts)
    single = samples(await log.read(after=Seq(0), size_bytes_max=EVERYTHING))
    await log.tidy()
    assert kinds(log.path) == ["TAGS", "BLOCK", "EVENT", "BLOCK"]
    found: list[Record] = []
    position = Seq(after)
    while page := await log.read(after=position, size_bytes_max=limit):
        found += page
        assert all(record.seq > position for record in page)
        position = page[-1].seq
    assert samples(found) == [sample for sample in single if sample[2] > after]
    assert position == max(after, log.end)
    partly = await log.read(after=Seq(after), size_bytes_max=EVERYTHING, until=Seq(14))
    assert samples(partly) == [sample for sample in single if after < sample[2] <= 14]
    await log.close()


async def test_sealing_keeps_every_frame_and_its_identity(tmp_path: Path) -> None:
    """Over kinds, layouts, boots and epochs; no sample differs by a bit."""
    path = tmp_path / "log.db"
    expected = []
    rng = np.random.default_rng(5)
    for boot in (1, 2, 3):
        log = open_log(path)
        table = log.intern([*TAGS, *([Tag(id=TagId("pumps.more"))] if boot == 3 else [])])
        chosen = [RecordKind.FRAME, RecordKind.STATED, RecordKind.DERIVED]
        drafts = [
            frame_draft(
                number,
                table,
                kind=chosen[rng.integers(3)],
                tags=sorted(rng.choice(8, size=rng.integers(1, 8), replace=False)),
            )
            for number in range(boot * 100, boot * 100 + 50)
        ]
        await append_all(log, drafts)
        await log.close()
    before = list(LogReader(path).records())
    expected = stored_frames(before)
    log = open_log(path, SEALING)
    await log.tidy()
    await log.close()
    after = list(LogReader(path).records())
    assert [record.kind.name for record in after] == ["TAGS", "BLOCK", "BLOCK", "TAGS", "BLOCK"]
    assert samples(after) == samples(before)
    for one, other in zip(stored_frames(after), expected, strict=True):
        assert encode_frame(one.frame, epoch=table.epoch) == encode_frame(
            other.frame, epoch=table.epoch
        )


async def test_sealing_waits_until_a_block_is_worth_it(tmp_path: Path) -> None:
    """By age, or earlier by the number of samples that are old enough."""
    settings = QUICK.model_copy(
        update={"seal_after_s": 0.0, "block_s": 3600.0, "block_samples_max": 1024}
    )
    log = open_log(tmp_path / "log.db", settings)
    table = log.intern(TAGS)
    await append_all(log, [frame_draft(number, table) for number in range(100)])
    await log.tidy()
    assert "BLOCK" not in kinds(log.path)
    await append_all(log, [frame_draft(number, table) for number in range(100, 300)])
    await log.tidy()
    blocks = [record for record in LogReader(log.path).records() if record.kind.name == "BLOCK"]
    assert [len(samples([block])) for block in blocks] == [1024, 1024, 352]
    await log.close()


async def test_a_checkpoint_is_of_everything_appended_before_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = open_log(path)
    table = log.intern(TAGS)
    assert log.load_checkpoints() == (0, {})
    log.append([frame_draft(1, table)])
    await log.save_checkpoint({"twin": b"one", "old": b"x"})
    log.append([frame_draft(2, table)])
    await log.save_checkpoint({"twin": b"two", "alarms": b""})
    ticket = log.append([frame_draft(3, table)])
    await log.durable(ticket)
    assert log.load_checkpoints() == (3, {"twin": b"two", "alarms": b""})
    await log.close()
    log = open_log(path)
    assert log.load_checkpoints() == (3, {"twin": b"two", "alarms": b""})
    await log.close()


async def test_replay_gives_measured_frames_and_events_under_the_running_tags(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"
    log = open_log(path, SEALING)
    old = log.intern(TAGS)
    await append_all(log, [frame_draft(number, old) for number in range(6)])
    await append_all(log, [frame_draft(9, old, kind=RecordKind.DERIVED)])
    await log.durable(log.append([draft_event(make_event(7))]))
    await log.tidy()
    # The first tag has gone, the others stand one place further up.
    running = log.intern(TAGS[1:])
    await append_all(log, [frame_draft(8, running, tags=[0])])
    replayed = list(log.replay(after=Seq(4), table=running))
    assert [type(entry) for entry in replayed] == [Frame, Frame, Frame, Event, Frame]
    frames = [entry for entry in replayed if isinstance(entry, Frame)]
    assert frames[0].tag_index.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert frames[0].value.tolist() == (make_frame(3).value[1:]).tolist()
    assert frames[3].tag_index.tolist() == [0]
    await log.close()


async def test_trends_come_from_blocks_and_frames_alike(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db", SEALING)
    table = log.intern(TAGS)
    await append_all(log, [frame_draft(number, table) for number in range(50)])
    await log.tidy()
    await append_all(log, [frame_draft(number, table) for number in range(50, 60)])
    tags = [TAGS[3].id, TagId("unknown"), TAGS[0].id]
    from_ns, to_ns = START_NS + 10 * SECOND_NS, START_NS + 55 * SECOND_NS
    third, unknown, zeroth = await log.read_frames(tags, from_ns, to_ns)
    assert [trend.tag for trend in (third, unknown, zeroth)] == tags
    assert zeroth.value.tolist() == list(range(10, 55))
    assert third.value.tolist() == [number + 0.03 for number in range(10, 55)]
    assert third.time_ns.tolist() == [START_NS + n * SECOND_NS for n in range(10, 55)]
    assert len(unknown.value) == 0
    await log.close()


async def test_times_are_data_and_order_is_seq(tmp_path: Path) -> None:
    """The clock goes back an hour between commits, and again over a restart."""
    path = tmp_path / "log.db"
    clock = SettableClock()
    log = open_log(path, clock=clock)
    table = log.intern(TAGS)
    await append_all(log, [frame_draft(1, table)])
    clock.shift_s = -3600
    await append_all(log, [frame_draft(2, table)])
    await log.close()
    log = open_log(path, SEALING, clock=SettableClock(-7200))
    await append_all(log, [frame_draft(3, table)])
    await log.tidy()
    assert [stored.seq for stored in stored_frames(LogReader(path).records())] == [2, 3, 4]
    assert log.state is StoreState.OK
    await log.close()
    assert ledger(path) == []


async def test_an_unclean_stop_leaves_one_gap_even_with_the_clock_set_back(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    leave_without_closing(path)
    log = open_log(path, clock=SettableClock(-3600))
    assert not log.opening.was_clean
    assert log.boot == 2
    await log.close()
    (entry,) = ledger(path)
    assert entry.reason is LedgerReason.UNCLEAN_STOP
    assert entry.count is None
    assert entry.from_ns == entry.to_ns == log.opening.last_commit_ns
    log = open_log(path)
    assert log.opening.was_clean
    assert (await log.stats()).gap_count == 1
    await log.close()
    assert len(ledger(path)) == 1


def leave_without_closing(path: Path) -> None:
    """Let another process write an event and end without a word."""
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from tests.gateway.store_cases import *\n"
        "from gateway.wire.documents import draft_event\n"
        "async def main():\n"
        "    log = open_log(Path(sys.argv[1]))\n"
        "    await log.durable(log.append([draft_event(make_event(1))]))\n"
        "    os._exit(0)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)


async def test_a_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = open_log(path)
    await log.durable(log.append([draft_event(make_event(1))]))
    with pytest.raises(StoreError, match="being written by process"):
        open_log(path)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        leave_without_closing(path)
    assert b"only one gateway may use it" in refused.value.stderr
    (record,) = LogReader(path).records()
    assert decode_event(record.body) == make_event(1)
    await log.close()
    log = open_log(path)
    await log.close()


async def test_the_log_of_another_gateway_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await open_log(path).close()
    with pytest.raises(StoreError, match="pumphouse-1"):
        RecordLog.open(path, QUICK, gateway=GatewayId("other"), clock=SystemClock())
    log = open_log(path)
    assert log.opening.was_clean
    await log.close()
    assert GATEWAY == "pumphouse-1"


async def test_counts_survive_restarts_and_agree_with_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    for boot in range(1, 4):
        log = open_log(path, SEALING)
        table = log.intern(TAGS)
        drafts = [frame_draft(number, table) for number in range(5)]
        drafts.append(frame_draft(9, table, kind=RecordKind.DERIVED))
        await append_all(log, drafts)
        await log.tidy()
        stats = await log.stats()
        assert stats.stored_samples == boot * 40
        found = samples(LogReader(path).records())
        assert sum(sample[0] == "FRAME" for sample in found) == boot * 40
        await log.close()


async def test_a_producer_waits_while_the_disk_is_slow(tmp_path: Path) -> None:
    """The thread is kept busy by a call, so that what waits grows beyond half of its bound."""
    log = open_log(tmp_path / "log.db", QUICK.model_copy(update={"pending_bytes_max": 2**20}))
    table = log.intern(TAGS)
    begun, gate = threading.Event(), threading.Event()

    def keep_busy(_: LogDatabase) -> bool:
        begun.set()
        return gate.wait(20)

    busy = log._writer.call(keep_busy)
    assert await asyncio.to_thread(begun.wait, 20)
    large = replace(draft_event(make_event(1)), body=frame_draft(1, table).body, is_urgent=False)
    for _ in range(4000):
        log.append([large])
    waiting = asyncio.create_task(log.room())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    gate.set()
    await asyncio.wait_for(waiting, 20)
    assert busy.result(1) is True
    await until(lambda: log.end == 4001)
    await log.close()
