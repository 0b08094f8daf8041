"""The plant's OPC UA server, asked by asyncua's client: access, values, books, failures."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.uaerrors import (
    BadOutOfRange,
    BadTypeMismatch,
    BadUserAccessDenied,
    UaError,
)

from gateway.core.errors import ConfigError
from gateway.core.tags import TagId
from gateway.simulate.books import OfferedBook, Service, read_offered
from gateway.simulate.certificate import own_certificate
from gateway.simulate.opcua import Access, OpcuaServer
from gateway.simulate.opcua_wire import to_datetime, to_ns
from gateway.simulate.plant_config import plant_nodes
from gateway.simulate.server import ServerState
from gateway.wire.clock import SystemClock
from tests.gateway.simulate_peers import Subscriber, offered, opcua_server, until

FLOW = "ns=2;s=P101.Flow"
SETPOINT = "ns=2;s=P101.SpeedSetpoint"
FLOW_TAG = TagId("pumps.P101.Flow")
NODE_COUNT = len(plant_nodes())
REQUEST_TIMEOUT_S = 0.5


def row(value: float) -> list[float]:
    return [value + index for index in range(NODE_COUNT)]


def test_times_are_exact_to_the_microsecond() -> None:
    time_ns = 1_767_229_200_123_457_000
    assert to_ns(to_datetime(time_ns)) == time_ns


async def test_an_anonymous_client_reads_values_with_their_source_time(tmp_path: Path) -> None:
    async with opcua_server(tmp_path) as server, Client(server.endpoint) as client:
        time_ns = 1_767_229_200_123_000_000
        await server.show(row(50.0), time_ns)
        value = await client.get_node(FLOW).read_data_value()
        assert value.Value is not None
        assert value.Value.Value == 51.0
        assert value.SourceTimestamp is not None
        assert to_ns(value.SourceTimestamp) == time_ns
        assert offered(tmp_path / "pumps.book") == Counter({(FLOW_TAG, time_ns): 1})


async def test_a_node_tells_range_and_unit(tmp_path: Path) -> None:
    async with opcua_server(tmp_path) as server, Client(server.endpoint) as client:
        node = client.get_node(FLOW)
        span = await (await node.get_child("0:EURange")).read_value()
        unit = await (await node.get_child("0:EngineeringUnits")).read_value()
        assert (span.Low, span.High) == (0.0, 120.0)
        assert unit.DisplayName.Text == "m³/h"
        assert unit.UnitId == 0x4D5148  # "MQH"
        assert await client.get_namespace_index("urn:edgewright:plant") == 2
        assert server.book.count == 0, "a property is no value that a gateway wants"


async def test_a_secured_client_reads(tmp_path: Path) -> None:
    """Basic256Sha256, SignAndEncrypt, with a certificate of the client's own."""
    folder = tmp_path / "client"
    folder.mkdir()
    certificate, key = own_certificate(folder, application_uri="urn:test:client")
    async with opcua_server(tmp_path) as server:
        client = Client(server.endpoint)
        client.application_uri = "urn:test:client"
        await client.set_security(
            SecurityPolicyBasic256Sha256,
            certificate,
            key,
            mode=ua.MessageSecurityMode.SignAndEncrypt,
        )
        async with client:
            assert await client.get_node(FLOW).read_value() == 2000.0
    assert (tmp_path / "server.pem").stat().st_mode & 0o077 == 0


async def test_with_a_user_nobody_else_gets_in(tmp_path: Path) -> None:
    async with opcua_server(tmp_path, user="otto", password="geheim") as server:
        client = Client(server.endpoint)
        client.set_user("otto")
        client.set_password("geheim")
        async with client:
            assert await client.get_node(FLOW).read_value() == 2000.0
        stranger = Client(server.endpoint)
        stranger.set_user("otto")
        stranger.set_password("wrong")
        with pytest.raises(UaError):
            await stranger.connect()
        with pytest.raises(UaError):
            await Client(server.endpoint).connect()


async def test_offered_is_what_subscribers_received(tmp_path: Path) -> None:
    """Two clients and reads in between: the books equal what they got, sample by sample."""
    async with (
        opcua_server(tmp_path) as server,
        Client(server.endpoint) as first,
        Client(server.endpoint) as second,
    ):
        one, two = Subscriber(), Subscriber()
        await one.subscribe(first)
        await two.subscribe(second, period_ms=35.0)
        reads: Counter[tuple[TagId, int]] = Counter()
        for round_index in range(12):
            time_ns = time.time_ns() // 1000 * 1000
            values = row(float(round_index))
            values[3] = 7.0  # one that does not change is offered once
            await server.show(values, time_ns)
            if round_index % 4 == 0:
                await first.read_values([first.get_node(FLOW), first.get_node(SETPOINT)])
                reads[FLOW_TAG, time_ns] += 1
                reads[TagId("pumps.P101.SpeedSetpoint"), time_ns] += 1
            await asyncio.sleep(0.01)
        await until(
            lambda: (
                (one.received + two.received + reads).total() == server.book.count
                and one.values.get(FLOW_TAG) == two.values.get(FLOW_TAG) == 12.0
            ),
            what="the last notifications",
        )
        assert offered(tmp_path / "pumps.book") == one.received + two.received + reads
        services = read_offered(tmp_path / "pumps.book").service
        assert (services == Service.READ).sum() == reads.total()
        assert max(one.received.values()) == 1
        unchanged = plant_nodes()[3].tag
        assert count_of(one.received, unchanged) == 2
        received = one.received + two.received + reads
        assert server.book.counts()[FLOW_TAG] == count_of(received, FLOW_TAG)


def count_of(samples: Counter[tuple[TagId, int]], tag: TagId) -> int:
    return sum(count for (each, _), count in samples.items() if each == tag)


async def test_a_value_that_is_no_number_is_bad(tmp_path: Path) -> None:
    async with opcua_server(tmp_path) as server, Client(server.endpoint) as client:
        await server.show([float("nan")] * NODE_COUNT, time.time_ns())
        value = await client.get_node(FLOW).read_data_value(raise_on_bad_status=False)
        assert value.StatusCode is not None
        assert value.StatusCode.is_bad()
        await server.show(row(1.0), time.time_ns())
        assert await client.get_node(FLOW).read_value() == 2.0


async def test_only_a_setpoint_within_its_range_is_written(tmp_path: Path) -> None:
    written: list[tuple[str, float]] = []
    nodes = plant_nodes()
    book = OfferedBook(tmp_path / "b", connector="pumps", tags=[node.tag for node in nodes])
    server = OpcuaServer(
        nodes,
        access=Access(host="127.0.0.1", port=0),
        book=book,
        state_folder=tmp_path,
        clock=SystemClock(),
        on_write=lambda tag, value: written.append((tag, value)),
    )
    await server.start(row(2000.0), time.time_ns())
    try:
        async with Client(server.endpoint) as client:
            before_ns = time.time_ns() // 1000 * 1000
            await client.get_node(SETPOINT).write_value(2500.0, ua.VariantType.Double)
            with pytest.raises(BadOutOfRange):
                await client.get_node(SETPOINT).write_value(9000.0, ua.VariantType.Double)
            with pytest.raises(BadTypeMismatch):
                await client.get_node(SETPOINT).write_value(2500, ua.VariantType.Int32)
            with pytest.raises(BadUserAccessDenied):
                await client.get_node(FLOW).write_value(1.0, ua.VariantType.Double)
            value = await client.get_node(SETPOINT).read_data_value()
            assert value.Value is not None
            assert value.Value.Value == 2500.0
            assert value.SourceTimestamp is not None, "the server stamps what has no time"
            assert to_ns(value.SourceTimestamp) >= before_ns
        assert written == [("pumps.P101.SpeedSetpoint", 2500.0)]
    finally:
        await server.stop()
        book.close()


async def test_a_dead_server_forgets_its_clients_and_comes_back(tmp_path: Path) -> None:
    async with opcua_server(tmp_path) as server:
        endpoint = server.endpoint
        client = Client(endpoint, timeout=REQUEST_TIMEOUT_S)
        subscriber = Subscriber()
        await client.connect()
        await subscriber.subscribe(client)
        await until(lambda: len(subscriber.values) == NODE_COUNT, what="first values")
        await server.fail(ServerState.DEAD)
        count = server.book.count
        with pytest.raises((ConnectionError, TimeoutError)):
            await client.get_node(FLOW).read_value()
        with pytest.raises(OSError):
            await Client(endpoint, timeout=REQUEST_TIMEOUT_S).connect()
        await server.show(row(60.0), time.time_ns())
        assert server.book.count == count
        await _drop(client)
        await server.restore()
        assert server.endpoint == endpoint
        async with Client(endpoint) as again:
            assert await again.get_node(FLOW).read_value() == 61.0


async def test_a_hung_server_accepts_and_never_answers(tmp_path: Path) -> None:
    """What was asked is answered after the hang, and only then is in the books."""
    async with opcua_server(tmp_path) as server:
        client = Client(server.endpoint, timeout=REQUEST_TIMEOUT_S)
        await client.connect()
        subscriber = Subscriber()
        await subscriber.subscribe(client)
        await until(lambda: len(subscriber.values) == NODE_COUNT, what="first values")
        await server.fail(ServerState.HUNG)
        count = server.book.count
        await server.show(row(70.0), time.time_ns())
        with pytest.raises(TimeoutError):
            await client.get_node(FLOW).read_value()
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.endpoint.split(":")[2]))
        writer.close()
        with pytest.raises(TimeoutError):
            await Client(server.endpoint, timeout=REQUEST_TIMEOUT_S).connect()
        assert server.book.count == count
        await server.restore()
        await server.show(row(80.0), time.time_ns())
        await until(lambda: subscriber.values[FLOW_TAG] == 81.0, what="values after the hang")
        await client.disconnect()


async def test_a_refusing_server_closes_and_comes_back(tmp_path: Path) -> None:
    async with opcua_server(tmp_path) as server:
        client = Client(server.endpoint, timeout=REQUEST_TIMEOUT_S)
        await client.connect()
        await server.fail(ServerState.REFUSING)
        with pytest.raises(ConnectionRefusedError):
            await Client(server.endpoint, timeout=REQUEST_TIMEOUT_S).connect()
        await _drop(client)
        await server.fail(ServerState.DEAD)
        await server.restore()
        async with Client(server.endpoint) as again:
            assert await again.get_node(FLOW).read_value() == 2000.0


async def test_a_taken_port_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    async with opcua_server(tmp_path) as server:
        port = int(server.endpoint.split(":")[2])
        nodes = plant_nodes()
        book = OfferedBook(tmp_path / "b", connector="pumps", tags=[node.tag for node in nodes])
        second = OpcuaServer(
            nodes,
            access=Access(host="127.0.0.1", port=port),
            book=book,
            state_folder=tmp_path,
            clock=SystemClock(),
        )
        with pytest.raises(ConfigError, match="choose another address"):
            await second.start(row(0.0), time.time_ns())
        await second.stop()
        book.close()


async def _drop(client: Client) -> None:
    """Let go of a client whose connection is gone."""
    try:
        async with asyncio.timeout(5.0):
            await client.disconnect()
    except (OSError, UaError, TimeoutError):
        pass
