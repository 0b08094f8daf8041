"""What goes when the disk is used up, in which order, and that the books say so."""

from pathlib import Path

import numpy as np
import pytest

from gateway.core.frame import Frame
from gateway.core.records import LedgerReason, RecordKind, Seq
from gateway.core.tags import Tag, TagId, TagTable
from gateway.store import LogReader, LogSettings, RecordLog
from gateway.wire.documents import draft_event
from gateway.wire.frames import draft_frame
from tests.gateway.store_cases import (
    QUICK,
    SEALING,
    SECOND_NS,
    START_NS,
    SettableClock,
    kinds,
    ledger,
    make_event,
    open_log,
    samples,
    stored_frames,
)

MIB = 1024 * 1024
WIDE = tuple(Tag(id=TagId(f"mill.T{number}")) for number in range(1000))
BOUNDS = {
    "backlog_bytes_max": 2 * MIB,
    "history_bytes_max": MIB,
    "retention_period_s": 3600.0,
    "thin_error_percent": 0.0,
}
SINGLE = QUICK.model_copy(update=BOUNDS)
SEALED = SEALING.model_copy(update={**BOUNDS, "block_samples_max": 16_384})


def noise(number: int, rng: np.random.Generator) -> Frame:
    """Return a frame of 1,000 values that do not compress: about 7 kB."""
    time_ns = START_NS + number * SECOND_NS
    return Frame(
        tag_index=np.arange(len(WIDE), dtype=np.int32),
        time_ns=np.full(len(WIDE), time_ns),
        value=rng.normal(size=len(WIDE)),
        status=np.zeros(len(WIDE), dtype=np.uint32),
        received_ns=time_ns,
    )


async def fill(log: RecordLog, table: TagTable, count: int) -> None:
    rng = np.random.default_rng(count)
    ticket = None
    for number in range(count):
        frame = noise(number, rng)
        drafts = [draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)]
        if number % 10 == 0:
            drafts.append(draft_event(make_event(number)))
        ticket = log.append(drafts)
    assert ticket is not None
    await log.durable(ticket)


@pytest.mark.parametrize("settings", [SINGLE, SEALED], ids=["single", "sealed"])
async def test_the_oldest_undelivered_samples_go_and_the_books_balance(
    tmp_path: Path, settings: LogSettings
) -> None:
    """Stored = still there + ledgered; events stay; what is left is the newest."""
    log = open_log(tmp_path / "log.db", settings)
    table = log.intern(WIDE)
    await fill(log, table, 500)
    await log.tidy()
    stats = await log.stats()
    assert stats.used_bytes <= 2 * MIB
    assert stats.stored_samples == 500_000
    left = stored_frames(LogReader(log.path).records())
    assert sum(len(each.frame) for each in left) + stats.ledgered_samples == 500_000
    assert stats.used_bytes > 0.8 * 2 * MIB
    times = [int(each.frame.time_ns[0]) for each in left]
    assert times == [START_NS + n * SECOND_NS for n in range(500 - len(left), 500)]
    assert kinds(log.path).count("EVENT") == 50
    entries = ledger(log.path)
    assert {entry.reason for entry in entries} == {LedgerReason.RETENTION}
    assert entries[0].from_ns == START_NS
    assert entries[-1].to_ns == times[0] - SECOND_NS + 1
    lag = stats.cursors[0]
    assert lag.samples == len(left) * 1000
    await log.close()
    log = open_log(tmp_path / "log.db", settings)
    again = await log.stats()
    assert (again.stored_samples, again.ledgered) == (500_000, stats.ledgered)
    await log.close()


@pytest.mark.parametrize("settings", [SINGLE, SEALED], ids=["single", "sealed"])
async def test_delivered_history_goes_first_and_is_no_loss(
    tmp_path: Path, settings: LogSettings
) -> None:
    log = open_log(tmp_path / "log.db", settings)
    table = log.intern(WIDE)
    await fill(log, table, 400)
    await log.advance("cloud", Seq(log.end - 20))
    before = undelivered(log)
    await log.tidy()
    assert undelivered(log) == before
    assert (await log.stats()).used_bytes <= 1.5 * MIB
    assert ledger(log.path) == []
    await log.close()


def undelivered(log: RecordLog) -> set[tuple[str, int, int, int, int, float]]:
    found = samples(LogReader(log.path).records())
    return {sample for sample in found if sample[2] > log.cursor("cloud")}


async def test_of_a_block_partly_delivered_only_the_rest_is_a_loss(tmp_path: Path) -> None:
    settings = SEALED.model_copy(update={"block_samples_max": 1_000_000})
    log = open_log(tmp_path / "log.db", settings)
    table = log.intern(WIDE)
    rng = np.random.default_rng(1)
    drafts = [
        draft_frame(noise(number, rng), epoch=table.epoch, kind=RecordKind.FRAME)
        for number in range(400)
    ]
    await log.durable(log.append(drafts))
    await log.advance("cloud", Seq(101))
    await log.tidy()
    stats = await log.stats()
    assert stats.ledgered_samples == 300_000
    (entry,) = ledger(log.path)
    assert entry.from_ns == START_NS + 100 * SECOND_NS
    assert entry.tags == (), "more than a hundred tags are not listed"
    await log.close()


async def test_a_loss_of_few_tags_names_them(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db", SINGLE)
    table = log.intern(WIDE)
    rng = np.random.default_rng(2)
    few = np.isin(np.arange(len(WIDE)), [3, 5])
    draft = draft_frame(noise(0, rng).where(few), epoch=table.epoch, kind=RecordKind.FRAME)
    await log.durable(log.append([draft]))
    await fill(log, table, 400)
    await log.tidy()
    assert ledger(log.path)[0].tags == ()
    await log.close()

    log = open_log(tmp_path / "few.db", SINGLE)
    table = log.intern(WIDE)
    await log.durable(log.append([draft] * 30_000))
    await log.tidy()
    assert ledger(log.path)[0].tags == (WIDE[3].id, WIDE[5].id)
    stats = await log.stats()
    assert stats.ledgered_samples + len(samples(LogReader(log.path).records())) == 60_000
    await log.close()


async def test_history_goes_by_age_but_never_what_a_restart_would_replay(tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"history_age_s": 3600.0, "retention_period_s": 3600.0})
    clock = SettableClock(-7200)
    log = open_log(tmp_path / "log.db", settings, clock=clock)
    table = log.intern(WIDE)
    await fill(log, table, 5)
    await log.save_checkpoint({"twin": b"state"})
    await fill(log, table, 5)
    await log.advance("cloud", log.end)
    clock.shift_s = 0.0
    await log.tidy()
    assert kinds(log.path) == ["FRAME", "EVENT", *["FRAME"] * 4]
    await log.save_checkpoint({"twin": b"state"})
    await log.durable(log.append([]))
    await log.tidy()
    assert kinds(log.path) == []
    assert ledger(log.path) == []
    assert (await log.stats()).stored_samples == 10_000
    await log.close()
    log = open_log(tmp_path / "log.db", settings)
    stats = await log.stats()
    assert (stats.stored_samples, stats.end) == (10_000, 13)
    await log.close()


async def test_events_go_last_and_only_when_there_is_nothing_else(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db", SINGLE)
    table = log.intern(WIDE)
    await fill(log, table, 50)
    await log.durable(log.append([draft_event(make_event(number)) for number in range(40_000)]))
    await log.tidy()
    left = kinds(log.path)
    assert "FRAME" not in left
    assert 5_000 < left.count("EVENT") < 40_005
    assert (await log.stats()).ledgered_samples == 50_000
    await log.close()


async def test_for_a_reader_that_was_taken_out_nothing_is_kept(tmp_path: Path) -> None:
    """What only it had not read is history from then on: it goes without being a loss."""
    log = open_log(tmp_path / "log.db", SINGLE)
    table = log.intern(WIDE)
    await fill(log, table, 500)
    await log.forget("cloud")
    await log.durable(log.append([]))
    assert (await log.stats()).cursors == ()
    await log.tidy()
    stats = await log.stats()
    assert stats.used_bytes <= 2 * MIB
    assert stats.ledgered_samples == 0
    await log.close()
    log = open_log(tmp_path / "log.db", SINGLE, cursors=())
    assert (await log.stats()).cursors == ()
    await log.close()
