"""Blocks that lie side by side become few large ones, and nothing else changes."""

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from gateway.core.records import RecordKind, Seq
from gateway.core.tags import Tag, TagId
from gateway.store import LogReader, LogSettings, RecordLog
from gateway.wire.documents import draft_event
from tests.gateway.store_cases import (
    SEALING,
    TAGS,
    append_all,
    frame_draft,
    kinds,
    make_event,
    open_log,
    samples,
    stored_frames,
)


async def seal_each(log: RecordLog, numbers: range, *, frames: int = 2) -> None:
    """Seal a block of some frames for each number."""
    table = log.intern(TAGS)
    for number in numbers:
        await append_all(log, [frame_draft(frames * number + k, table) for k in range(frames)])
        await log.tidy()


def block_sizes(path: Path) -> list[int]:
    """Return the number of frames in each block."""
    records = LogReader(path).records()
    return [len(stored_frames([x])) for x in records if x.kind is RecordKind.BLOCK]


async def test_neighbouring_blocks_become_few(tmp_path: Path) -> None:
    """Forty small blocks become a handful, the largest first; each frame is where it was."""
    log = open_log(tmp_path / "log.db", SEALING)
    await seal_each(log, range(40))
    sizes = block_sizes(log.path)
    assert sum(sizes) == 80
    assert len(sizes) <= 6
    assert all(older > 2 * newer for older, newer in pairwise(sizes))
    everything = stored_frames(LogReader(log.path).records())
    assert [stored.seq for stored in everything] == list(range(2, 82))
    assert [int(stored.frame.value[0]) for stored in everything] == list(range(80))
    assert (await log.stats()).stored_samples == 80 * len(TAGS)
    await log.close()


async def test_a_reader_goes_on_inside_of_a_block_that_was_joined(tmp_path: Path) -> None:
    """From every position it gets what lies behind it, once and in order."""
    log = open_log(tmp_path / "log.db", SEALING)
    await seal_each(log, range(8))
    for after in range(17):
        frames = stored_frames(await log.read(after=Seq(after), size_bytes_max=1 << 20))
        assert [stored.seq for stored in frames] == [x for x in range(2, 18) if x > after]
    await log.close()


async def test_no_block_outgrows_its_bound(tmp_path: Path) -> None:
    bound = 1024
    settings: LogSettings = SEALING.model_copy(update={"block_samples_max": bound})
    log = open_log(tmp_path / "log.db", settings)
    await seal_each(log, range(24), frames=10)
    sizes = block_sizes(log.path)
    await log.close()
    assert max(sizes) * len(TAGS) <= bound
    assert sizes[0] * len(TAGS) > bound / 3


async def test_an_event_between_keeps_blocks_apart(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db", SEALING)
    await seal_each(log, range(1))
    await append_all(log, [draft_event(make_event(1))])
    await seal_each(log, range(1, 3))
    assert kinds(log.path) == ["TAGS", "BLOCK", "EVENT", "BLOCK"]
    await log.close()


async def test_starts_and_tag_tables_are_not_mixed(tmp_path: Path) -> None:
    """Nor is a block joined that an earlier start has made."""
    path = tmp_path / "log.db"
    for number in range(2):
        log = open_log(path, SEALING)
        await seal_each(log, range(number, number + 1))
        await log.close()
    log = open_log(path, SEALING)
    other = log.intern([Tag(id=TagId(f"other.T{number}")) for number in range(len(TAGS))])
    await append_all(log, [frame_draft(9, other)])
    await log.tidy()
    await log.close()
    assert kinds(path) == ["TAGS", "BLOCK", "BLOCK", "TAGS", "BLOCK"]
    assert len(samples(LogReader(path).records())) == 5 * len(TAGS)


async def test_a_block_that_was_changed_is_left_alone(tmp_path: Path) -> None:
    """Such as one that was thinned: it has fewer samples than it was made with."""
    log = open_log(tmp_path / "log.db", SEALING)
    await seal_each(log, range(1))
    with closing(sqlite3.connect(log.path)) as connection:
        connection.execute("UPDATE record SET sample_count = sample_count - 1 WHERE kind = 7")
        connection.commit()
    await seal_each(log, range(1, 2))
    assert kinds(log.path) == ["TAGS", "BLOCK", "BLOCK"]
    await log.close()


async def test_a_damaged_block_is_not_joined(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db", SEALING)
    await seal_each(log, range(1))
    with closing(sqlite3.connect(log.path)) as connection:
        connection.execute("UPDATE record SET body = zeroblob(50) WHERE kind = 7")
        connection.commit()
    await seal_each(log, range(1, 2))
    assert block_sizes(log.path) == [2]
    await log.close()
