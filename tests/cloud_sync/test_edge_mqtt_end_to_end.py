"""A gateway's log through a real broker to the real cloud, each in a process that gets killed."""

import asyncio
import json
import random
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from cloud_sync.cloud.parquet import count_in_lake
from gateway.wire.clock import SystemClock
from gateway.wire.mqtt import MqttSession
from tests.cloud_sync.cloud.processes import CloudFolder, Gateway, running
from tests.cloud_sync.cloud.test_mqtt import mqtt_table
from tests.cloud_sync.edge_doubles import until
from tests.cloud_sync.edge_mqtt import GATEWAY, PREFIX, broker_at
from tests.cloud_sync.edge_mqtt_gateway import BrokerGateway
from tests.gateway.test_wire_mqtt import make_password
from tests.interop.mosquitto import Mosquitto
from tests.test_docs import ROOT, indented_block

pytestmark = pytest.mark.slow

OFTEN = "\n[lake]\nperiod_s = 0.2\n"


class Site:
    """A broker, a cloud that takes batches from it, and one gateway's folder."""

    def __init__(self, folder: Path, *lines: str, options: tuple[str, ...] = ()) -> None:
        self.mosquitto = Mosquitto(folder, options=options)
        self.cloud = CloudFolder(
            folder / "cloud", extra=mqtt_table(self.mosquitto.port, *lines) + OFTEN
        )
        self.folder = folder / "gateway"
        self.folder.mkdir()
        self.token_file = folder / "token"
        self.token_file.write_text(self.cloud.token)

    def gateway(self, *, timeout_s: float = 10.0, **more: object) -> BrokerGateway:
        return BrokerGateway(
            self.folder,
            port=self.mosquitto.port,
            timeout_s=timeout_s,
            **{"token_file": self.token_file, **more},
        )

    async def books(self, url: str) -> dict[str, int]:
        """Return what the cloud counted of the gateway."""
        async with Gateway(url, self.cloud.token) as client:
            _, status = await client.ask("GET", "/v1/status")
        gateways = status["gateways"]
        assert isinstance(gateways, list)
        return next((each for each in gateways if each["gateway"] == GATEWAY), {})

    async def restart_broker_empty(self) -> None:
        """Kill the broker, and let it begin with nothing of what it held."""
        await self.mosquitto.kill()
        shutil.rmtree(self.mosquitto.folder / "mosquitto")
        (self.mosquitto.folder / "mosquitto").mkdir()
        await self.mosquitto.start()

    def assert_balanced(self, samples: int) -> None:
        """Every sample is in the lake, once; the cloud must have stopped in order."""
        books = count_in_lake(self.cloud.lake)
        assert (books.sample_count, books.duplicate_count) == (samples, 0)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    await site.mosquitto.start()
    yield site
    await site.mosquitto.kill()


@asynccontextmanager
async def delivering(edge: BrokerGateway) -> AsyncIterator[None]:
    """Deliver, and close as the service does."""
    task = asyncio.create_task(edge.delivery.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await edge.delivery.finish(deadline_s=10)
        await edge.log.close()


def is_level(edge: BrokerGateway) -> bool:
    return edge.delivery.status().lag_records == 0


async def append(edge: BrokerGateway, count: int) -> int:
    """Append frames, and wait until they are committed."""
    samples = edge.scan(count)
    await edge.log.durable(edge.log.append([]))
    return samples


async def test_a_broker_that_loses_its_queue_loses_nothing(site: Site) -> None:
    """Killed in the middle of the delivery, again and again, and empty each time."""
    edge = site.gateway()
    samples = 0
    async with running(site.cloud), delivering(edge):
        for _ in range(3):
            acknowledged = edge.delivery.status().acknowledged_records
            samples += await append(edge, 1500)
            await until(
                lambda before=acknowledged: (  # type: ignore[misc]  # mypy knows no defaults here
                    edge.delivery.status().acknowledged_records > before
                )
            )
            await site.restart_broker_empty()
        await until(lambda: is_level(edge))
    site.assert_balanced(samples)
    assert edge.delivery.status().dead_letters == 0


async def test_an_answer_lost_after_the_commit_repeats_what_is_known(tmp_path: Path) -> None:
    """The broker lets no answer out; the cloud is killed; then both are as they should be."""
    rights, users, password_file = (tmp_path / name for name in ("rights", "users", "password"))
    make_password(users)
    password_file.write_text("right")
    everything = f"topic readwrite {PREFIX}/#\n"
    only_in = f"topic read {PREFIX}/+/batches\n"
    rights.write_text(f"{only_in}\nuser gateway\n{everything}", encoding="utf-8")
    options = ("allow_anonymous true", f"password_file {users}", f"acl_file {rights}")
    site = Site(tmp_path, options=options)
    await site.mosquitto.start()
    edge = site.gateway(timeout_s=2.0, user="gateway", password_file=password_file)
    async with delivering(edge):
        async with running(site.cloud) as cloud:
            samples = await append(edge, 200)
            async with asyncio.timeout(40):
                while not (await site.books(cloud.url)).get("record_count"):
                    await asyncio.sleep(0.05)
            cloud.kill()
            await cloud.process.wait()
        assert edge.delivery.status().acknowledged_records == 0
        await site.mosquitto.kill()
        rights.write_text(f"{everything}\nuser gateway\n{everything}", encoding="utf-8")
        await site.mosquitto.start()
        async with running(site.cloud) as cloud:
            await until(lambda: is_level(edge))
            books = await site.books(cloud.url)
    await site.mosquitto.kill()
    assert books["duplicate_count"] > 0
    assert edge.delivery.status().duplicate_records > 0
    assert books["sample_count"] == samples
    site.assert_balanced(samples)


async def test_a_cloud_killed_at_any_instant_loses_and_doubles_nothing(site: Site) -> None:
    edge = site.gateway(timeout_s=3.0)
    dice = random.Random(11)
    samples = 0
    async with delivering(edge):
        for _ in range(4):
            async with running(site.cloud) as cloud:
                samples += await append(edge, 800)
                # Any instant is as good as another: some fall between commit and answer.
                await asyncio.sleep(dice.uniform(0.0, 0.3))
                cloud.kill()
                await cloud.process.wait()
        async with running(site.cloud):
            await until(lambda: is_level(edge))
    site.assert_balanced(samples)
    assert edge.delivery.status().dead_letters == 0


async def test_the_rights_in_the_readme_keep_gateways_apart(tmp_path: Path) -> None:
    """With them the topic alone names a gateway."""
    readme = (ROOT / "cloud_sync" / "README.md").read_text(encoding="utf-8")
    rights, users = tmp_path / "rights", tmp_path / "users"
    rights.write_text(indented_block(readme, "in an `acl_file`:"), encoding="utf-8")
    make_passwords(users, "cloud", GATEWAY, "other")
    right = tmp_path / "right"
    right.write_text("right")
    options = ("allow_anonymous false", f"password_file {users}", f"acl_file {rights}")
    login = ('identity = "topic"', 'user = "cloud"', f'password_file = "{right}"')
    site = Site(tmp_path, *login, options=options)
    await site.mosquitto.start()
    edge = site.gateway(user=GATEWAY, password_file=right, token_file=None)
    async with running(site.cloud), delivering(edge):
        samples = await append(edge, 100)
        await until(lambda: is_level(edge))
        other = broker_at(site.mosquitto.port, client_id="o", user="other", password="right")
        async with MqttSession(other, clock=SystemClock()) as link:
            own = await link.publish(f"{PREFIX}/other/batches", b"", qos=1)
            foreign = await link.publish(f"{PREFIX}/{GATEWAY}/batches", b"", qos=1)
            state = await link.publish(f"{PREFIX}/{GATEWAY}/state", b"", qos=1)
            await link.subscribe([f"{PREFIX}/+/answers", f"{PREFIX}/+/batches"], qos=1)
            samples += await append(edge, 10)
            await until(lambda: is_level(edge))
            assert link.take() == []
    await site.mosquitto.kill()
    assert own.is_taken
    assert not foreign.is_taken
    assert not state.is_taken
    site.assert_balanced(samples)


async def test_without_a_cloud_the_backlog_is_kept_and_the_reason_told(site: Site) -> None:
    edge = site.gateway()
    async with delivering(edge):
        samples = await append(edge, 100)
        await until(lambda: "no cloud listens" in edge.delivery.status().error)
        assert edge.delivery.status().lag_records >= 100
        async with running(site.cloud):
            await until(lambda: is_level(edge))
    site.assert_balanced(samples)


async def test_a_gateway_killed_is_told_offline_within_seconds(site: Site) -> None:
    """By the broker, to an independent client; and by the cloud, in its status."""
    watching = await asyncio.create_subprocess_exec(
        "mosquitto_sub", "-p", str(site.mosquitto.port), "-V", "5", "-q", "1",
        "-t", f"{PREFIX}/+/state", stdout=PIPE,
    )  # fmt: skip
    try:
        async with running(site.cloud) as cloud:
            gateway = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.cloud_sync.edge_mqtt_gateway",
                str(site.folder), str(site.mosquitto.port), str(site.token_file), stdout=PIPE,
            )  # fmt: skip
            assert gateway.stdout is not None
            async with asyncio.timeout(40):
                while (line := await gateway.stdout.readline()) != b"delivered\n":
                    assert line, "the gateway ended before it had delivered"
            online = await next_state(watching)
            assert (await site.books(cloud.url))["is_online"] is True
            gateway.kill()
            await gateway.communicate()
            async with asyncio.timeout(5):
                offline = await next_state(watching)
            async with asyncio.timeout(5):
                while (await site.books(cloud.url))["is_online"]:
                    await asyncio.sleep(0.01)
    finally:
        with suppress(ProcessLookupError):
            watching.kill()
        await watching.communicate()
    assert (online["online"], offline["online"]) == (True, False)
    assert online["session"] == offline["session"]


async def next_state(watching: asyncio.subprocess.Process) -> dict[str, object]:
    assert watching.stdout is not None
    async with asyncio.timeout(40):
        state: dict[str, object] = json.loads(await watching.stdout.readline())
    return state


def make_passwords(path: Path, *users: str) -> None:
    """Write a file for the broker in which everybody's password is `right`."""
    path.touch(mode=0o600)
    for user in users:
        subprocess.run(["mosquitto_passwd", "-b", str(path), user, "right"], check=True)
