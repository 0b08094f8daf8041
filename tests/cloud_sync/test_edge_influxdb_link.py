"""The InfluxDB uplink and its connection: breaks, silence, TLS, secrets, settings."""

import asyncio
import gzip
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import ValidationError

from cloud_sync.edge.influxdb import (
    WRITES_UNDER_WAY_MAX,
    InfluxdbUplink,
    InfluxdbUplinkConfig,
)
from cloud_sync.edge.influxdb_session import compressed
from gateway.config import read_config
from gateway.core.errors import ConfigError, UplinkError
from gateway.core.records import GatewayId
from gateway.service.uplinks import build_uplink
from gateway.wire.clock import SystemClock
from tests.cloud_sync.edge_doubles import until
from tests.cloud_sync.edge_influxdb import Site, batch_of, running_site, written
from tests.cloud_sync.edge_server import Server, answering, certificate


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


class Slow:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()

    async def handle(self, _request: web.Request) -> web.StreamResponse:
        await self.answer.wait()
        return web.Response(status=204)


async def test_a_database_that_hangs_is_given_up(site: Site) -> None:
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    site.server.handler = hang
    uplink = site.uplink(timeout_s=0.3)
    for _ in range(WRITES_UNDER_WAY_MAX + 1):
        with pytest.raises(UplinkError, match=r"does not answer within 0\.3 s"):
            await uplink.send(batch_of(1))
    assert len(site.server.requests) == WRITES_UNDER_WAY_MAX + 1


async def test_threads_that_nobody_waits_for_any_more_are_bounded(site: Site) -> None:
    """A cancelled write runs on in its thread until the database answers."""
    slow = Slow()
    site.server.handler = slow.handle
    uplink = site.uplink()
    for count in range(WRITES_UNDER_WAY_MAX):
        sending = asyncio.create_task(uplink.send(batch_of(1)))
        await until(lambda: len(site.server.requests) > count)  # noqa: B023  # used at once
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    with pytest.raises(UplinkError, match="neither answers nor hangs up"):
        await uplink.send(batch_of(1))
    slow.answer.set()
    site.server.handler = written
    async with asyncio.timeout(20):
        while True:
            try:
                assert (await uplink.send(batch_of(1))).accepted == 1
                return
            except UplinkError:
                await asyncio.sleep(0.01)


async def test_databases_that_hang_hold_up_nothing_else(site: Site) -> None:
    """The threads that everybody shares, which also read the log, stay free."""
    slow = Slow()
    site.server.handler = slow.handle
    shared_count = min(32, (os.cpu_count() or 1) + 4)  # of asyncio's own
    uplinks = [site.uplink(timeout_s=30.0) for _ in range(shared_count // 2 + 1)]
    sending = [asyncio.create_task(each.send(batch_of(1))) for each in uplinks for _ in range(2)]
    await until(lambda: len(site.server.requests) == len(sending))
    async with asyncio.timeout(20):
        await asyncio.gather(*(asyncio.to_thread(sum, [1]) for _ in range(shared_count)))
    assert not any(task.done() for task in sending)
    slow.answer.set()
    assert [result.accepted for result in await asyncio.gather(*sending)] == [1] * len(sending)


async def test_closing_does_not_wait_for_an_answer(site: Site) -> None:
    slow = Slow()
    site.server.handler = slow.handle
    uplink = site.uplink(timeout_s=30.0)
    sending = asyncio.create_task(uplink.send(batch_of(1)))
    await until(lambda: len(site.server.requests) == 1)
    sending.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(sending, return_exceptions=True)
        await uplink.aclose()
    slow.answer.set()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 20", b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_a_connection_that_breaks_in_the_answer_confirms_nothing(
    site: Site, answer: bytes
) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        await request.read()
        assert request.transport is not None
        request.transport.write(answer)
        request.transport.close()
        return web.Response(status=204)

    site.server.handler = break_off
    uplink = site.uplink()
    with pytest.raises(UplinkError, match="broke before the points were confirmed"):
        await uplink.send(batch_of(1))
    site.server.handler = written
    assert (await uplink.send(batch_of(1))).accepted == 1


async def test_nobody_there_is_an_outage_and_it_goes_on_when_the_database_is_back(
    site: Site,
) -> None:
    uplink = site.uplink()
    await uplink.send(batch_of(1))
    await site.server.stop()
    with pytest.raises(UplinkError, match="check the network") as caught:
        await uplink.send(batch_of(1))
    assert str(site.server.port) in caught.value.detail
    await site.server.start()
    assert (await uplink.send(batch_of(2))).accepted == 2


async def test_a_renewed_token_is_read_after_a_refusal(site: Site) -> None:
    async def only_new(request: web.Request) -> web.StreamResponse:
        is_new = request.headers["Authorization"] == "Token renewed"
        return web.Response(status=204 if is_new else 401)

    site.server.handler = only_new
    uplink = site.uplink()
    with pytest.raises(UplinkError, match="token"):
        await uplink.send(batch_of(1))
    site.token_file.write_text("renewed")
    with pytest.raises(UplinkError, match="token"):
        await uplink.send(batch_of(1))
    assert (await uplink.send(batch_of(1))).accepted == 1
    site.token_file.unlink()
    site.server.handler = answering(401, "")
    with pytest.raises(UplinkError, match="is gone"):
        await uplink.send(batch_of(1))


async def test_tls_is_checked_against_the_configured_authority(tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)
    server = Server(written)
    await server.start(context)

    def uplink(scheme: str, ca_file: Path | None) -> InfluxdbUplink:
        url = f"{scheme}://127.0.0.1:{server.port}"
        config = InfluxdbUplinkConfig(url=url, bucket="plant", ca_file=ca_file)
        return InfluxdbUplink("influx", config, note=lambda _: None, clock=SystemClock())

    trusting, wary, wrong = uplink("https", cert), uplink("https", None), uplink("http", None)
    assert (await trusting.send(batch_of(1))).accepted == 1
    with pytest.raises(UplinkError, match=r"certificate .* is not trusted"):
        await wary.send(batch_of(1))
    with pytest.raises(UplinkError):
        await wrong.send(batch_of(1))
    for each in (trusting, wary, wrong):
        await each.aclose()
    await server.stop()


async def test_https_towards_a_server_without_tls_is_told(site: Site) -> None:
    config = InfluxdbUplinkConfig(url=f"https://127.0.0.1:{site.server.port}", bucket="plant")
    uplink = InfluxdbUplink("influx", config, note=site.events.append, clock=SystemClock())
    with pytest.raises(UplinkError, match="check that it speaks TLS"):
        await uplink.send(batch_of(1))


async def test_a_proxy_in_the_environment_is_not_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await site.uplink().send(batch_of(1))).accepted == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "http://influx.example.com:8086"}, "https://"),
        ({"bucket": ""}, "at least 1 character"),
        ({"measurement": "with space"}, "pattern"),
        ({"tags": {"unit": "bar"}}, "itself writes unit"),
        ({"tags": {"value": "x"}}, "itself writes value"),
        ({"tags": {"time": "x"}}, "itself writes time"),
        ({"tags": {"_field": "x"}}, "pattern"),
        ({"precision": "s"}, "'ns', 'us' or 'ms'"),
        ({"token_file": "t", "token_credential": "t"}, "not both"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        InfluxdbUplinkConfig.model_validate(
            {"url": "https://example.com", "bucket": "plant", **settings}
        )


def test_a_table_of_the_configuration_becomes_this_uplink(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    path = tmp_path / "gateway.toml"
    path.write_text(
        '[gateway]\nid = "g"\n[uplinks.influx]\ntype = "influxdb"\nbucket = "plant"\n'
        'url = "https://influx.example.com:8086/"\ntoken_file = "token"\n'
    )
    settings = read_config(path).uplinks["influx"]
    uplink = build_uplink(
        "influx",
        settings,
        gateway=GatewayId("pumphouse-1"),
        note=lambda _: None,
        clock=SystemClock(),
    )
    assert isinstance(uplink, InfluxdbUplink)
    assert (uplink.name, uplink.address) == ("influx", "https://influx.example.com:8086 plant")
    path.write_text(path.read_text().replace('"influxdb"', '"influx"'))
    with pytest.raises(ConfigError, match="'influxdb'"):
        read_config(path)


def test_a_secret_that_cannot_be_read_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    def build(**paths: Path) -> None:
        config = InfluxdbUplinkConfig.model_validate(
            {"url": "https://example.com", "bucket": "plant", **paths}
        )
        InfluxdbUplink("influx", config, note=lambda _: None, clock=SystemClock())

    with pytest.raises(ConfigError, match="nothing-here"):
        build(token_file=tmp_path / "nothing-here")
    with pytest.raises(ConfigError, match=r"uplinks\.influx\.ca_file: .*no-such-ca"):
        build(ca_file=tmp_path / "no-such-ca")


def test_the_client_library_is_imported_with_the_first_write_only() -> None:
    """It takes a fifth of a second and the memory of 600 modules, also where nobody uses it."""
    code = "import sys, gateway.service.build, gateway.service.uplinks; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    modules = answer.stdout.decode().split()
    assert "cloud_sync.edge.influxdb" in modules
    assert "influxdb_client" not in modules


def test_gzip_is_what_it_says() -> None:
    """The double unpacks bodies; this pins that the bytes on the wire are packed."""
    assert gzip.decompress(compressed(["a b=1i 1", "c \ud800=2i 2"])) == b"a b=1i 1\nc ?=2i 2"
