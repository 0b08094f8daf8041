"""Damage and a failing disk: each one seen is met as promised, and the books still balance."""

import asyncio
import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.core.errors import StoreError
from gateway.core.records import Boot, LedgerReason, Seq
from gateway.store import LogReader, RecordLog, StoreState, Ticket
from gateway.store.bodies import PlainBodies
from gateway.store.database import LogDatabase
from gateway.store.files import LogFiles
from gateway.store.progress import Progress
from gateway.store.rebasing import Rebasing
from gateway.store.writer import Writer
from gateway.wire.documents import draft_event
from tests.gateway.store_cases import (
    QUICK,
    SEALING,
    TAGS,
    SettableClock,
    append_all,
    frame_draft,
    kinds,
    ledger,
    make_event,
    open_log,
    samples,
    until,
)

EVERYTHING = 100_000_000


def flip(path: Path, seq: int) -> None:
    """Change one byte in the middle of a record's body, behind the back of the log."""
    with sqlite3.connect(path) as connection:
        (body,) = connection.execute("SELECT body FROM record WHERE seq = ?", (seq,)).fetchone()
        spoilt = bytearray(body)
        spoilt[len(spoilt) // 2] ^= 0x10
        connection.execute("UPDATE record SET body = ? WHERE seq = ?", (bytes(spoilt), seq))
    connection.close()


async def filled_log(path: Path, count: int) -> RecordLog:
    log = open_log(path)
    table = log.intern(TAGS)
    await append_all(log, [frame_draft(number, table) for number in range(count)])
    return log


async def test_a_damaged_record_is_left_out_counted_and_ledgered_once(tmp_path: Path) -> None:
    log = await filled_log(tmp_path / "log.db", 10)
    flip(log.path, 5)
    for _ in range(3):
        found = await log.read(after=Seq(0), size_bytes_max=EVERYTHING)
        seqs = [record.seq for record in found if record.kind.name == "FRAME"]
        assert seqs == [2, 3, 4, 6, 7, 8, 9, 10, 11]
        await log.stats()
    (entry,) = ledger(log.path)
    assert (entry.reason, entry.count) == (LedgerReason.CORRUPT, 8)
    stats = await log.stats()
    assert stats.stored_samples == 80
    assert stats.ledgered_samples == 8
    await log.close()


async def test_a_read_passes_over_damage_at_its_begin(tmp_path: Path) -> None:
    """With room for one record only, the next sound one is returned."""
    log = await filled_log(tmp_path / "log.db", 4)
    flip(log.path, 2)
    flip(log.path, 3)
    (record,) = await log.read(after=Seq(1), size_bytes_max=1)
    assert record.seq == 4
    await log.close()


async def test_a_damaged_block_is_left_out_of_trends_and_ledgered(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db", SEALING)
    table = log.intern(TAGS)
    await append_all(log, [frame_draft(number, table) for number in range(5)])
    await log.tidy()
    await append_all(log, [frame_draft(number, table) for number in range(5, 9)])
    flip(log.path, 6)
    (trend,) = await log.read_frames([TAGS[0].id], 0, 2**62)
    assert trend.value.tolist() == [5, 6, 7, 8]
    await log.stats()
    (entry,) = ledger(log.path)
    assert (entry.reason, entry.count) == (LedgerReason.CORRUPT, 40)
    await log.close()


async def test_sealing_goes_around_a_damaged_frame(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = await filled_log(path, 9)
    await log.close()
    flip(path, 5)
    log = open_log(path, SEALING)
    await log.tidy()
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT kind FROM record ORDER BY seq").fetchall()
    connection.close()
    assert rows == [(5,), (7,), (1,), (7,)]
    found = samples(await log.read(after=Seq(0), size_bytes_max=EVERYTHING))
    assert {sample[2] for sample in found} == {2, 3, 4, 6, 7, 8, 9, 10}
    await log.close()


@pytest.mark.parametrize("damage", ["overwritten", "cut", "foreign"])
async def test_a_damaged_database_is_set_aside_and_never_deleted(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "log.db"
    await (await filled_log(path, 2000)).close()
    content = bytearray(path.read_bytes())
    assert len(content) > 100_000
    if damage == "overwritten":
        content[80_000:120_000] = os.urandom(40_000)
    if damage == "cut":
        del content[len(content) // 2 :]
    if damage == "foreign":
        content[:] = b"x" * 9000
    path.write_bytes(content)
    mark_unclean(path)
    log = open_log(path)
    aside = log.opening.set_aside
    assert aside is not None
    assert aside.name.startswith("log.db.aside-")
    assert len(aside.read_bytes()) >= len(content)
    assert log.boot == 3, "the rescue is a boot of its own: it makes records"
    table = log.intern(TAGS)
    assert table.epoch in (1, 3)
    await append_all(log, [frame_draft(1, table)])
    await log.read(after=Seq(0), size_bytes_max=EVERYTHING)
    await log.close()
    found = len(samples(LogReader(path).records())) - 8
    losses = [entry.count for entry in ledger(path) if entry.reason is LedgerReason.CORRUPT]
    if damage == "foreign":
        assert (found, losses) == (0, [None])
    else:
        assert 0 < found < 16_000
        assert found + sum(count or 0 for count in losses) == 16_000


def mark_unclean(path: Path) -> None:
    """Pretend that the last stop was none, as far as the file can still be written."""
    try:
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE state SET value = 0 WHERE name = 'is_clean'")
        connection.close()
    except sqlite3.DatabaseError:
        return


async def test_a_log_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await (await filled_log(path, 1)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="format 99"):
        open_log(path)
    assert path.read_bytes() == before


@contextmanager
def small_disk(size: str, folder: Path) -> Iterator[Path]:
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_is_survived_and_nothing_is_lost(tmp_path: Path) -> None:
    """The ballast goes first; when even that is used up, records wait in memory."""
    with small_disk("6m", tmp_path / "disk") as folder:
        settings = QUICK.model_copy(update={"ballast_bytes": 1024 * 1024})
        log = open_log(folder / "log.db", settings)
        ballast = folder / "log.db.ballast"
        assert ballast.stat().st_size == 1024 * 1024
        table = log.intern(TAGS)
        filler = folder / "filler"
        await log.durable(log.append([frame_draft(1, table)]))
        fill(filler)
        groups = 0
        while ballast.exists() or log.state is not StoreState.OK:
            groups += 1
            log.append([frame_draft(groups, table)] * 50)
            await asyncio.sleep(0.002)
        refused = 0
        while refused < 20:
            fill(filler)
            groups += 1
            log.append([frame_draft(groups, table)] * 50)
            await asyncio.sleep(0.01)
            refused = refused + 1 if log.reason else 0
        assert "full" in log.reason
        ticket = log.append([draft_event(make_event(7))])
        with pytest.raises(StoreError, match="not on disk"):
            await log.durable(ticket)
        assert (await log.stats()).state is StoreState.DEGRADED
        await asyncio.wait_for(log.room(), 1)
        filler.unlink()
        await until(lambda: log.state is StoreState.OK)
        await log.durable(ticket)
        assert (await log.stats()).stored_samples == 8 * (1 + 50 * groups)
        await until(ballast.exists)
        await log.close()
        assert ledger(log.path) == []
        found = samples(LogReader(log.path).records())
        assert len(found) == 8 * (1 + 50 * groups)


def fill(filler: Path) -> None:
    """Use up what is left of the disk."""
    status = os.statvfs(filler.parent)
    with filler.open("ab") as file:
        file.write(bytes(status.f_bavail * status.f_frsize))


@contextmanager
def refusing_disk() -> Iterator[None]:
    """Let no file of this process grow beyond one page: every commit fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_must_be_shed_while_the_disk_refuses_is_ledgered(tmp_path: Path) -> None:
    """Samples go, events stay; stored and ledgered together are what was appended."""
    settings = QUICK.model_copy(update={"pending_bytes_max": 1024 * 1024})
    log = open_log(tmp_path / "log.db", settings)
    table = log.intern(TAGS)
    frames = 0
    with refusing_disk():
        while log.state is StoreState.OK:
            frames += 1
            log.append([frame_draft(frames, table)])
            await asyncio.sleep(0)
        events = []
        for number in range(9000):
            frames += 1
            drafts = [frame_draft(frames, table)]
            if number % 1000 == 0:
                drafts.append(draft_event(make_event(number)))
            events.append(log.append(drafts))
        await until(lambda: log._writer.pending_bytes <= 1024 * 1024 + 300_000)
        assert log.state is StoreState.DEGRADED
    await until(lambda: log.state is StoreState.OK)
    await log.durable(events[-1])
    with pytest.raises(StoreError, match="dropped"):
        await log.durable(events[0])
    stats = await log.stats()
    assert stats.stored_samples + stats.ledgered_samples == frames * len(TAGS)
    await log.close()
    (entry,) = ledger(log.path)
    assert entry.reason is LedgerReason.STORE_FAILED
    assert entry.count == stats.ledgered_samples > 0
    assert kinds(log.path).count("EVENT") == 9
    assert kinds(log.path).index("LEDGER") < kinds(log.path).index("EVENT")


async def test_stopping_while_the_disk_refuses_ends_and_is_not_clean(tmp_path: Path) -> None:
    log = await filled_log(tmp_path / "log.db", 3)
    with refusing_disk():
        while log.state is StoreState.OK:
            log.append([draft_event(make_event(1))])
            await asyncio.sleep(0.001)
        await asyncio.wait_for(log.close(), 20)
    log = open_log(tmp_path / "log.db")
    assert not log.opening.was_clean
    await log.close()


class LyingDatabase(LogDatabase):
    """Says once that a commit failed, after it has reached the disk."""

    lies_left = 1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
        if self.lies_left:
            self.lies_left -= 1
            raise sqlite3.OperationalError("disk I/O error")


async def test_a_commit_that_failed_but_reached_the_disk_is_not_repeated(tmp_path: Path) -> None:
    """The worst case for `nothing twice`."""
    files = LogFiles(tmp_path / "log.db")
    progress = Progress()
    database = LyingDatabase.open(files.database, PlainBodies())
    writer = Writer(
        database,
        files,
        QUICK,
        boot=Boot(1),
        cursors={},
        rebasing=Rebasing(database, boot=Boot(1), mark=lambda: Ticket(0)),
        progress=progress,
        clock=SettableClock(),
    )
    writer.start()
    event = draft_event(make_event(1))
    ticket = writer.append([event, event])
    await progress.wait_for(lambda: writer.state is StoreState.DEGRADED)
    later = writer.append([event])
    await progress.wait_for(lambda: writer.settled >= later)
    writer.check(ticket)
    assert await asyncio.to_thread(writer.close, timeout_s=10)
    assert kinds(files.database) == ["EVENT"] * 3


async def test_a_lost_boot_file_is_made_up_for_by_the_database(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await open_log(path).close()
    for content in ("", "rubbish", "-5"):
        path.with_name("log.db.boot").write_text(content)
        log = open_log(path)
        await log.close()
    assert log.boot == 4
    assert path.with_name("log.db.boot").read_text() == "4\n"
