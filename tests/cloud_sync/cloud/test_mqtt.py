"""The cloud behind a real broker, met by a client that knows no good manners."""

import asyncio
import json
import secrets
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from cloud_sync.cloud.mqtt_settings import MqttSettings
from gateway.core.errors import ConfigError
from gateway.core.records import Record
from gateway.wire.batch_topics import GatewayState, encode_state
from gateway.wire.clock import SystemClock
from gateway.wire.mqtt import MqttSession
from gateway.wire.mqtt_properties import MessageProperties
from tests.cloud_sync.cloud.batches import GATEWAY, batch, damaged, frame_record, noisy_record
from tests.cloud_sync.cloud.processes import CloudFolder, Gateway, serving_here
from tests.cloud_sync.edge_mqtt import PREFIX, broker_at
from tests.interop.mosquitto import Mosquitto, running_mosquitto
from tests.test_docs import ROOT

Answer = dict[str, object]


def mqtt_table(port: int, *lines: str) -> str:
    """Return the cloud's table for a broker on loopback."""
    own = [f'broker = "mqtt://127.0.0.1:{port}"', 'login_in_clear = "accept"', *lines]
    return "\n[mqtt]\n" + "\n".join(own) + "\n"


class Peer:
    """A client that publishes what it likes, and hears all answers."""

    def __init__(self, link: MqttSession) -> None:
        self.link = link
        self._heard: list[tuple[bytes, Answer]] = []

    async def send(
        self,
        body: bytes,
        *,
        token: str,
        gateway: str = GATEWAY,
        answers: str = f"{PREFIX}/{GATEWAY}/answers",
    ) -> bytes:
        """Publish a batch as soon as a cloud listens, and return its correlation data."""
        correlation = secrets.token_bytes(8)
        properties = MessageProperties(
            response_topic=answers, correlation=correlation, user=(("token", token),)
        )
        async with asyncio.timeout(30):
            while True:
                said = await self.link.publish(
                    f"{PREFIX}/{gateway}/batches", body, qos=1, properties=properties
                )
                if said.has_subscribers:
                    return correlation
                await asyncio.sleep(0.01)

    async def hear(self) -> tuple[bytes, Answer]:
        """Return correlation data and content of the next answer."""
        async with asyncio.timeout(30):
            while not self._heard:
                await self.link.more(wait_s=30)
                messages = self.link.take()
                self.link.acknowledge(messages)
                for message in messages:
                    answer = json.loads(message.payload)
                    self._heard.append((message.properties.correlation, answer))
        return self._heard.pop(0)

    async def ask(self, body: bytes, **more: str) -> Answer:
        """Send, and return the answer."""
        correlation = await self.send(body, **more)
        heard, answer = await self.hear()
        assert heard == correlation
        return answer


class Site:
    """A broker, a cloud that listens there, and a client of each kind."""

    def __init__(self, mosquitto: Mosquitto, folder: CloudFolder, url: str, peer: Peer) -> None:
        self.mosquitto = mosquitto
        self.folder = folder
        self.url = url
        self.peer = peer

    async def status(self) -> Answer:
        """Return what the cloud knows of the gateway."""
        async with Gateway(self.url, self.folder.token) as client:
            _, status = await client.ask("GET", "/v1/status")
        gateways = status["gateways"]
        assert isinstance(gateways, list)
        return next(iter(gateways), {})

    async def until(self, name: str, value: object) -> Answer:
        """Return the status once one of its values is this."""
        async with asyncio.timeout(30):
            while (status := await self.status()).get(name) != value:
                await asyncio.sleep(0.01)
        return status


@asynccontextmanager
async def peer_at(mosquitto: Mosquitto) -> AsyncIterator[Peer]:
    broker = broker_at(mosquitto.port, client_id="peer")
    async with MqttSession(broker, clock=SystemClock()) as link:
        await link.subscribe([f"{PREFIX}/+/answers"], qos=1)
        yield Peer(link)


@asynccontextmanager
async def site_in(folder: Path, *lines: str, extra: str = "") -> AsyncIterator[Site]:
    async with running_mosquitto(folder) as mosquitto:
        cloud = CloudFolder(folder / "cloud", extra=mqtt_table(mosquitto.port, *lines) + extra)
        async with serving_here(cloud) as url, peer_at(mosquitto) as peer:
            yield Site(mosquitto, cloud, url, peer)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_in(tmp_path, extra="\n[ingest]\nbatch_size_bytes_max = 65536\n") as site:
        yield site


def frames(first: int, count: int = 5) -> list[Record]:
    return [frame_record(seq) for seq in range(first, first + count)]


async def test_an_answer_counts_what_is_on_disk(site: Site) -> None:
    answer = await site.peer.ask(batch(*frames(1)), token=site.folder.token)
    assert answer == {"accepted": 5, "sample_count": 20, "duplicate_count": 0}
    status = await site.status()
    assert (status["record_count"], status["sample_count"]) == (5, 20)


async def test_what_came_over_http_is_known_over_mqtt(site: Site) -> None:
    """The way does not matter: a record is taken once."""
    async with Gateway(site.url, site.folder.token) as client:
        await client.send(batch(*frames(1)))
    answer = await site.peer.ask(batch(*frames(3)), token=site.folder.token)
    assert answer == {"accepted": 5, "sample_count": 20, "duplicate_count": 3}
    assert (await site.status())["sample_count"] == 28


async def test_every_refusal_says_why_in_code_and_words(site: Site) -> None:
    good, token = batch(*frames(1)), site.folder.token
    noise = batch(frame_record(1), damaged(frame_record(2)))
    cases = [
        (await site.peer.ask(good, token="guess"), 401),
        (await site.peer.ask(good, token=""), 401),
        (await site.peer.ask(good, token=site.folder.other_token), 403),
        (await site.peer.ask(good, token=site.folder.operator), 403),
        (await site.peer.ask(batch(*frames(1), gateway="other"), token=token), 403),
        (await site.peer.ask(noise, token=token), 400),
        (await site.peer.ask(b"", token=token), 400),
        (await site.peer.ask(bytes(65_537), token=token), 413),
    ]
    assert [answer["code"] for answer, _ in cases] == [code for _, code in cases]
    for answer, _ in cases:
        assert set(answer) == {"error", "remedy", "code", "retry_after_s"}
        assert answer["error"]
        assert answer["remedy"]
        assert answer["retry_after_s"] is None
    assert await site.status() == {}


@pytest.mark.parametrize(
    "answers",
    [
        "",
        f"{PREFIX}/other/answers",
        f"{PREFIX}/{GATEWAY}/batches",
        f"{PREFIX}/{GATEWAY}/state",
        f"{PREFIX}/{GATEWAY}/answersandmore",
        f"{PREFIX}/{GATEWAY}/answers/#",
        f"{PREFIX}/{GATEWAY}/answers/a b",
        "elsewhere",
    ],
)
async def test_a_batch_that_wants_its_answer_elsewhere_is_not_taken(
    site: Site, answers: str
) -> None:
    """Else a gateway could make the cloud speak to another one, or to itself."""
    await site.peer.send(batch(*frames(1)), token=site.folder.token, answers=answers)
    answer = await site.peer.ask(batch(*frames(2)), token=site.folder.token)
    assert (answer["accepted"], answer["duplicate_count"]) == (5, 0)
    assert (await site.status())["record_count"] == 5


async def test_many_batches_at_once_are_all_answered(site: Site) -> None:
    sent = [
        await site.peer.send(batch(*frames(first)), token=site.folder.token)
        for first in range(1, 151, 5)
    ]
    heard = [await site.peer.hear() for _ in sent]
    assert {correlation for correlation, _ in heard} == set(sent)
    assert (await site.status())["sample_count"] == 600


async def test_a_full_inbox_asks_for_patience(tmp_path: Path) -> None:
    extra = "\n[ingest]\ninbox_size_bytes_max = 1048576\n"
    async with site_in(tmp_path, extra=extra) as site:
        answers = [
            await site.peer.ask(batch(noisy_record(seq, count=50_000)), token=site.folder.token)
            for seq in range(1, 5)
        ]
    assert answers[0]["accepted"] == 1
    assert (answers[-1]["code"], answers[-1]["retry_after_s"]) == (503, 10)


async def test_the_topic_alone_may_name_a_gateway(tmp_path: Path) -> None:
    async with site_in(tmp_path, 'identity = "topic"') as site:
        answer = await site.peer.ask(batch(*frames(1)), token="")
        assert answer["accepted"] == 5
        stranger = await site.peer.ask(
            batch(*frames(1), gateway="stranger"),
            token="",
            gateway="stranger",
            answers=f"{PREFIX}/stranger/answers",
        )
        assert stranger["code"] == 403


async def test_the_status_tells_who_is_connected(site: Site) -> None:
    """From the retained message; not known while the broker is away."""
    await site.peer.ask(batch(*frames(1)), token=site.folder.token)
    assert (await site.status())["is_online"] is None
    online = GatewayState(is_online=True, session="a", since_ns=1)
    for state in (online, replace(online, is_online=False), online):
        await site.peer.link.publish(
            f"{PREFIX}/{GATEWAY}/state", encode_state(state), qos=1, is_retained=True
        )
        status = await site.until("is_online", state.is_online)
        assert isinstance(status["online_changed_ns"], int)
    for payload in (b"", b"nonsense", b'{"online": 1}', bytes(10_000)):
        await site.peer.link.publish(f"{PREFIX}/{GATEWAY}/state", payload, qos=1)
    await site.peer.ask(batch(*frames(1)), token=site.folder.token)
    assert (await site.status())["is_online"] is True
    await site.mosquitto.kill()
    await site.until("is_online", None)


async def test_a_broker_that_is_away_leaves_http_alone(tmp_path: Path) -> None:
    """The cloud starts without it, finds it when it comes, and again after it was gone."""
    mosquitto = Mosquitto(tmp_path)
    folder = CloudFolder(tmp_path / "cloud", extra=mqtt_table(mosquitto.port))
    async with serving_here(folder) as url, Gateway(url, folder.token) as client:
        assert (await client.send(batch(*frames(1))))[0] == 200
        for first in (6, 11):
            await mosquitto.start()
            async with peer_at(mosquitto) as peer:
                answer = await peer.ask(batch(*frames(first)), token=folder.token)
                assert answer["duplicate_count"] == 0
            await mosquitto.kill()
        assert (await client.send(batch(*frames(16))))[0] == 200


def test_tokens_do_not_travel_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="tokens would travel in the clear"):
        MqttSettings(broker="mqtt://broker.example.com")
    MqttSettings(broker="mqtts://broker.example.com")
    MqttSettings(broker="mqtt://broker.example.com", identity="topic")


async def test_what_cannot_be_read_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    """Paths are meant from the file's own folder."""
    for lines in (
        ('user = "cloud"', 'password_file = "nothing-here"'),
        ('broker = "mqtts://127.0.0.1"', 'ca_file = "nothing-here"'),
    ):
        own = mqtt_table(1, *lines) if len(lines[0]) < 20 else "\n[mqtt]\n" + "\n".join(lines)
        folder = CloudFolder(tmp_path / str(len(own)), extra=own)
        with pytest.raises(ConfigError, match=r"^mqtt\.(password|ca)_file"):
            async with serving_here(folder):
                pass


def test_the_readme_names_every_option_and_its_example_is_good() -> None:
    text = (ROOT / "cloud_sync" / "README.md").read_text(encoding="utf-8")
    example = text.partition("```toml\n[mqtt]")[2].partition("```")[0]
    MqttSettings.model_validate(tomllib.loads(example))
    for name, field in MqttSettings.model_fields.items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| `mqtt.{name}` |")]
        default = "–" if field.default in (None, "") or field.is_required() else str(field.default)
        told = row.split("|")[2].strip().strip("`")
        assert told == default or float(told) == field.default
