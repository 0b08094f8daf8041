"""The lake is written in steps, and a step that has begun ends."""

import asyncio
import time
from pathlib import Path

from cloud_sync.cloud.parquet import count_in_lake
from tests.cloud_sync.cloud.batches import frame_record, noisy_record
from tests.cloud_sync.cloud.test_ingest import opened

SAMPLES = 30_000
"""Enough for a file that takes a while."""
STOPS = 8


async def test_a_stop_in_the_middle_of_a_file_leaves_nothing_twice(tmp_path: Path) -> None:
    """What a cancelled step writes must not stand beside the file of the next one.

    Stopped after each eighth of the time that such a file takes.
    """
    async with opened(tmp_path) as cloud:
        await cloud.take(noisy_record(1, count=SAMPLES))
        begun_s = time.monotonic()
        await cloud.lake.compact()
        whole_s = time.monotonic() - begun_s
        for number in range(1, STOPS + 1):
            await cloud.take(noisy_record(2 * number, count=SAMPLES))
            writing = asyncio.create_task(cloud.lake.compact())
            await asyncio.sleep(whole_s * number / STOPS)
            writing.cancel()
            await asyncio.wait([writing])
            await cloud.take(frame_record(2 * number + 1))
            await cloud.lake.compact()
        books = count_in_lake(cloud.folder)
        registered = {path.name for path in await cloud.lake.paths()}
        present = {path.name for path in cloud.folder.iterdir()}
    samples = (STOPS + 1) * SAMPLES + STOPS * 4
    assert (books.sample_count, books.duplicate_count) == (samples, 0)
    assert present == registered
