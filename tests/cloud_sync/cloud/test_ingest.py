"""What is taken, what is refused, and what the lake makes of it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cloud_sync.cloud.database import Database, open_database
from cloud_sync.cloud.ingest import (
    BusyError,
    Ingest,
    IngestSettings,
    Receipt,
    WrongGatewayError,
)
from cloud_sync.cloud.journal import read_gateways
from cloud_sync.cloud.lake import Lake, LakeSettings, read_levels
from cloud_sync.cloud.messages import GatewayStatus
from cloud_sync.cloud.parquet import count_in_lake, read_samples, read_tags
from cloud_sync.cloud.unpack import TooManySamplesError
from gateway.core.arrays import time_column
from gateway.core.errors import CorruptRecordError, StoreError
from gateway.core.frame import ClockSource
from gateway.core.records import LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.wire.clock import SystemClock
from gateway.wire.frames import encode_frame
from tests.cloud_sync.cloud.batches import (
    GATEWAY,
    START_NS,
    TABLE,
    batch,
    block_record,
    command_record,
    damaged,
    event_record,
    frame,
    frame_record,
    ledger_record,
    noisy_record,
    tags_record,
)


class Cloud:
    """Ingest and lake on one database."""

    def __init__(self, folder: Path, database: Database, settings: IngestSettings) -> None:
        self.folder = folder / "lake"
        self.database = database
        self.ingest = Ingest(database, settings=settings, clock=SystemClock())
        self.lake = Lake(self.folder, database, settings=LakeSettings(file_rows_max=1000))

    async def take(self, *records: Record) -> Receipt:
        return await self.ingest.take(batch(*records), gateway=GATEWAY)

    async def counts(self) -> GatewayStatus:
        [counts] = await self.database.transact(read_gateways)
        return counts

    async def rows(self, table: str) -> list[dict[str, object]]:
        def read(connection: sqlite3.Connection) -> list[dict[str, object]]:
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]

        return await self.database.transact(read)


@asynccontextmanager
async def opened(folder: Path, settings: IngestSettings | None = None) -> AsyncIterator[Cloud]:
    database = await open_database(folder / "cloud.sqlite")
    try:
        cloud = Cloud(folder, database, settings or IngestSettings())
        await cloud.lake.recover()
        yield cloud
    finally:
        await database.aclose()


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with opened(tmp_path) as cloud:
        yield cloud


async def test_batch_is_taken_once(cloud: Cloud) -> None:
    records = [frame_record(1), frame_record(2), frame_record(3, kind=RecordKind.DERIVED)]
    first = await cloud.take(*records)
    again = await cloud.take(*records)
    assert (first.record_count, first.sample_count, first.duplicate_count) == (3, 8, 0)
    assert (again.record_count, again.sample_count, again.duplicate_count) == (3, 8, 3)
    counts = await cloud.counts()
    assert (counts.record_count, counts.sample_count, counts.duplicate_count) == (3, 8, 3)
    assert await cloud.lake.compact() == 12
    books = count_in_lake(cloud.folder)
    assert (books.sample_count, books.duplicate_count) == (8, 0)


async def test_a_thinning_keeps_its_error(cloud: Cloud) -> None:
    await cloud.take(ledger_record(1, reason=LedgerReason.THINNED, error_percent=0.5))
    await cloud.take(ledger_record(2))
    entries = [(row["reason"], row["error_percent"]) for row in await cloud.rows("ledger")]
    assert entries == [("thinned", 0.5), ("retention", None)]


async def test_alarms_live_samples_and_backfill_come_in_any_order_and_become_one_run(
    cloud: Cloud,
) -> None:
    """What is known of a gateway stays one line, however its classes were interleaved."""
    notes = [event_record(seq) for seq in range(10, 400, 10)]
    frames = [frame_record(seq) for seq in range(1, 400) if seq % 10]
    back, front = frames[:300], frames[300:]
    await cloud.take(*notes[:20])
    await cloud.take(*front[:30])
    await cloud.take(*notes[20:])
    for begin in range(0, 300, 50):
        await cloud.take(*back[begin : begin + 50])
        await cloud.take(*front[begin // 5 : begin // 5 + 30])
    seen = await cloud.rows("seen")
    assert [(row["first"], row["last"]) for row in seen] == [(1, 399)]
    await cloud.lake.compact()
    books = count_in_lake(cloud.folder)
    assert (books.sample_count, books.duplicate_count) == (4 * len(frames), 0)


async def test_concurrent_identical_batches_are_taken_once(cloud: Cloud) -> None:
    records = [frame_record(seq) for seq in range(1, 51)]
    receipts = await asyncio.gather(*(cloud.take(*records) for _ in range(8)))
    assert sorted(receipt.duplicate_count for receipt in receipts) == [0] + [50] * 7
    await cloud.lake.compact()
    assert count_in_lake(cloud.folder).sample_count == 200


async def test_overlapping_batches_keep_every_record_once(cloud: Cloud) -> None:
    await cloud.take(*(frame_record(seq) for seq in range(10, 20)))
    await cloud.take(*(frame_record(seq) for seq in range(30, 40)))
    receipt = await cloud.take(*(frame_record(seq) for seq in range(5, 45)))
    assert receipt.duplicate_count == 20
    assert len(await cloud.rows("seen")) == 1
    await cloud.lake.compact()
    books = count_in_lake(cloud.folder)
    assert (books.sample_count, books.duplicate_count) == (160, 0)


async def test_boots_are_told_apart(cloud: Cloud) -> None:
    await cloud.take(frame_record(1, boot=1))
    receipt = await cloud.take(frame_record(1, boot=2))
    assert receipt.duplicate_count == 0


async def test_block_stands_for_its_frames(cloud: Cloud) -> None:
    """A frame that was delivered alone is not taken again out of a block, and back."""
    await cloud.take(frame_record(2))
    partly = await cloud.take(block_record([1, 2, 3]))
    assert (partly.sample_count, partly.duplicate_count, partly.fresh_sample_count) == (12, 0, 8)
    wholly = await cloud.take(block_record([1, 2]), frame_record(3), frame_record(4))
    assert wholly.duplicate_count == 2
    await cloud.lake.compact()
    books = count_in_lake(cloud.folder)
    assert (books.sample_count, books.duplicate_count) == (16, 0)


async def test_frame_beside_its_block_counts_once(cloud: Cloud) -> None:
    await cloud.take(frame_record(1), block_record([1, 2]))
    await cloud.lake.compact()
    books = count_in_lake(cloud.folder)
    assert (books.sample_count, books.duplicate_count) == (8, 0)


async def test_lake_gives_back_what_was_sent(cloud: Cloud) -> None:
    await cloud.take(
        frame_record(1), frame_record(2, kind=RecordKind.STATED),
        frame_record(3, kind=RecordKind.DERIVED),
    )  # fmt: skip
    await cloud.lake.compact()
    books = count_in_lake(cloud.folder)
    assert books.sample_count_by_tag == {TagId(f"pumps.T{number}"): 1 for number in range(4)}
    samples = books.samples
    values = {samples.tags[i]: v for i, v in zip(samples.tag_index, samples.value, strict=True)}
    assert values == {TagId(f"pumps.T{number}"): 1 + number / 10 for number in range(4)}
    derived = read_samples(await cloud.lake.paths(), kind=RecordKind.DERIVED)
    assert sorted(derived.value) == [3.0, 3.1, 3.2, 3.3]
    assert len(read_tags(await cloud.lake.paths(), kind=RecordKind.STATED)) == 4


async def test_server_s_times_are_in_the_lake_and_null_where_there_are_none(cloud: Cloud) -> None:
    """Files of one frame with, one without, and one that was written before the column."""
    timed = replace(frame(1), server_ns=time_column([START_NS, 0, START_NS + 2, START_NS + 3]))
    body = encode_frame(timed, epoch=TABLE.epoch)
    await cloud.take(replace(frame_record(1), body=body), frame_record(2))
    await cloud.lake.compact()
    [new] = await cloud.lake.paths()
    assert pq.read_table(new, columns=["server_ns"])["server_ns"].null_count == 5
    await cloud.take(frame_record(3))
    await cloud.lake.compact()
    _, old = await cloud.lake.paths()
    before = pq.read_table(old)
    assert before["server_ns"].null_count == 4
    pq.write_table(before.drop_columns(["server_ns"]), old)
    books = count_in_lake(cloud.folder)
    assert (books.sample_count, books.duplicate_count) == (12, 0)
    assert len(read_samples([old, new], kind=RecordKind.FRAME)) == 12
    # Anybody's reader that takes the newest file's columns gets nulls for the old one.
    rows = pq.read_table([new, old]).to_pylist()
    times = {(row["seq"], row["row"]): row["server_ns"] for row in rows}
    assert {identity: time_ns for identity, time_ns in times.items() if time_ns is not None} == {
        (1, 0): START_NS,
        (1, 2): START_NS + 2,
        (1, 3): START_NS + 3,
    }
    assert len(times) == 12


async def test_whose_clock_a_time_is_of_is_in_the_lake(cloud: Cloud) -> None:
    for number, clock in enumerate(ClockSource, 1):
        body = encode_frame(replace(frame(number), clock=clock), epoch=TABLE.epoch)
        await cloud.take(replace(frame_record(number), body=body))
    await cloud.lake.compact()
    [path] = await cloud.lake.paths()
    rows = pq.read_table(path).to_pylist()
    assert {(row["seq"], row["clock"]) for row in rows} == {(1, 0), (2, 1), (3, 2), (4, 3)}


async def test_empty_lake_has_empty_books(cloud: Cloud) -> None:
    assert await cloud.lake.compact() == 0
    books = count_in_lake(cloud.folder)
    assert (books.sample_count, books.duplicate_count, books.sample_count_by_tag) == (0, 0, {})


async def test_damaged_record_refuses_the_whole_batch(cloud: Cloud) -> None:
    with pytest.raises(CorruptRecordError, match=r"record 2 of 3 \(boot 1, seq 2, FRAME\)"):
        await cloud.take(frame_record(1), damaged(frame_record(2)), frame_record(3))
    assert await cloud.rows("gateways") == []
    assert await cloud.rows("inbox") == []
    receipt = await cloud.take(frame_record(1), frame_record(2), frame_record(3))
    assert receipt.duplicate_count == 0


@pytest.mark.parametrize(
    "record", [damaged(event_record(1)), damaged(block_record([1])), damaged(ledger_record(1))]
)
async def test_damage_is_found_in_every_kind(cloud: Cloud, record: Record) -> None:
    with pytest.raises(CorruptRecordError, match="record 1 of 1"):
        await cloud.take(record)


async def test_unknown_tag_or_table_is_damage(cloud: Cloud) -> None:
    small = TagTable.build([Tag(id=TagId("only"))], epoch=ConfigEpoch(1))
    with pytest.raises(CorruptRecordError, match="sample of tag 3"):
        await cloud.ingest.take(batch(frame_record(1), table=small), gateway=GATEWAY)
    other = TagTable.build([Tag(id=TagId("only"))], epoch=ConfigEpoch(2))
    with pytest.raises(CorruptRecordError, match="lacks the tag table"):
        await cloud.ingest.take(batch(frame_record(1), table=other), gateway=GATEWAY)


async def test_numbers_that_the_database_cannot_hold_are_damage(cloud: Cloud) -> None:
    with pytest.raises(CorruptRecordError, match="beyond 64 bits"):
        await cloud.take(event_record(1, onset_ns=1 << 70))
    with pytest.raises(CorruptRecordError, match="beyond 64 bits"):
        await cloud.take(ledger_record(1, count=1 << 64))
    with pytest.raises(CorruptRecordError, match="cannot be"):
        await cloud.take(replace(frame_record(1), seq=Seq((1 << 63) - 1)))


async def test_command_without_a_number_is_kept(cloud: Cloud) -> None:
    await cloud.take(command_record(1, value=float("nan")))
    [row] = await cloud.rows("commands")
    assert (row["id"], row["value"], row["origin"]) == ("c", None, "person")


async def test_foreign_batch_is_refused(cloud: Cloud) -> None:
    with pytest.raises(WrongGatewayError):
        await cloud.ingest.take(batch(frame_record(1), gateway="other"), gateway=GATEWAY)
    assert await cloud.rows("gateways") == []


async def test_documents_are_counted_and_kept(cloud: Cloud) -> None:
    await cloud.take(
        tags_record(1), event_record(2), ledger_record(3),
        ledger_record(4, reason=LedgerReason.DEVICE_LOST, count=None),
    )  # fmt: skip
    counts = await cloud.counts()
    assert (counts.event_count, counts.loss_count, counts.gap_count) == (1, 1, 1)
    [event] = await cloud.rows("events")
    assert (event["source"], event["transition"], event["seq"]) == ("P-101", "raised", 2)
    entries = await cloud.rows("ledger")
    assert [entry["count"] for entry in entries] == [7, None]
    assert await cloud.rows("inbox") == []


async def test_event_made_again_after_a_crash_is_one_event(cloud: Cloud) -> None:
    first = event_record(2)
    await cloud.take(first)
    receipt = await cloud.take(
        Record(boot=first.boot, seq=event_record(9).seq, kind=first.kind, body=first.body)
    )
    assert receipt.duplicate_count == 0
    assert len(await cloud.rows("events")) == 1


async def test_too_many_samples_are_refused(tmp_path: Path) -> None:
    """Small on the wire, large in memory: the bound is on what comes out."""
    async with opened(tmp_path, IngestSettings(batch_samples_max=1_000_000)) as cloud:
        with pytest.raises(TooManySamplesError):
            await cloud.take(*(frame_record(seq, count=400_000) for seq in (1, 2, 3)))
        assert await cloud.rows("gateways") == []


async def test_full_inbox_asks_to_come_back(tmp_path: Path) -> None:
    settings = IngestSettings(inbox_size_bytes_max=1024 * 1024)
    async with opened(tmp_path, settings) as cloud:
        await cloud.take(noisy_record(1, count=100_000))
        with pytest.raises(BusyError):
            await cloud.take(noisy_record(2, count=100_000))
        await cloud.lake.compact()
        receipt = await cloud.take(noisy_record(2, count=100_000))
        assert receipt.duplicate_count == 0
        levels = await cloud.database.transact(read_levels)
        assert levels.inbox_row_count == 100_000
        assert levels.file_row_count == 100_000


async def test_files_are_bounded(cloud: Cloud) -> None:
    for start in range(1, 1000, 100):
        await cloud.take(*(frame_record(seq) for seq in range(start, start + 100)))
    assert await cloud.lake.compact() == 4000
    levels = await cloud.database.transact(read_levels)
    assert (levels.file_count, levels.file_row_count) == (5, 4000)


async def test_unregistered_files_are_removed_and_written_again(tmp_path: Path) -> None:
    """The state after a crash between the rename and the transaction, and before the rename."""
    async with opened(tmp_path) as cloud:
        await cloud.take(frame_record(1))
        await cloud.lake.compact()
        await cloud.take(frame_record(2))
        [file] = cloud.folder.iterdir()
        (cloud.folder / "000000000002-000000000002.parquet").write_bytes(file.read_bytes())
        (cloud.folder / "000000000002-000000000003.parquet.part").write_bytes(b"half")
    async with opened(tmp_path) as cloud:
        assert [path.name for path in cloud.folder.iterdir()] == [file.name]
        await cloud.lake.compact()
        books = count_in_lake(cloud.folder)
        assert (books.sample_count, books.duplicate_count) == (8, 0)


async def test_missing_file_is_noticed(tmp_path: Path) -> None:
    async with opened(tmp_path) as cloud:
        await cloud.take(frame_record(1))
        await cloud.lake.compact()
        [file] = cloud.folder.iterdir()
        file.unlink()
        with pytest.raises(StoreError, match="missing"):
            await cloud.lake.recover()


async def test_copied_file_shows_as_duplicates(cloud: Cloud) -> None:
    """The books would notice: they count what is in the files."""
    await cloud.take(frame_record(1))
    await cloud.lake.compact()
    [file] = cloud.folder.iterdir()
    (cloud.folder / "copy.parquet").write_bytes(file.read_bytes())
    books = count_in_lake(cloud.folder)
    assert (books.sample_count, books.duplicate_count) == (8, 4)


async def test_spoilt_batch_does_not_block_the_others(cloud: Cloud) -> None:
    def spoil(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE inbox SET body = substr(body, 1, 30) WHERE id = 2")

    for seq in (1, 2, 3):
        await cloud.take(frame_record(seq))
    await cloud.database.transact(spoil)
    assert await cloud.lake.compact() == 8
    levels = await cloud.database.transact(read_levels)
    assert levels.spoilt_batch_count == 1
    assert await cloud.lake.compact() == 0


async def test_failed_transaction_leaves_no_trace(cloud: Cloud) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO files VALUES ('a', 1, 1)")
        connection.execute("INSERT INTO files VALUES ('a', 1, 1)")

    with pytest.raises(StoreError, match="refuses"):
        await cloud.database.transact(half)
    with pytest.raises(ZeroDivisionError):
        await cloud.database.transact(partial(_insert_and_fail))
    assert await cloud.rows("files") == []


def _insert_and_fail(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO files VALUES ('a', 1, 1)")
    raise ZeroDivisionError
