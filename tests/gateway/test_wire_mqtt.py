"""The MQTT session: who may connect, over what, and how trouble is worded."""

import asyncio
import gc
import importlib
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest
from pydantic import SecretStr

from gateway.wire.broker import Broker, MqttVersion, Will
from gateway.wire.broker_error import BrokerError
from gateway.wire.clock import SystemClock
from gateway.wire.mqtt import PRIVATE_NAMES, Message, MqttSession
from gateway.wire.mqtt_properties import MessageProperties
from tests.connectors.wire import until
from tests.interop.mosquitto import Mosquitto, running_mosquitto

RIGHTS_PLUGIN = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
"""Part of Debian's `mosquitto`."""


def broker_at(port: int) -> Broker:
    return Broker(
        host="127.0.0.1",
        port=port,
        version=MqttVersion.V5,
        tls=None,
        user="",
        password=SecretStr(""),
        client_id="test",
        session_expiry_s=0,
        keep_alive_s=5,
        timeout_s=10,
        receive_max=10,
        queue_messages_max=100,
        payload_bytes_max=1000,
    )


async def test_the_names_used_inside_the_libraries_are_there() -> None:
    """An upgrade that moves one of them fails here, not on a plant."""
    client = aiomqtt.Client("127.0.0.1")
    inside = {"aiomqtt.Client": client, "paho.mqtt.client.Client": client._client}
    for path, names in PRIVATE_NAMES.items():
        module, _, kind = path.rpartition(".")
        assert isinstance(inside[path], getattr(importlib.import_module(module), kind))
        assert [name for name in names if not hasattr(inside[path], name)] == []


async def test_a_password_is_needed_where_the_broker_wants_one(tmp_path: Path) -> None:
    path = tmp_path / "users"
    make_password(path)
    options = ["allow_anonymous false", f"password_file {path}"]
    async with running_mosquitto(tmp_path, options=options) as mosquitto:
        for version in MqttVersion:
            named = replace(broker_at(mosquitto.port), user="gateway", version=version)
            for password in ("", "wrong"):
                with pytest.raises(BrokerError, match="refuses the connection") as caught:
                    async with session(replace(named, password=SecretStr(password))):
                        pass
                assert "Check user" in caught.value.check
            async with session(replace(named, password=SecretStr("right"))) as link:
                assert await link.subscribe(["a"], qos=1) == ("",)


async def test_a_topic_that_is_not_allowed_is_refused_alone(tmp_path: Path) -> None:
    rights = {
        "defaultACLAccess": {
            "publishClientSend": True,
            "publishClientReceive": True,
            "subscribe": False,
            "unsubscribe": True,
        },
        "roles": [
            {
                "rolename": "reader",
                "acls": [{"acltype": "subscribePattern", "topic": "open/#", "allow": True}],
            }
        ],
        "groups": [{"groupname": "all", "roles": [{"rolename": "reader"}], "clients": []}],
        "anonymousGroup": "all",
        "clients": [],
    }
    path = tmp_path / "rights.json"
    path.write_text(json.dumps(rights), encoding="utf-8")
    options = [
        "allow_anonymous true",
        f"plugin {RIGHTS_PLUGIN}",
        f"plugin_opt_config_file {path}",
    ]
    async with (
        running_mosquitto(tmp_path, options=options) as mosquitto,
        session(broker_at(mosquitto.port)) as link,
    ):
        granted, refused = await link.subscribe(["open/a", "closed/a"], qos=1)
    assert granted == ""
    assert refused


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_session_over_tls_trusts_only_the_right_broker(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    options = [
        f"certfile {tmp_path / 'broker.crt'}",
        f"keyfile {tmp_path / 'broker.key'}",
        "allow_anonymous true",
    ]
    async with running_mosquitto(tmp_path, options=options) as mosquitto:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "broker.crt"))
        broker = replace(broker_at(mosquitto.port), tls=trusting)
        async with session(broker) as link:
            await link.subscribe(["a"], qos=1)
            await link.publish("a", b"1", qos=1)
            await link.more(wait_s=10)
            assert [message.payload for message in link.take()] == [b"1"]
            expires_ns = link.certificate_expires_ns
        assert expires_ns is not None
        days = (expires_ns - SystemClock().now_ns()) / 86_400e9
        assert 6 < days < 8
        with pytest.raises(BrokerError, match="not trusted"):
            async with session(replace(broker, tls=ssl.create_default_context())):
                pass
    gc.collect()


async def test_the_will_is_published_when_the_connection_breaks(tmp_path: Path) -> None:
    """And not when the session ends in order."""
    async with running_mosquitto(tmp_path) as mosquitto:
        broker = broker_at(mosquitto.port)
        dying = replace(broker, client_id="dying", will=Will(topic="w", payload=b"gone"))
        async with session(broker) as watching:
            await watching.subscribe(["w"], qos=1)
            async with session(dying) as link:
                await link.publish("w", b"here", qos=1, is_retained=True)
            async with session(dying) as link:
                link._close()
            payloads: list[bytes] = []
            while b"gone" not in payloads:
                await watching.more(wait_s=10)
                payloads += [message.payload for message in watching.take()]
    assert payloads == [b"here", b"gone"]


async def test_what_was_not_acknowledged_comes_again(tmp_path: Path) -> None:
    """Under the same packet identifier, marked as repeated; what was acknowledged does not."""
    async with running_mosquitto(tmp_path) as mosquitto:
        broker = replace(broker_at(mosquitto.port), session_expiry_s=60)
        async with session(broker) as link:
            assert not link.is_resumed
            await link.subscribe(["a"], qos=1)
            for payload in (b"1", b"2"):
                await link.publish("a", payload, qos=1)
            taken = await taken_from(link, 2)
            link.acknowledge(taken[:1])
        async with session(broker) as link:
            assert link.is_resumed
            [again] = await taken_from(link, 1)
    assert (again.payload, again.packet_id, again.is_repeated) == (b"2", taken[1].packet_id, True)
    assert not taken[1].is_repeated


async def test_no_more_is_sent_than_may_wait(tmp_path: Path) -> None:
    """`receive_max` holds the broker back until something is acknowledged."""
    async with running_mosquitto(tmp_path) as mosquitto:
        broker = broker_at(mosquitto.port)
        async with session(broker) as link, session(replace(broker, client_id="other")) as other:
            await link.subscribe(["a"], qos=1)
            for number in range(30):
                await other.publish("a", str(number).encode(), qos=1)
            first = await taken_from(link, 10)
            await link.more(wait_s=0.1)
            assert link.take() == []
            link.acknowledge(first)
            second = await taken_from(link, 10)
    assert [message.payload for message in (*first, *second)] == [
        str(number).encode() for number in range(20)
    ]


async def test_an_overlong_message_is_not_taken(tmp_path: Path) -> None:
    async with running_mosquitto(tmp_path) as mosquitto:
        for version in MqttVersion:
            broker = replace(broker_at(mosquitto.port), version=version)
            async with session(broker) as link:
                await link.subscribe(["a"], qos=0)
                await publish_file(mosquitto, tmp_path, 2000)
                await until(lambda: link.dropped_count == 1, what="the drop")
                assert link.take() == []


async def test_properties_arrive_as_they_were_sent(tmp_path: Path) -> None:
    sent = MessageProperties(
        response_topic="answers",
        correlation=b"\x00\xff",
        content_type="text/plain",
        expiry_s=60,
        user=(("token", "s3cret"), ("token", "second")),
    )
    async with (
        running_mosquitto(tmp_path) as mosquitto,
        session(broker_at(mosquitto.port)) as link,
    ):
        await link.subscribe(["a"], qos=1)
        await link.publish("a", b"1", qos=1, properties=sent)
        await link.publish("a", b"2", qos=1)
        first, second = await taken_from(link, 2)
    assert replace(first.properties, expiry_s=60) == sent
    assert first.properties.expiry_s in range(31, 61)  # what is left of it
    assert first.properties.of_user("token") == "s3cret"
    assert second.properties == MessageProperties()
    assert second.properties.of_user("token") == ""


async def test_the_broker_tells_what_became_of_a_message(tmp_path: Path) -> None:
    """Nobody subscribes, somebody does, it is not allowed, it is too large."""
    rights = tmp_path / "rights"
    rights.write_text("topic readwrite open/#\n", encoding="utf-8")
    options = ["allow_anonymous true", f"acl_file {rights}", "max_packet_size 2000"]
    async with (
        running_mosquitto(tmp_path, options=options) as mosquitto,
        session(broker_at(mosquitto.port)) as link,
    ):
        unheard = await link.publish("open/a", b"1", qos=1)
        await link.subscribe(["open/a"], qos=1)
        heard = await link.publish("open/a", b"1", qos=1)
        forbidden = await link.publish("closed/a", b"1", qos=1)
        large = await link.publish("open/a", bytes(2000), qos=1)
        fitting = await link.publish("open/a", bytes(1970), qos=1)
    assert (unheard.is_taken, unheard.has_subscribers) == (True, False)
    assert (heard.is_taken, heard.has_subscribers) == (True, True)
    assert (forbidden.is_taken, forbidden.is_too_large) == (False, False)
    assert (large.is_taken, large.is_too_large) == (False, True)
    assert fitting.is_taken


async def test_a_hundred_messages_at_once_are_each_acknowledged(tmp_path: Path) -> None:
    """However few the broker allows to be under way."""
    options = ["allow_anonymous true", "max_inflight_messages 3"]
    async with (
        running_mosquitto(tmp_path, options=options) as mosquitto,
        session(broker_at(mosquitto.port)) as link,
    ):
        publications = await asyncio.gather(*(link.publish("a", b"1", qos=1) for _ in range(100)))
    assert all(each.is_taken for each in publications)


async def test_a_broker_without_this_version_is_told_from_a_wrong_password() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x02\x00\x01")  # CONNACK of MQTT 3.1.1: unacceptable version
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        with pytest.raises(BrokerError, match="does not speak MQTT 5"):
            async with session(broker_at(server.sockets[0].getsockname()[1])):
                pass


async def publish_file(mosquitto: Mosquitto, folder: Path, size: int) -> None:
    path = folder / "long"
    path.write_bytes(b"1" * size)
    await mosquitto.publish("a", "-f", str(path), "-q", "0")


async def taken_from(link: MqttSession, count: int) -> list[Message]:
    """Return so many messages, once they are there."""
    messages: list[Message] = []
    while len(messages) < count:
        await link.more(wait_s=10)
        messages += link.take()
    return messages


@asynccontextmanager
async def session(broker: Broker) -> AsyncIterator[MqttSession]:
    async with MqttSession(broker, clock=SystemClock()) as link:
        yield link


def make_password(path: Path) -> None:
    command = ["mosquitto_passwd", "-c", "-b", str(path), "gateway", "right"]
    subprocess.run(command, check=True)


def make_certificate(folder: Path) -> None:
    """Make a certificate for the broker, valid for a week."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7"),
            *("-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "broker.key"), "-out", str(folder / "broker.crt")),
        ],
        check=True,
        capture_output=True,
    )
