"""The MQTT uplink against a real broker, with a cloud behind it whose answers the test decides."""

import asyncio
import gc
import json
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from cloud_sync.edge.mqtt import MqttUplinkConfig
from gateway.core.errors import (
    BatchTooLargeError,
    ConfigError,
    RefusedBatchError,
    UplinkError,
)
from gateway.wire.batch_topics import GatewayState, encode_state
from gateway.wire.batches import MEDIA_TYPE
from gateway.wire.clock import SystemClock
from gateway.wire.mqtt import Message, MqttSession
from gateway.wire.mqtt_properties import MessageProperties
from tests.cloud_sync.edge_doubles import until
from tests.cloud_sync.edge_mqtt import (
    PREFIX,
    MqttFarEnd,
    ScriptedCloud,
    broker_at,
    take_all,
    uplink_to,
)
from tests.cloud_sync.uplink_contract import UplinkContract, batch_of
from tests.connectors.wire import Wire
from tests.gateway.test_wire_mqtt import make_certificate, make_password
from tests.interop.mosquitto import running_mosquitto
from tests.test_docs import ROOT


@asynccontextmanager
async def far_end_in(folder: Path, *, timeout_s: float) -> AsyncIterator[MqttFarEnd]:
    async with running_mosquitto(folder) as mosquitto:
        far_end = MqttFarEnd(mosquitto, timeout_s=timeout_s)
        await far_end.cloud.start()
        yield far_end
        await far_end.uplink.aclose()
        await far_end.cloud.stop()


@pytest.fixture
async def far_end(tmp_path: Path) -> AsyncIterator[MqttFarEnd]:
    async with far_end_in(tmp_path, timeout_s=1.0) as far_end:
        yield far_end


class TestMqttUplink(UplinkContract):
    """With a second for each answer, as one test waits for it to pass."""


async def test_a_batch_says_who_sends_it_and_where_its_answer_goes(
    far_end: MqttFarEnd, tmp_path: Path
) -> None:
    """And expires at the broker when the gateway gives it up."""
    token_file = tmp_path / "token"
    token_file.write_text("s3cret\n")
    uplink = uplink_to(far_end.mosquitto.port, timeout_s=20.5, token_file=token_file)
    await uplink.send(batch_of(3))
    await uplink.send(batch_of(3))
    await uplink.aclose()
    first, second = far_end.cloud.messages
    assert (first.topic, first.qos) == (f"{PREFIX}/pumphouse-1/batches", 1)
    assert first.properties.of_user("token") == "s3cret"
    assert first.properties.response_topic == f"{PREFIX}/pumphouse-1/answers"
    assert first.properties.content_type == MEDIA_TYPE
    assert first.properties.expiry_s in range(1, 22)
    assert len(first.properties.correlation) == 16
    assert first.properties.correlation != second.properties.correlation


async def test_the_brokers_acknowledgement_alone_confirms_nothing(tmp_path: Path) -> None:
    """Neither does somebody else's answer."""
    async with far_end_in(tmp_path, timeout_s=1.0) as far_end:
        far_end.hang()
        sending = asyncio.create_task(far_end.uplink.send(batch_of(1)))
        await until(lambda: len(far_end.cloud.messages) == 1)
        stranger = broker_at(far_end.mosquitto.port, client_id="stranger")
        async with MqttSession(stranger, clock=SystemClock()) as link:
            for properties in (MessageProperties(), MessageProperties(correlation=bytes(16))):
                await link.publish(
                    f"{PREFIX}/pumphouse-1/answers",
                    take_all(far_end.cloud.messages[0]).encode(),
                    qos=1,
                    properties=properties,
                )
        with pytest.raises(UplinkError, match=r"the cloud behind .* does not answer within 1 s"):
            await sending


async def test_no_cloud_at_the_broker_is_told_at_once(tmp_path: Path) -> None:
    async with far_end_in(tmp_path, timeout_s=50.0) as far_end:
        await far_end.cloud.stop()
        with pytest.raises(UplinkError, match="has the batch, but no cloud listens") as caught:
            await far_end.uplink.send(batch_of(1))
        assert "0x10" in caught.value.detail
        await far_end.cloud.start()
        assert (await far_end.uplink.send(batch_of(1))).accepted == 1


async def test_a_broker_that_dies_ends_the_wait_for_the_answer(tmp_path: Path) -> None:
    async with far_end_in(tmp_path, timeout_s=50.0) as far_end:
        far_end.hang()
        sending = [asyncio.create_task(far_end.uplink.send(batch_of(1))) for _ in range(3)]
        await until(lambda: len(far_end.cloud.messages) == 3)
        await far_end.mosquitto.kill()
        done, _ = await asyncio.wait(sending, timeout=30)
        assert len(done) == 3
        for each in done:
            assert "is lost: check the network" in str(each.exception())


async def test_answers_out_of_order_find_their_batches(far_end: MqttFarEnd) -> None:
    """The first batch is answered last."""
    kept: list[Message] = []

    def keep(message: Message) -> None:
        kept.append(message)

    far_end.cloud.answer = keep
    uplink = uplink_to(far_end.mosquitto.port, timeout_s=30)
    sending = [asyncio.create_task(uplink.send(batch_of(count))) for count in (1, 2, 3)]
    await until(lambda: len(kept) == 3)
    other = broker_at(far_end.mosquitto.port, client_id="other")
    async with MqttSession(other, clock=SystemClock()) as link:
        for message in reversed(kept):
            properties = MessageProperties(correlation=message.properties.correlation)
            topic = message.properties.response_topic
            await link.publish(topic, take_all(message).encode(), qos=1, properties=properties)
    assert [result.accepted for result in await asyncio.gather(*sending)] == [1, 2, 3]
    await uplink.aclose()


async def test_a_batch_too_large_for_the_broker_is_halved_by_the_delivery(tmp_path: Path) -> None:
    """It is not even sent, as the broker has said how much it takes."""
    options = ["allow_anonymous true", "max_packet_size 4000"]
    async with running_mosquitto(tmp_path, options=options) as mosquitto:
        cloud = ScriptedCloud(mosquitto.port)
        await cloud.start()
        uplink = uplink_to(mosquitto.port)
        with pytest.raises(BatchTooLargeError):
            await uplink.send(batch_of(100))
        assert (await uplink.send(batch_of(5))).accepted == 5
        await uplink.aclose()
        await cloud.stop()


async def test_a_wrong_password_is_told_and_mended_without_a_restart(tmp_path: Path) -> None:
    users, password_file = tmp_path / "users", tmp_path / "password"
    make_password(users)
    options = ["allow_anonymous false", f"password_file {users}"]
    password_file.write_text("wrong")
    async with running_mosquitto(tmp_path, options=options) as mosquitto:
        uplink = uplink_to(mosquitto.port, user="gateway", password_file=password_file)
        with pytest.raises(UplinkError, match="refuses the connection: check user, password"):
            await uplink.send(batch_of(1))
        password_file.write_text("right\n")
        with pytest.raises(UplinkError, match="refuses the connection"):
            await uplink.send(batch_of(1))
        with pytest.raises(UplinkError, match="no cloud listens"):
            await uplink.send(batch_of(1))
        password_file.unlink()
        await mosquitto.kill()
        with pytest.raises(UplinkError):
            await uplink.send(batch_of(1))
        await uplink.aclose()


async def test_a_topic_that_is_not_allowed_is_told(tmp_path: Path) -> None:
    rights = tmp_path / "rights"
    rights.write_text(f"topic read {PREFIX}/pumphouse-1/#\n", encoding="utf-8")
    options = ["allow_anonymous true", f"acl_file {rights}"]
    async with running_mosquitto(tmp_path, options=options) as mosquitto:
        uplink = uplink_to(mosquitto.port)
        with pytest.raises(UplinkError, match="check what this user may publish") as caught:
            await uplink.send(batch_of(1))
        assert not isinstance(caught.value, RefusedBatchError)
        await uplink.aclose()


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_broker_that_is_not_trusted_gets_no_token(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    options = [
        f"certfile {tmp_path / 'broker.crt'}",
        f"keyfile {tmp_path / 'broker.key'}",
        "allow_anonymous true",
    ]
    async with running_mosquitto(tmp_path, options=options) as mosquitto:
        address = f"mqtts://127.0.0.1:{mosquitto.port}"
        trusting = uplink_to(0, broker=address, ca_file=tmp_path / "broker.crt")
        with pytest.raises(UplinkError, match="no cloud listens"):
            await trusting.send(batch_of(1))
        await trusting.aclose()
        make_certificate(tmp_path)
        wary = uplink_to(0, broker=address, ca_file=tmp_path / "broker.crt")
        with pytest.raises(UplinkError, match="not trusted: check ca_file"):
            await wary.send(batch_of(1))
    gc.collect()


async def test_a_link_that_passes_nothing_is_given_up(tmp_path: Path) -> None:
    """Half open: the connection stands, and nothing comes back."""
    async with far_end_in(tmp_path, timeout_s=10.0) as far_end, Wire() as wire:
        wire.target_port = far_end.mosquitto.port
        uplink = uplink_to(wire.port, timeout_s=1.0, connect_timeout_s=10.0)
        await uplink.send(batch_of(1))
        wire.freeze()
        with pytest.raises(UplinkError, match="does not answer within 1 s"):
            await uplink.send(batch_of(1))
        wire.cut()
        wire.thaw()
        assert (await uplink.send(batch_of(2))).accepted == 2
        await uplink.aclose()


async def test_a_message_of_an_older_session_is_put_right(far_end: MqttFarEnd) -> None:
    """Its will may come late; what the broker keeps must still be the truth."""
    other = broker_at(far_end.mosquitto.port, client_id="other")
    topic = f"{PREFIX}/pumphouse-1/state"
    stale = encode_state(GatewayState(is_online=False, session="older", since_ns=1))
    async with MqttSession(other, clock=SystemClock()) as watching:
        await watching.subscribe([topic], qos=1)
        await far_end.uplink.send(batch_of(1))
        for payload in (stale, b"nonsense"):
            await watching.publish(topic, payload, qos=1, is_retained=True)
        heard = await heard_by(watching, 5)
        await far_end.uplink.aclose()
        [last] = await heard_by(watching, 1)
    assert [state.get("online") for state in heard if state] == [True, False, True, True]
    assert last["online"] is False
    assert last["session"] == heard[0]["session"]


async def heard_by(link: MqttSession, count: int) -> list[dict[str, object]]:
    """Return so many states; nonsense is an empty one."""
    states: list[dict[str, object]] = []
    async with asyncio.timeout(30):
        while len(states) < count:
            await link.more(wait_s=30)
            messages = link.take()
            link.acknowledge(messages)
            for message in messages:
                is_json = message.payload.startswith(b"{")
                states.append(json.loads(message.payload) if is_json else {})
    return states


async def test_two_gateways_with_one_name_are_told_so(tmp_path: Path) -> None:
    """The broker lets only the newer one in."""
    async with far_end_in(tmp_path, timeout_s=50.0) as far_end:
        far_end.hang()
        sending = asyncio.create_task(far_end.uplink.send(batch_of(1)))
        await until(lambda: len(far_end.cloud.messages) == 1)
        far_end.take_all()
        twin = uplink_to(far_end.mosquitto.port)
        assert (await twin.send(batch_of(1))).accepted == 1
        with pytest.raises(UplinkError, match="whether another client uses the same client_id"):
            await sending
        await twin.aclose()


async def test_a_password_may_be_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "users"
    make_password(users)
    (tmp_path / "secret").write_text("right\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    options = ["allow_anonymous false", f"password_file {users}"]
    async with running_mosquitto(tmp_path, options=options) as mosquitto:
        uplink = uplink_to(mosquitto.port, user="gateway", password_credential="secret")
        with pytest.raises(UplinkError, match="no cloud listens"):
            await uplink.send(batch_of(1))
        await uplink.aclose()


def test_secrets_do_not_travel_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="the token would travel in the clear"):
        MqttUplinkConfig(broker="mqtt://broker.example.com", token_file=tmp_path)
    with pytest.raises(ValidationError, match="the password would travel in the clear"):
        MqttUplinkConfig(broker="mqtt://broker.example.com", user="g", password_file=tmp_path)
    MqttUplinkConfig(broker="mqtts://broker.example.com", token_file=tmp_path)


def test_each_secret_has_one_place(tmp_path: Path) -> None:
    broker = "mqtts://broker.example.com"
    with pytest.raises(ValidationError, match="token_file or token_credential, not both"):
        MqttUplinkConfig(broker=broker, token_file=tmp_path, token_credential="t")
    with pytest.raises(ValidationError, match="password_file or password_credential, not both"):
        MqttUplinkConfig(broker=broker, user="g", password_file=tmp_path, password_credential="p")
    with pytest.raises(ValidationError, match="user and password_file or password_credential"):
        MqttUplinkConfig(broker=broker, user="g")


async def test_what_cannot_be_read_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    missing = tmp_path / "nothing-here"
    for option in (
        {"token_file": missing},
        {"user": "g", "password_file": missing},
        {"broker": "mqtts://localhost", "ca_file": missing},
    ):
        with pytest.raises(ConfigError, match=r"nothing-here|ca_file"):
            uplink_to(1883, **option)


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a/+", "#", "a b", "$share/a"])
def test_a_prefix_that_is_no_topic_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError):
        MqttUplinkConfig(broker="mqtts://broker.example.com", topic_prefix=prefix)


def test_the_example_in_the_readme_is_good() -> None:
    text = (ROOT / "cloud_sync" / "edge" / "README.md").read_text(encoding="utf-8")
    example = text.partition("```toml\n[uplinks.broker]")[2].partition("```")[0]
    assert MqttUplinkConfig.model_validate(tomllib.loads(example)).has_token
