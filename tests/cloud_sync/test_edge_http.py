"""The HTTP uplink against a real server that plays what a good cloud never does."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import ValidationError

from cloud_sync.edge.http import HttpUplink, HttpUplinkConfig
from gateway.core.errors import ConfigError, RefusedBatchError, UplinkError
from gateway.wire.batches import MEDIA_TYPE, decode_batch
from tests.cloud_sync.edge_server import Server, answering, certificate, good
from tests.cloud_sync.uplink_contract import FarEnd, UplinkContract, batch_of


class HttpFarEnd(FarEnd):
    """Implements `FarEnd` with a real HTTP server."""

    def __init__(self, server: Server, uplink: HttpUplink) -> None:
        self.server = server
        self.uplink: HttpUplink = uplink

    @property
    def received(self) -> list[bytes]:
        return self.server.bodies

    def take_all(self) -> None:
        self.server.handler = good

    def confirm(self, text: str) -> None:
        self.server.handler = answering(200, text)

    def refuse(self, status: int, *, retry_after_s: int | None = None) -> None:
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        self.server.handler = answering(status, COMPLAINT, headers=headers)

    def hang(self) -> None:
        self.server.handler = say_nothing

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()


COMPLAINT = json.dumps({"error": "record 1/2 is damaged", "remedy": "send it no more"})


async def say_nothing(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


class TestHttpUplink(UplinkContract):
    @pytest.fixture
    def far_end(self, server: Server, uplink: HttpUplink) -> HttpFarEnd:
        return HttpFarEnd(server, uplink)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def uplink(server: Server, tmp_path: Path) -> AsyncIterator[HttpUplink]:
    token_file = tmp_path / "token"
    token_file.write_text("s3cret\n")
    config = HttpUplinkConfig(
        url=f"http://127.0.0.1:{server.port}/", token_file=token_file, timeout_s=0.5
    )
    uplink = HttpUplink("cloud", config)
    yield uplink
    await uplink.aclose()


async def test_a_batch_arrives_whole_with_its_token(server: Server, uplink: HttpUplink) -> None:
    result = await uplink.send(batch_of(3))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/batches")
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert request.headers["Content-Type"] == MEDIA_TYPE
    assert decode_batch(server.bodies[0]).records == batch_of(3).records
    assert (result.accepted, result.size_bytes) == (3, len(server.bodies[0]))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (201, "unknown way"),
        (204, "unknown way"),
        (301, "unknown way"),
        (401, "token"),
        (403, "token"),
        (404, "address"),
        (429, "cannot take batches now"),
        (500, "logs"),
        (502, "logs"),
        (503, "cannot take batches now"),
    ],
)
async def test_every_other_status_is_an_outage_with_advice(
    server: Server, uplink: HttpUplink, status: int, words: str
) -> None:
    server.handler = answering(status, "" if status == 204 else "went wrong")
    with pytest.raises(UplinkError, match=words) as caught:
        await uplink.send(batch_of(1))
    assert not isinstance(caught.value, RefusedBatchError)
    assert f"HTTP {status}" in caught.value.detail


async def test_only_the_cloud_itself_can_refuse_for_good(
    server: Server, uplink: HttpUplink
) -> None:
    for status in (400, 413):
        server.handler = answering(status, "<html>nginx</html>")
        with pytest.raises(UplinkError) as caught:
            await uplink.send(batch_of(1))
        assert not isinstance(caught.value, RefusedBatchError)


async def test_a_redirect_is_not_followed(server: Server, uplink: HttpUplink) -> None:
    """It would carry the token to wherever it points."""
    server.handler = answering(307, "", headers={"Location": "/elsewhere"})
    with pytest.raises(UplinkError):
        await uplink.send(batch_of(1))
    assert [request.path for request in server.requests] == ["/v1/batches"]


async def test_a_connection_that_breaks_in_the_answer_confirms_nothing(
    server: Server, uplink: HttpUplink
) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"accepted": 1, "sample_count": 0, "duplicate_count": 0}')
        assert request.transport is not None
        request.transport.abort()
        return response

    server.handler = break_off
    with pytest.raises(UplinkError, match="broke before the batch was confirmed"):
        await uplink.send(batch_of(1))
    server.handler = good
    assert (await uplink.send(batch_of(1))).accepted == 1


async def test_an_endless_answer_is_cut_off(server: Server, uplink: HttpUplink) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    server.handler = endless
    with pytest.raises(UplinkError, match="endless"):
        await uplink.send(batch_of(1))


async def test_nobody_there_is_an_outage(uplink: HttpUplink, server: Server) -> None:
    await server.stop()
    with pytest.raises(UplinkError, match="check the network") as caught:
        await uplink.send(batch_of(1))
    assert str(server.port) in caught.value.detail


async def test_a_renewed_token_is_read_after_a_refusal(
    server: Server, uplink: HttpUplink, tmp_path: Path
) -> None:
    async def only_new(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != "Bearer renewed":
            return web.Response(status=401)
        return await good(request)

    server.handler = only_new
    with pytest.raises(UplinkError, match="token"):
        await uplink.send(batch_of(1))
    (tmp_path / "token").write_text("renewed")
    with pytest.raises(UplinkError, match="token"):
        await uplink.send(batch_of(1))
    assert (await uplink.send(batch_of(1))).accepted == 1


async def test_tls_is_checked_against_the_configured_authority(tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)
    server = Server()
    await server.start(context)
    url = f"https://127.0.0.1:{server.port}"
    trusting = HttpUplink("cloud", HttpUplinkConfig(url=url, ca_file=cert))
    assert (await trusting.send(batch_of(1))).accepted == 1
    wary = HttpUplink("cloud", HttpUplinkConfig(url=url))
    with pytest.raises(UplinkError, match=r"certificate .* is not trusted"):
        await wary.send(batch_of(1))
    wrong = HttpUplink("cloud", HttpUplinkConfig(url=f"http://127.0.0.1:{server.port}"))
    with pytest.raises(UplinkError):
        await wrong.send(batch_of(1))
    for uplink in (trusting, wary, wrong):
        await uplink.aclose()
    await server.stop()


@pytest.mark.parametrize(
    "url",
    [
        "http://sync.example.com",
        "http://10.0.0.7:8443",
        "ftp://sync.example.com",
        "sync.example.com",
        "https://",
        "https://sync.example.com/?token=1",
    ],
)
def test_an_address_that_would_leak_the_token_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="https://"):
        HttpUplinkConfig(url=url)


def test_a_token_that_cannot_be_read_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing-here"):
        HttpUplink(
            "cloud",
            HttpUplinkConfig(url="https://example.com", token_file=tmp_path / "nothing-here"),
        )
    with pytest.raises(ConfigError, match="no-such-ca"):
        HttpUplink(
            "cloud", HttpUplinkConfig(url="https://example.com", ca_file=tmp_path / "no-such-ca")
        )
    with pytest.raises(ValidationError, match="not both"):
        HttpUplinkConfig(
            url="https://example.com", token_file=tmp_path, token_credential="cloud_token"
        )
