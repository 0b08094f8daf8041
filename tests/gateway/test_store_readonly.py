"""The disk becomes read-only in the middle, and is repaired: nothing of it ends the gateway."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.errors import StoreError
from gateway.core.records import LedgerReason, Seq
from gateway.store import StoreState
from gateway.wire.documents import draft_event
from tests.gateway.failing_disk import failing_disk
from tests.gateway.store_cases import (
    QUICK,
    TAGS,
    append_all,
    frame_draft,
    ledger,
    make_event,
    open_log,
    samples,
    until,
)
from tests.gateway.test_store_faults import refusing_disk


async def test_a_disk_that_turns_read_only_and_is_repaired_is_survived(tmp_path: Path) -> None:
    """What came meanwhile waited in memory; what was shed of it is in the ledger."""
    settings = QUICK.model_copy(update={"pending_bytes_max": 200_000, "ballast_bytes": 65_536})
    with failing_disk(tmp_path / "disk") as disk:
        log = open_log(disk.folder / "log.db", settings)
        table = log.intern(TAGS)
        await append_all(log, [frame_draft(number, table) for number in range(100)])
        disk.fail()
        refused = log.append([draft_event(make_event(1))])
        with pytest.raises(StoreError, match="not on disk"):
            await log.durable(refused)
        await until(lambda: log.state is StoreState.DEGRADED)
        found = await log.read(after=Seq(0), size_bytes_max=10_000_000)
        assert len(samples(found)) == 100 * len(TAGS), "what is on the disk can still be read"
        count = 100
        while log._writer._lost is None:
            log.append([frame_draft(count, table)])
            count += 1
            await asyncio.sleep(0)
        disk.repair()
        await until(lambda: log.state is StoreState.OK)
        await log.durable(refused)
        stats = await log.stats()
        assert stats.stored_samples + stats.ledgered_samples == count * len(TAGS)
        await log.close()
        [entry] = ledger(log.path)
        assert entry.reason is LedgerReason.STORE_FAILED
        assert entry.count == stats.ledgered_samples > 0
        again = open_log(log.path)
        assert (again.opening.was_clean, again.opening.set_aside) == (True, None)
        await again.close()


async def test_a_disk_that_is_gone_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """No empty log is begun in the folder that it was mounted on: positions would come again."""
    with failing_disk(tmp_path / "disk") as disk:
        log = open_log(disk.folder / "log.db")
        table = log.intern(TAGS)
        await append_all(log, [frame_draft(number, table) for number in range(10)])
        end = log.end
        disk.fail()
        disk.remove()
        waiting = log.append([frame_draft(10, table)])
        await until(lambda: "unable to open" in log.reason)
        assert list(disk.folder.iterdir()) == []
        disk.repair()
        await until(lambda: log.state is StoreState.OK)
        await log.durable(waiting)
        assert log.end == end + 1
        assert len(samples(await log.read(after=Seq(0), size_bytes_max=1_000_000))) == 88
        await log.close()


async def test_a_database_that_was_exchanged_is_no_reason_to_count_anew(tmp_path: Path) -> None:
    """An older copy was put back: positions go on, and what it lacks is in the ledger."""
    log = open_log(tmp_path / "log.db")
    table = log.intern(TAGS)
    await append_all(log, [frame_draft(number, table) for number in range(5)])
    with closing(sqlite3.connect(log.path)) as source, closing(sqlite3.connect(":memory:")) as copy:
        source.backup(copy)
        await append_all(log, [frame_draft(number, table) for number in range(5, 9)])
        with refusing_disk():
            log.append([draft_event(make_event(1))])
            await until(lambda: log.state is StoreState.DEGRADED)
            for suffix in ("-wal", "-shm", ""):
                log.path.with_name(f"log.db{suffix}").unlink(missing_ok=True)
        with closing(sqlite3.connect(tmp_path / "copy.db")) as older:
            copy.backup(older)
    (tmp_path / "copy.db").rename(log.path)
    await until(lambda: log.state is StoreState.OK)
    await log.durable(log.append([frame_draft(9, table)]))
    records = await log.read(after=Seq(0), size_bytes_max=1_000_000)
    seqs = [record.seq for record in records]
    assert seqs == [*range(1, 7), *range(11, 11 + len(seqs) - 6)]
    await log.close()
    [entry] = ledger(log.path)
    assert (entry.reason, entry.count) == (LedgerReason.CORRUPT, 4 * len(TAGS))
