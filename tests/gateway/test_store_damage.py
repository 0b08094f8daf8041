"""Flipped bytes in every region of the log's files: what becomes of each is a line in a table.

Whatever was hit: the log opens, what it gives is what was written, to the bit; what it does not
give is covered by the ledger; it goes on to write, and opens again.
"""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.core.cursors import Span
from gateway.core.errors import StoreError
from gateway.core.records import LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.store import LogReader, RecordLog, StoreState
from gateway.wire.documents import draft_event
from tests.gateway.store_books import SAMPLES, Identity, noisy_draft, words_of
from tests.gateway.store_cases import (
    SEALING,
    SECOND_NS,
    START_NS,
    TAGS,
    ledger,
    make_event,
    open_log,
    until,
)
from tests.gateway.test_store_faults import mark_unclean

PAGE = 4096
SEALED, SINGLE = 60, 30
FLIPS = 2
"""Bytes that are changed in each region, each in a log of its own."""


async def fill(log: RecordLog) -> None:
    """Put something of everything into a log: blocks, single records, holes, a checkpoint."""
    table = log.intern(TAGS)
    for number in range(1, SEALED + SINGLE + 1):
        drafts = [noisy_draft(number, table)]
        if number % 5 == 0:
            drafts.append(noisy_draft(number, table, kind=RecordKind.DERIVED))
        if number % 20 == 0:
            drafts.append(draft_event(make_event(number)))
        log.append(drafts)
        if number == SEALED:
            await log.durable(log.append([]))
            await log.tidy()
    await log.durable(log.append([]))
    await log.advance("cloud", Seq(20))
    await log.skip("cloud", Seq(80))
    await log.fill("cloud", Span(first=Seq(30), last=Seq(40)))
    await log.save_checkpoint({"twin": bytes(50_000)})  # its pages are free afterwards
    await log.durable(log.append([]))
    await log.save_checkpoint({"twin": b"t" * 300, "detector": b"d" * 300})
    await log.durable(log.append([]))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log that was closed; everything is in the database."""
    folder = tmp_path_factory.mktemp("stopped")
    asyncio.run(fill_and(folder, copy_to=None))
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log as a kill leaves it: the newest records are in the write-ahead log."""
    folder = tmp_path_factory.mktemp("killed")
    asyncio.run(fill_and(tmp_path_factory.mktemp("living"), copy_to=folder))
    return folder


async def fill_and(folder: Path, *, copy_to: Path | None) -> None:
    """Fill a log, copy its files as they are then, and close it."""
    log = open_log(folder / "log.db", SEALING)
    await fill(log)
    if copy_to is not None:
        for suffix in ("", "-wal", ".boot"):
            shutil.copy(folder / f"log.db{suffix}", copy_to)
    await log.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where the bytes are, and what may become of the log."""

    file: str
    """Suffix of the file's name."""
    places: Callable[[bytes, Path], range]
    """Returns the offsets, of the file's content and the database."""
    outcome: str
    """The most that may happen: see `known_errors`."""
    is_killed: bool = False


def of_body(kind: RecordKind) -> Callable[[bytes, Path], range]:
    """Return the part of a record's body that lies in one piece."""

    def places(content: bytes, path: Path) -> range:
        bodies = [record.body for record in LogReader(path).records() if record.kind is kind]
        start = content.find(bodies[len(bodies) // 2][:200])
        assert start > 0, kind
        return range(start, start + min(200, len(bodies[len(bodies) // 2])))

    return places


def of_page(name: str) -> Callable[[bytes, Path], range]:
    """Return the first page of a table or an index."""

    def places(content: bytes, path: Path) -> range:
        with closing(sqlite3.connect(path)) as connection:
            (page,) = connection.execute(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)
            ).fetchone()
        return range((page - 1) * PAGE, page * PAGE)

    return places


def at(first: int, last: int) -> Callable[[bytes, Path], range]:
    return lambda *_: range(first, last)


def of_leaf_head(content: bytes, path: Path) -> range:
    """Return the head of a page of records, and where it says its rows are."""
    body = of_body(RecordKind.FRAME)(content, path)
    start = body.start // PAGE * PAGE
    return range(start, start + 12)


def of_freelist(content: bytes, path: Path) -> range:
    page = int.from_bytes(content[32:36], "big")
    assert page > 0, "nothing was deleted"
    return range((page - 1) * PAGE, (page - 1) * PAGE + 32)


def of_frame_in_wal(content: bytes, path: Path) -> range:
    """Return a frame in the middle of the write-ahead log, its head included."""
    middle = (len(content) - 32) // (PAGE + 24) // 2
    return range(32 + middle * (PAGE + 24), 32 + (middle + 1) * (PAGE + 24))


KNOWN_ERRORS = {
    # What is hit: the most that may become of it.
    #   whole    nothing is lost
    #   ledgered what is lost is in the ledger, with its times; its number unless the end is lost
    #   refused  the log does not open and is left alone; the message says what to do
    #   cut      a tail of the write-ahead log is lost, as after a power cut; a gap covers it
    "file header: magic": Region(file="", places=at(0, 16), outcome="ledgered"),
    "file header: page size": Region(file="", places=at(16, 18), outcome="ledgered"),
    "file header: versions, limits": Region(file="", places=at(18, 24), outcome="ledgered"),
    "file header: counters, freelist": Region(file="", places=at(24, 44), outcome="ledgered"),
    "file header: encoding": Region(file="", places=at(44, 60), outcome="ledgered"),
    "file header: our version": Region(file="", places=at(60, 64), outcome="refused"),
    "file header: our mark": Region(file="", places=at(68, 72), outcome="refused"),
    "schema page": Region(file="", places=at(100, PAGE), outcome="ledgered"),
    "root of the records": Region(file="", places=of_page("record"), outcome="ledgered"),
    "page of records": Region(file="", places=of_leaf_head, outcome="ledgered"),
    "body of a frame": Region(file="", places=of_body(RecordKind.FRAME), outcome="ledgered"),
    "body of a derived": Region(file="", places=of_body(RecordKind.DERIVED), outcome="ledgered"),
    "body of an event": Region(file="", places=of_body(RecordKind.EVENT), outcome="ledgered"),
    "body of a block": Region(file="", places=of_body(RecordKind.BLOCK), outcome="ledgered"),
    "body of the tags": Region(file="", places=of_body(RecordKind.TAGS), outcome="ledgered"),
    "index of blocks": Region(file="", places=of_page("block_by_time"), outcome="ledgered"),
    "index of notes": Region(file="", places=of_page("note_by_seq"), outcome="ledgered"),
    "cursors": Region(file="", places=of_page("cursor"), outcome="ledgered"),
    "holes": Region(file="", places=of_page("hole"), outcome="ledgered"),
    "checkpoint": Region(file="", places=of_page("checkpoint"), outcome="ledgered"),
    "tag tables": Region(file="", places=of_page("epoch"), outcome="ledgered"),
    "totals of the ledger": Region(file="", places=of_page("ledgered"), outcome="ledgered"),
    "state": Region(file="", places=of_page("state"), outcome="ledgered"),
    "position counter": Region(file="", places=of_page("sqlite_sequence"), outcome="ledgered"),
    "freelist": Region(file="", places=of_freelist, outcome="ledgered"),
    "boot file": Region(file=".boot", places=at(0, 2), outcome="whole"),
    "head of the WAL": Region(file="-wal", places=at(0, 32), outcome="cut", is_killed=True),
    "frame in the WAL": Region(file="-wal", places=of_frame_in_wal, outcome="cut", is_killed=True),
}
"""Regions of the files."""


@pytest.mark.parametrize("is_noticed", [True, False], ids=["at_the_start", "while_running"])
@pytest.mark.parametrize("name", KNOWN_ERRORS)
async def test_flipped_bytes_lose_nothing_in_silence(
    tmp_path: Path, stopped: Path, killed: Path, name: str, is_noticed: bool
) -> None:
    """Each line of the table, with a check of the whole file at the start, and without one."""
    region = KNOWN_ERRORS[name]
    origin = killed if region.is_killed else stopped
    expected = dict(words_in(copied(origin, tmp_path / "origin")))
    dice = random.Random(name)
    for number in range(FLIPS):
        path = copied(origin, tmp_path / str(number))
        if is_noticed and not region.is_killed:
            mark_unclean(path)
        file = path.with_name(f"log.db{region.file}")
        content = bytearray(file.read_bytes())
        places = region.places(bytes(content), path)
        place = dice.choice([x for x in places if content[x]] or list(places))
        content[place] ^= 1 << dice.randrange(8)
        file.write_bytes(content)
        await check(path, expected, region.outcome)


async def check(path: Path, expected: dict[Identity, str], outcome: str) -> None:
    """Use the log as the gateway does, twice, and compare what it gives with what was written."""
    if outcome == "refused":
        with pytest.raises(StoreError, match="is not a record log"):
            open_log(path)
        return
    log = open_log(path, SEALING)
    with suppress(StoreError):  # found just now, and the service starts again
        log.intern(TAGS)
    seen = await read_all(log)
    with suppress(StoreError):  # found just now: what was asked for comes with the next look
        await log.tidy()
        log.load_checkpoints()
        await log.read_frames([TAGS[0].id], 0, 2**62)
    ticket = log.append([draft_event(make_event(1000))])
    await until(lambda: log.state is StoreState.OK and log._writer.settled >= ticket)
    first_boot = log.boot
    await log.close()
    # What was not found so far is found by the check after the next stop that is not clean.
    mark_unclean(path)
    log = open_log(path)
    assert log.boot > first_boot
    await log.close()
    kept = dict(words_in(path))
    for identity, word in seen | kept.items():
        assert expected.get(identity, word) == word
        assert not word.startswith("wrong")
    compare({word for i, word in expected.items() if i not in kept}, ledger(path), outcome)


def compare(missing: set[str], entries: list[LedgerEntry], outcome: str) -> None:
    """What is missing must be allowed to be, and in the ledger."""
    losses = [entry for entry in entries if entry.reason is LedgerReason.CORRUPT]
    numbers = [int(word[1:]) for word in missing if word[0] == "F"]
    if outcome == "whole":
        assert (missing, losses) == (set(), [])
    elif outcome == "cut":
        gaps = [entry for entry in entries if entry.reason is LedgerReason.UNCLEAN_STOP]
        assert gaps
    elif missing:
        assert losses
        for number in numbers:
            time_ns = START_NS + number * SECOND_NS
            assert any(loss.from_ns <= time_ns < loss.to_ns for loss in losses)
        if all(loss.count is not None for loss in losses):
            assert sum(loss.count or 0 for loss in losses) == SAMPLES * len(numbers)


async def read_all(log: RecordLog) -> set[tuple[Identity, str]]:
    """Read like an uplink: what cannot be read is tried again a moment later."""
    seen: set[tuple[Identity, str]] = set()
    position = Seq(0)
    for _ in range(1000):
        try:
            page = await log.read(after=position, size_bytes_max=50_000)
        except StoreError:
            await asyncio.sleep(0.01)
            continue
        seen |= {((boot, seq), word) for each in page for boot, seq, word in words_of(each)}
        if not page:
            return seen
        position = page[-1].seq
    raise AssertionError("the log cannot be read any more")


def words_in(path: Path) -> Iterator[tuple[Identity, str]]:
    for record in LogReader(path).records():
        for boot, seq, word in words_of(record):
            yield (boot, seq), word


def copied(origin: Path, folder: Path) -> Path:
    shutil.copytree(origin, folder)
    return folder / "log.db"
