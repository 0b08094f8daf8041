"""Delivery and models against the real cloud, in a process of its own."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from cloud_sync.cloud.api import BUNDLE_MEDIA_TYPE
from cloud_sync.edge.delivery import DeliverySettings
from cloud_sync.edge.models import ModelSourceConfig, TufModelStore
from gateway.core.records import RecordKind, Seq
from gateway.core.uplink_status import ClassStatus, DeliveryClass
from tests.cloud_sync.cloud.batches import GATEWAY
from tests.cloud_sync.cloud.processes import CloudFolder, Gateway, running
from tests.cloud_sync.edge_doubles import until
from tests.cloud_sync.edge_gateway import SETTINGS, EdgeGateway
from tests.cloud_sync.edge_models import NAME, bundle_of
from tests.cloud_sync.edge_relay import Relay

pytestmark = pytest.mark.slow


class Site:
    """A cloud, a link to it that can be cut, and one gateway's folder."""

    def __init__(self, folder: Path, relay: Relay) -> None:
        self.cloud = CloudFolder(folder / "cloud")
        self.relay = relay
        self.folder = folder / "gateway"
        self.folder.mkdir()
        self.token_file = folder / "token"
        self.token_file.write_text(self.cloud.token)

    def gateway(
        self, *, seal_after_s: float = 3600.0, settings: DeliverySettings = SETTINGS
    ) -> EdgeGateway:
        return EdgeGateway(
            self.folder,
            url=self.relay.url,
            token_file=self.token_file,
            gateway=GATEWAY,
            seal_after_s=seal_after_s,
            settings=settings,
        )

    async def books(self, url: str) -> dict[str, int]:
        """Return what the cloud counted of the gateway."""
        async with Gateway(url, self.cloud.token) as client:
            _, status = await client.ask("GET", "/v1/status")
        gateways = status["gateways"]
        assert isinstance(gateways, list)
        return next((each for each in gateways if each["gateway"] == GATEWAY), {})


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    relay = Relay()
    await relay.start()
    yield Site(tmp_path, relay)
    await relay.stop()


@asynccontextmanager
async def delivering(edge: EdgeGateway) -> AsyncIterator[None]:
    """Deliver, and close as the service does."""
    task = asyncio.create_task(edge.delivery.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await edge.delivery.finish(deadline_s=10)
        await edge.log.close()


def is_level(edge: EdgeGateway) -> bool:
    return edge.delivery.status().lag_records == 0


async def append(edge: EdgeGateway, count: int) -> int:
    """Append frames, and wait until they are committed."""
    samples = edge.scan(count)
    await edge.log.durable(edge.log.append([]))
    return samples


async def seal(edge: EdgeGateway) -> None:
    """Return once frames stand in a block; one that was delivered in part is read as frames."""
    async with asyncio.timeout(40):
        while True:
            await edge.log.tidy()
            stored = await edge.log.read(after=Seq(0), size_bytes_max=1 << 30)
            if RecordKind.BLOCK in {record.kind for record in stored}:
                return


async def test_a_cut_link_loses_nothing_and_drains_fast(site: Site) -> None:
    """The backlog goes out at least twenty times as fast as 50 frames a second come in."""
    edge = site.gateway()
    async with running(site.cloud) as cloud, delivering(edge):
        site.relay.connect(cloud.url)
        samples = await append(edge, 10)
        await until(lambda: is_level(edge))
        await site.relay.cut()
        samples += await append(edge, 5000)
        await until(lambda: edge.delivery.status().is_connected is False)
        lag = edge.delivery.status().lag_records
        assert lag >= 5000
        site.relay.connect(cloud.url)
        await until(lambda: "uplink_drained" in [event.condition for event in edge.events])
        await until(lambda: is_level(edge))
        books = await site.books(cloud.url)
    status = edge.delivery.status()
    assert books["sample_count"] == samples
    assert status.acknowledged_samples == samples
    assert status.dead_letters == 0
    conditions = [event.condition for event in edge.events]
    assert conditions == ["uplink_lost", "uplink_lost", "uplink_drained"]
    lost, back, drained = edge.events
    assert back.onset_ns == lost.time_ns
    drain_s = (drained.time_ns - back.time_ns) / 1e9
    assert 5000 / drain_s > 20 * 50


async def test_the_present_is_fresh_while_an_outage_drains_beside_it(site: Site) -> None:
    """Twenty minutes at ten frames a second drain; meanwhile a frame a tenth of a second comes."""
    edge = site.gateway(settings=SETTINGS.model_copy(update={"live_lag_s": 0.5}))
    async with running(site.cloud) as cloud:
        samples = await append(edge, 12_000)
        await asyncio.sleep(0.6)  # what is here now must be late
        site.relay.connect(cloud.url)
        ages_s, loop = [], asyncio.get_running_loop()
        async with delivering(edge):
            await until(lambda: edge.delivery.status().is_connected is True)
            begun_s = loop.time()
            while backfill_of(edge).lag_records > 0:
                samples += await append(edge, 1)
                end, stored_s = edge.log.end, loop.time()
                await until(partial(has_gone, edge, end))
                ages_s.append(loop.time() - stored_s)
                await asyncio.sleep(0.05)
            drain_s = loop.time() - begun_s
            await until(lambda: is_level(edge))
            historical = backfill_of(edge).acknowledged_samples
        books = await site.books(cloud.url)
    print(f"drained in {drain_s:.2f} s, ages {sorted(ages_s)[-3:]}")
    assert books["sample_count"] == samples
    assert historical >= 12_000 * 20 - 20
    assert 1200 / drain_s > 20
    assert max(ages_s) < 2.0


def backfill_of(edge: EdgeGateway) -> ClassStatus:
    return next(x for x in edge.delivery.status().classes if x.name is DeliveryClass.BACKFILL)


def has_gone(edge: EdgeGateway, seq: Seq) -> bool:
    return edge.log.cursor("cloud") >= seq


async def test_a_link_cut_again_and_again_repeats_but_loses_nothing(site: Site) -> None:
    edge = site.gateway()
    samples = 0
    async with running(site.cloud) as cloud, delivering(edge):
        for _ in range(15):
            site.relay.connect(cloud.url)
            samples += await append(edge, 400)
            await asyncio.sleep(0.02)  # somewhere in a batch
            await site.relay.cut()
        site.relay.connect(cloud.url)
        await until(lambda: is_level(edge))
        books = await site.books(cloud.url)
    assert books["sample_count"] == samples
    assert edge.delivery.status().acknowledged_samples >= samples


async def test_a_gateway_killed_between_send_and_cursor_delivers_nothing_twice(site: Site) -> None:
    async with running(site.cloud) as cloud:
        site.relay.connect(cloud.url)
        unlucky = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.cloud_sync.edge_gateway",
            str(site.folder), site.relay.url, str(site.token_file), GATEWAY, stdout=PIPE,
        )  # fmt: skip
        assert unlucky.stdout is not None
        async with asyncio.timeout(30):
            line = b""
            while not line.startswith(b"confirmed"):
                line = await unlucky.stdout.readline()
                assert line, "the gateway ended before it had delivered"
        unlucky.kill()
        await unlucky.communicate()
        first = await site.books(cloud.url)
        assert first["sample_count"] > 0
        assert first["duplicate_count"] == 0
        edge = site.gateway()
        async with delivering(edge):
            await until(lambda: is_level(edge))
        books = await site.books(cloud.url)
    # The restart may have sealed the frames into one block: then that is one duplicate.
    assert books["duplicate_count"] > 0
    assert edge.delivery.status().duplicate_records == books["duplicate_count"]
    assert edge.delivery.status().acknowledged_samples == 50 * 20
    assert books["sample_count"] == 50 * 20


async def test_a_killed_cloud_is_waited_for(site: Site) -> None:
    edge = site.gateway()
    async with delivering(edge):
        async with running(site.cloud) as cloud:
            site.relay.connect(cloud.url)
            samples = await append(edge, 2000)
            await until(lambda: edge.delivery.status().acknowledged_records > 0)
            cloud.kill()
            await cloud.process.wait()
            samples += await append(edge, 500)
            await until(lambda: edge.delivery.status().is_connected is False)
        async with running(site.cloud) as cloud:
            site.relay.connect(cloud.url)
            await until(lambda: is_level(edge))
            books = await site.books(cloud.url)
    assert books["sample_count"] == samples


async def test_records_sealed_while_nobody_took_them_arrive_once(site: Site) -> None:
    """A block may cover records that were delivered one by one before it was made."""
    edge = site.gateway(seal_after_s=0.0)
    async with running(site.cloud) as cloud, delivering(edge):
        site.relay.connect(cloud.url)
        samples = await append(edge, 100)
        await until(lambda: edge.delivery.status().acknowledged_records > 0)
        await site.relay.cut()
        samples += await append(edge, 3000)
        await until(lambda: edge.delivery.status().is_connected is False)
        await seal(edge)
        site.relay.connect(cloud.url)
        await until(lambda: is_level(edge))
        books = await site.books(cloud.url)
    assert books["sample_count"] == samples


async def test_a_wrong_token_is_an_outage_and_no_loss(site: Site) -> None:
    site.token_file.write_text("not-the-token")
    edge = site.gateway()
    async with running(site.cloud) as cloud, delivering(edge):
        site.relay.connect(cloud.url)
        await append(edge, 3)
        await until(lambda: edge.delivery.status().is_connected is False)
        assert "check its token" in edge.delivery.status().error
        site.token_file.write_text(site.cloud.token)
        await until(lambda: is_level(edge))
    assert edge.delivery.status().dead_letters == 0


async def test_models_released_by_the_cloud_are_fetched_and_loaded_offline(site: Site) -> None:
    root_file = site.folder / "root.json"
    root_file.write_bytes(site.cloud.root)
    bundle = bundle_of("1.0")
    config = ModelSourceConfig(url=f"{site.relay.url}/tuf", root_file=root_file)
    store = TufModelStore(config, folder=site.folder / "models")
    async with running(site.cloud) as cloud:
        site.relay.connect(cloud.url)
        assert await store.releases() == ()
        async with Gateway(cloud.url, site.cloud.operator) as operator:
            code, _ = await operator.ask(
                "POST",
                "/v1/releases",
                body=bundle,
                headers={"Content-Type": BUNDLE_MEDIA_TYPE},
            )
        assert code == 200
        (release,) = await store.releases()
        assert (release.name, release.version) == (NAME, "1.0")
        assert await store.fetch(NAME, "1.0") == bundle
    again = TufModelStore(config, folder=site.folder / "models")
    assert await again.load(NAME, "1.0") == bundle
