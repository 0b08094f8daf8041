"""What goes first when the disk is used up, by class of record and by reader."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from gateway.core.cursors import Scope, Span
from gateway.core.frame import Frame
from gateway.core.records import Draft, LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.core.tags import Tag, TagId, TagTable
from gateway.store import LogReader, LogSettings, RecordLog
from gateway.store.relief import IN_FLIGHT_NOTES_MAX
from gateway.wire.documents import draft_event, draft_ledger_entry
from gateway.wire.frames import StoredFrame, draft_frame
from tests.gateway.store_cases import (
    GATEWAY,
    SEALING,
    SECOND_NS,
    START_NS,
    SettableClock,
    kinds,
    ledger,
    make_event,
    stored_frames,
)

MIB = 1024 * 1024
TAGS = tuple(
    Tag(id=TagId(f"mill.T{number}"), low=0.0, high=100.0, is_derived=number >= 150)
    for number in range(200)
)
RAW, COMPUTED = range(150), range(150, 200)
SETTINGS = SEALING.model_copy(
    update={
        "backlog_bytes_max": MIB,
        "history_bytes_max": MIB,
        "retention_period_s": 3600.0,
        "block_samples_max": 16_384,
        "check_bytes_max": 0,
    }
)
BOTH = {"cloud": Scope.SAMPLES, "cloud/alarms": Scope.NOTES}


def opened(
    path: Path,
    cursors: Mapping[str, Scope] = BOTH,
    *,
    settings: LogSettings = SETTINGS,
    clock: SettableClock | None = None,
) -> RecordLog:
    return RecordLog.open(
        path, settings, gateway=GATEWAY, clock=clock or SettableClock(), cursors=cursors
    )


def frame_of(tags: range, number: int, noise: float, rng: np.random.Generator) -> Frame:
    """Return a sample of each tag: around 50 % of the range, with noise in percent of it."""
    return Frame(
        tag_index=np.array(tags, dtype=np.int32),
        time_ns=np.full(len(tags), START_NS + number * SECOND_NS),
        value=50 + rng.uniform(-noise, noise, len(tags)),
        status=np.zeros(len(tags), dtype=np.uint32),
        received_ns=START_NS + number * SECOND_NS,
    )


async def fill(log: RecordLog, table: TagTable, count: int, *, noise: float) -> None:
    """Append seconds of raw and computed samples, and now and then an event."""
    rng = np.random.default_rng(count)
    drafts: list[Draft] = []
    for number in range(count):
        for tags, kind in ((RAW, RecordKind.FRAME), (COMPUTED, RecordKind.DERIVED)):
            frame = frame_of(tags, number, noise, rng)
            drafts.append(draft_frame(frame, epoch=table.epoch, kind=kind))
        if number % 50 == 0:
            drafts.append(draft_event(make_event(number)))
    await log.durable(log.append(drafts))


def left(log: RecordLog) -> list[StoredFrame]:
    return stored_frames(LogReader(log.path).records())


def count_of(frames: list[StoredFrame], kind: RecordKind) -> int:
    return sum(len(each.frame) for each in frames if each.kind is kind)


async def test_raw_samples_are_thinned_before_any_is_dropped(tmp_path: Path) -> None:
    """Noise of 0.2 % of the range; what the gateway computed, and all events, stay whole."""
    log = opened(tmp_path / "log.db")
    table = log.intern(TAGS)
    await fill(log, table, 1000, noise=0.2)
    await log.tidy()
    stats = await log.stats()
    assert stats.used_bytes <= MIB
    entries = ledger(log.path)
    assert {entry.reason for entry in entries} == {LedgerReason.THINNED}
    assert {entry.error_percent for entry in entries} == {0.5}
    frames = left(log)
    raw_count = count_of(frames, RecordKind.FRAME)
    assert 0 < raw_count < 150_000
    assert raw_count + stats.ledgered_samples == stats.stored_samples == 150_000
    assert count_of(frames, RecordKind.DERIVED) == 50_000
    assert kinds(log.path).count("EVENT") == 20
    assert [lag.samples for lag in stats.cursors] == [raw_count, 0]
    await log.close()


async def test_what_a_restart_would_replay_is_not_thinned(tmp_path: Path) -> None:
    """Behind the checkpoint all stays whole while there is anything before it to thin."""
    log = opened(tmp_path / "log.db")
    table = log.intern(TAGS)
    await fill(log, table, 1000, noise=0.2)
    end = log.end
    await log.save_checkpoint({"twin": b"state"})
    await fill(log, table, 100, noise=0.2)
    await log.tidy()
    frames = left(log)
    behind = [each for each in frames if each.seq > end]
    assert count_of(behind, RecordKind.FRAME) == 100 * 150
    before = [each for each in frames if each.seq <= end]
    assert count_of(before, RecordKind.FRAME) < 1000 * 150
    await log.close()


async def test_many_small_blocks_are_thinned_together(tmp_path: Path) -> None:
    """Events cut the log into blocks of a few seconds; one entry tells of many blocks."""
    roomy = SETTINGS.model_copy(update={"backlog_bytes_max": 16 * MIB})
    log = opened(tmp_path / "log.db", settings=roomy)
    table = log.intern(TAGS)
    for _ in range(60):
        await fill(log, table, 20, noise=0.2)
    await log.tidy()
    await log.close()
    log = opened(tmp_path / "log.db")
    await log.tidy()
    stats = await log.stats()
    assert stats.used_bytes <= MIB
    (told,) = stats.ledgered
    assert told.reason is LedgerReason.THINNED
    assert told.entries < 20
    assert count_of(left(log), RecordKind.FRAME) + told.samples == stats.stored_samples
    await log.close()


async def test_raw_samples_go_before_computed_ones_and_these_before_events(
    tmp_path: Path,
) -> None:
    """Noise of 20 % cannot be thinned: the oldest raw go, then all, then computed ones."""
    log = opened(tmp_path / "log.db")
    table = log.intern(TAGS)
    raw_counts, computed_counts = [], []
    for round_number in range(1, 5):
        await fill(log, table, 1000, noise=20.0)
        await log.tidy()
        stats = await log.stats()
        assert stats.used_bytes <= MIB
        frames = left(log)
        raw_counts.append(count_of(frames, RecordKind.FRAME))
        computed_counts.append(count_of(frames, RecordKind.DERIVED))
        assert raw_counts[-1] + stats.ledgered_samples == stats.stored_samples
        assert stats.cursors[0].samples == raw_counts[-1]
        assert raw_counts[-1] == 0 or computed_counts[-1] == round_number * 50_000
    assert 0 < raw_counts[0] < 150_000
    assert 0 < computed_counts[-1] < 200_000
    assert kinds(log.path).count("EVENT") == 80
    assert LedgerReason.RETENTION in {entry.reason for entry in ledger(log.path)}
    await log.close()


async def test_what_some_readers_have_is_thinned_for_the_others_only(tmp_path: Path) -> None:
    """Only samples that a reader lacks are taken out, and told, each once."""
    log = opened(tmp_path / "log.db", {"a": Scope.ALL, "b": Scope.ALL})
    table = log.intern(TAGS)
    await fill(log, table, 1500, noise=0.2)
    half = Seq(log.end // 2)
    await log.advance("a", log.end)
    await log.advance("b", half)
    await log.durable(log.append([]))
    await log.tidy()
    stats = await log.stats()
    frames = left(log)
    before = [each for each in frames if each.seq <= half and each.kind is RecordKind.FRAME]
    assert {len(each.frame) for each in before} == {150}, "history goes as a whole"
    behind = count_of([each for each in frames if each.seq > half], RecordKind.FRAME)
    lags = {lag.name: lag.samples for lag in stats.cursors}
    assert stats.ledgered_samples > 0
    assert lags["a"] == 0
    raw_behind = 150 * 750
    assert abs(behind + stats.ledgered_samples - raw_behind) <= 150
    await log.close()


async def test_history_behind_a_hole_goes_before_what_the_hole_lacks(tmp_path: Path) -> None:
    log = opened(tmp_path / "log.db", settings=SETTINGS.model_copy(update={"seal_after_s": 60}))
    table = log.intern(TAGS)
    await fill(log, table, 150, noise=20.0)
    hole = Span(first=Seq(2), last=log.end)
    await fill(log, table, 1500, noise=20.0)
    await log.advance("cloud", Seq(1))
    await log.skip("cloud", hole.last)
    await log.advance("cloud", log.end)
    await log.advance("cloud/alarms", log.end)
    await log.durable(log.append([]))
    await log.tidy()
    stats = await log.stats()
    assert stats.used_bytes < 1.5 * MIB
    assert stats.ledgered_samples == 0
    in_hole = [each for each in left(log) if hole.first <= each.seq <= hole.last]
    assert count_of(in_hole, RecordKind.FRAME) == 150 * 150
    assert stats.cursors[0].samples == 150 * 150
    await log.close()


async def test_a_reader_of_notes_that_lags_keeps_no_samples(tmp_path: Path) -> None:
    """Samples that are delivered are history, however far behind the notes are; and these stay."""
    settings = SETTINGS.model_copy(update={"history_age_s": 60.0})
    clock = SettableClock(-3600)
    log = opened(tmp_path / "log.db", settings=settings, clock=clock)
    table = log.intern(TAGS)
    await fill(log, table, 100, noise=20.0)
    await log.advance("cloud", log.end)
    await log.durable(log.append([]))
    clock.shift_s = 0.0
    await log.tidy()
    assert set(kinds(log.path)) == {"TAGS", "EVENT"}
    await log.advance("cloud/alarms", log.end)
    await log.durable(log.append([]))
    await log.tidy()
    assert kinds(log.path) == []
    await log.close()


async def test_a_reader_of_samples_that_lags_keeps_no_notes(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"history_age_s": 60.0})
    clock = SettableClock(-3600)
    log = opened(tmp_path / "log.db", settings=settings, clock=clock)
    table = log.intern(TAGS)
    await fill(log, table, 100, noise=20.0)
    await log.advance("cloud/alarms", log.end)
    await log.durable(log.append([]))
    clock.shift_s = 0.0
    await log.tidy()
    assert set(kinds(log.path)) == {"BLOCK"}
    assert count_of(left(log), RecordKind.FRAME) == 15_000
    await log.close()


async def test_undelivered_samples_go_by_age_when_there_is_a_bound(tmp_path: Path) -> None:
    """Computed ones, too; events stay, and the ledger says what went."""
    settings = SETTINGS.model_copy(update={"backlog_age_s": 600.0})
    clock = SettableClock(-3600)
    log = opened(tmp_path / "log.db", settings=settings, clock=clock)
    table = log.intern(TAGS)
    await fill(log, table, 100, noise=20.0)
    clock.shift_s = 0.0
    await fill(log, table, 20, noise=20.0)
    await log.tidy()
    frames = left(log)
    assert count_of(frames, RecordKind.FRAME) == 20 * 150
    assert count_of(frames, RecordKind.DERIVED) == 20 * 50
    stats = await log.stats()
    assert stats.ledgered_samples == 100 * 150
    assert kinds(log.path).count("EVENT") == 3
    await log.close()


async def test_the_ledger_is_merged_and_never_dropped(tmp_path: Path) -> None:
    """Where nothing but notes is left, entries that no reader can have seen become one."""
    log = opened(tmp_path / "log.db")
    entries = [
        LedgerEntry(
            reason=LedgerReason.SCAN_SKIPPED,
            source=f"press{number % 2}",
            from_ns=START_NS + number * SECOND_NS,
            to_ns=START_NS + (number + 1) * SECOND_NS,
            count=3,
        )
        for number in range(IN_FLIGHT_NOTES_MAX + 4000)
    ]
    await log.durable(log.append([draft_ledger_entry(entry) for entry in entries]))
    await log.tidy()
    found = ledger(log.path)
    assert len(found) == IN_FLIGHT_NOTES_MAX + 2, "what may be on its way stays as it is"
    assert sum(entry.count or 0 for entry in found) == 3 * len(entries)
    stats = await log.stats()
    (told,) = stats.ledgered
    assert (told.entries, told.samples) == (len(found), 3 * len(entries))
    merged = found[-2:]
    assert [each.source for each in merged] == ["press0", "press1"]
    assert merged[0].to_ns == entries[-2].to_ns
    await log.close()


@pytest.mark.parametrize("seed", range(4))
async def test_the_books_balance_whatever_readers_do(tmp_path: Path, seed: int) -> None:
    """Random readers, advances, holes and fills under pressure: nothing goes untold, or twice.

    What a reader gets, and what it never will, are the raw samples at positions it lacked; each
    of those that went is in the ledger, and the lag is to the sample what it can still read.
    """
    rng = np.random.default_rng(seed)
    cursors = {"a": Scope.ALL, "b": Scope.SAMPLES, "b/alarms": Scope.NOTES}
    log = opened(tmp_path / "log.db", cursors)
    table = log.intern(TAGS)
    for _ in range(8):
        await fill(
            log, table, int(rng.integers(100, 400)), noise=float(rng.choice([0.2, 1.0, 20.0]))
        )
        name = str(rng.choice(list(cursors)))
        to = Seq(int(rng.integers(1, log.end + 1)))
        action = rng.integers(3)
        if action == 0:
            await log.advance(name, to)
        elif action == 1 and name != "b/alarms":
            await log.skip(name, to)
        elif holes := log.holes(name):
            last = Seq(min(holes[0].first + 300, holes[0].last))
            await log.fill(name, Span(first=holes[0].first, last=last))
        await log.durable(log.append([]))
        await log.tidy()
        await check(log)
    await log.close()


async def check(log: RecordLog) -> None:
    """Compare what the log says of itself with what is in it."""
    stats = await log.stats()
    rows = [
        (record, stored_frames([record]))
        for record in LogReader(log.path).records()
        if record.kind in (RecordKind.BLOCK, RecordKind.FRAME)
    ]
    for lag in stats.cursors:
        cursor_holes = log.holes(lag.name)
        if lag.name == "b/alarms":
            assert lag.samples == 0
            continue
        # A block that is lacked in part counts as a whole, and is counted once for each part.
        least = sum(
            len(each.frame)
            for _, frames in rows
            for each in frames
            if each.kind is RecordKind.FRAME
            and (
                each.seq > log.cursor(lag.name)
                or any(hole.first <= each.seq <= hole.last for hole in cursor_holes)
            )
        )
        slack = 2 * 16_384 * (1 + len(cursor_holes))
        assert least <= lag.samples <= least + slack
    assert stats.used_bytes <= 2 * MIB
    present = sum(count_of(frames, RecordKind.FRAME) for _, frames in rows)
    told = sum(entry.count or 0 for entry in ledger(log.path))
    assert told == stats.ledgered_samples
    assert present + told <= stats.stored_samples
