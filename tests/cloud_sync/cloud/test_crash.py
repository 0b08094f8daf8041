"""The real cloud process, ended without warning and on a full disk: the books must balance.

The gateway here does what a real one does: it sends each batch until it is acknowledged, and goes
on where it is. Whatever the cloud acknowledged must be in the lake afterwards, once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from cloud_sync.cloud.parquet import LakeCount, count_in_lake
from gateway.core.tags import TagId
from tests.cloud_sync.cloud.batches import SECOND_NS, START_NS, batch, frame_record
from tests.cloud_sync.cloud.processes import CloudFolder, Gateway, running

OFTEN = "\n[lake]\nperiod_s = 0.1\nfile_rows_max = 1000\n"
RECORDS_PER_BATCH = 20
SAMPLES_PER_RECORD = 4


class Delivery:
    """Sends batches in order, each until it is acknowledged."""

    def __init__(self, site: CloudFolder) -> None:
        self.site = site
        self.acknowledged = 0
        """Batches so far."""

    async def run(self, url: str) -> None:
        """Send until the cloud is gone."""
        async with Gateway(url, self.site.token) as gateway:
            while True:
                first = self.acknowledged * RECORDS_PER_BATCH + 1
                seqs = range(first, first + RECORDS_PER_BATCH)
                try:
                    status, answer = await gateway.send(batch(*map(frame_record, seqs)))
                except aiohttp.ClientError:
                    return
                if status == 200:
                    assert answer["accepted"] == RECORDS_PER_BATCH
                    self.acknowledged += 1
                else:
                    assert status == 503, answer

    def assert_balanced(self, books: LakeCount) -> None:
        """Every acknowledged sample is there; what is there beyond is at most one batch."""
        assert books.duplicate_count == 0
        sample_count = self.acknowledged * RECORDS_PER_BATCH * SAMPLES_PER_RECORD
        unanswered = books.sample_count - sample_count
        assert unanswered in (0, RECORDS_PER_BATCH * SAMPLES_PER_RECORD)
        tag = books.samples.tags.index(TagId("pumps.T0"))
        times = sorted(books.samples.time_ns[books.samples.tag_index == tag].tolist())
        count = books.sample_count // SAMPLES_PER_RECORD
        assert times == [START_NS + seq * SECOND_NS for seq in range(1, count + 1)]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_books_balance_after_kills_at_any_instant(tmp_path: Path) -> None:
    site = CloudFolder(tmp_path / "cloud", extra=OFTEN)
    delivery = Delivery(site)
    dice = random.Random(7)
    for _ in range(8):
        async with running(site) as cloud:
            sending = asyncio.create_task(delivery.run(cloud.url))
            # Any instant is as good as another: some fall into a commit, some into a file.
            await asyncio.sleep(dice.uniform(0.05, 0.6))
            cloud.kill()
            await sending
    async with running(site):
        pass
    assert delivery.acknowledged > 10
    delivery.assert_balanced(count_in_lake(site.lake))


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_kill_right_after_a_file_appears(tmp_path: Path) -> None:
    """The moment between a file's rename and its registration is the delicate one."""
    site = CloudFolder(tmp_path / "cloud", extra=OFTEN)
    delivery = Delivery(site)
    for _ in range(3):
        async with running(site) as cloud:
            sending = asyncio.create_task(delivery.run(cloud.url))
            await _new_file(site.lake)
            cloud.kill()
            await sending
    async with running(site):
        pass
    delivery.assert_balanced(count_in_lake(site.lake))


@pytest.mark.slow
async def test_full_disk_is_told_and_overcome(tmp_path: Path) -> None:
    """No file may grow: 503 and nothing acknowledged; with room again, all goes on."""
    site = CloudFolder(tmp_path / "cloud", extra=OFTEN)
    delivery = Delivery(site)
    async with running(site) as cloud, Gateway(cloud.url, site.token) as gateway:
        sending = asyncio.create_task(delivery.run(cloud.url))
        await _until(lambda: _is_true(delivery.acknowledged >= 3))
        cloud.limit_files(1)
        await _until(lambda: _refuses(gateway))
        before = delivery.acknowledged
        status, answer = await gateway.send(batch(frame_record(10_000_000)))
        assert (status, set(answer)) == (503, {"error", "remedy"})
        assert (await gateway.ask("GET", "/healthz"))[0] in (200, 503)
        cloud.limit_files(-1)
        await _until(lambda: _is_true(delivery.acknowledged >= before + 3))
        sending.cancel()
        await asyncio.wait([sending])
    assert cloud.process.returncode == 0
    delivery.assert_balanced(count_in_lake(site.lake))


async def test_second_process_on_one_state_is_refused(tmp_path: Path) -> None:
    site = CloudFolder(tmp_path / "cloud")
    async with running(site):
        with pytest.raises(AssertionError, match="did not start"):
            async with running(site):
                pass


async def _new_file(folder: Path) -> None:
    seen = _files(folder)
    await _until(lambda: _is_true(_files(folder) - seen))


def _files(folder: Path) -> set[Path]:
    return set(folder.iterdir())


async def _refuses(gateway: Gateway) -> bool:
    status, _ = await gateway.send(batch(frame_record(10_000_000)))
    return status == 503


async def _is_true(value: object) -> bool:
    return bool(value)


async def _until(condition: Callable[[], Awaitable[bool]], *, timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.002)
