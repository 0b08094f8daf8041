"""The sync API of the real process, as gateways, operators and strangers meet it."""

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # re-exported, not marked so

from cloud_sync.cloud.parquet import count_in_lake
from gateway.wire.batches import MEDIA_TYPE
from tests.cloud_sync.cloud.batches import batch, damaged, event_record, frame_record, ledger_record
from tests.cloud_sync.cloud.bundles import bundle_bytes
from tests.cloud_sync.cloud.processes import CloudFolder, Gateway, running, serving_here

BUNDLE = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}


class Site:
    """A running cloud with one client for each kind of caller."""

    def __init__(self, folder: CloudFolder, url: str) -> None:
        self.folder = folder
        self.url = url
        self.gateway = Gateway(url, folder.token)
        self.operator = Gateway(url, folder.operator)
        self.stranger = Gateway(url, "guess")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect without any client's good manners."""
        address = urlsplit(self.url)
        return await asyncio.open_connection(address.hostname, address.port)

    def install(self, target: str, folder: Path) -> bytes:
        """Fetch a model with the reference client of TUF."""
        updater = Updater(
            str(folder), f"{self.url}/tuf/metadata", str(folder), f"{self.url}/tuf/targets",
            bootstrap=self.folder.root,
        )  # fmt: skip
        info = updater.get_targetinfo(target)
        assert info is not None
        return Path(updater.download_target(info)).read_bytes()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    extra = "\n[ingest]\nbatch_size_bytes_max = 1048576\nreceive_timeout_s = 1.0\n"
    folder = CloudFolder(tmp_path / "cloud", extra=extra)
    async with serving_here(folder) as url:
        site = Site(folder, url)
        async with site.gateway, site.operator, site.stranger:
            yield site


async def test_batch_is_accepted_and_is_in_files_after_the_stop(tmp_path: Path) -> None:
    folder = CloudFolder(tmp_path / "cloud")
    async with running(folder) as cloud, Gateway(cloud.url, folder.token) as gateway:
        sent = batch(frame_record(1), frame_record(2), event_record(3))
        first = await gateway.send(sent)
        again = await gateway.send(sent)
    assert first == (200, {"accepted": 3, "sample_count": 8, "duplicate_count": 0})
    assert again == (200, {"accepted": 3, "sample_count": 8, "duplicate_count": 3})
    assert cloud.process.returncode == 0
    books = count_in_lake(folder.lake)
    assert (books.sample_count, books.duplicate_count) == (8, 0)


async def test_tokens_open_only_what_they_are_for(site: Site) -> None:
    sent = batch(frame_record(1))
    for status, caller in ((401, site.stranger), (403, site.operator), (200, site.gateway)):
        answered, message = await caller.send(sent)
        assert answered == status
        assert status == 200 or set(message) == {"error", "remedy"}
    for path in ("/v1/events", "/v1/ledger", "/v1/retrain", "/metrics"):
        assert (await site.gateway.ask("GET", path))[0] == 403
        assert (await site.operator.ask("GET", path))[0] == 200
    status, _ = await site.gateway.ask("POST", "/v1/releases", body=bundle_bytes(), headers=BUNDLE)
    assert status == 403


async def test_malformed_credentials_are_refused(site: Site) -> None:
    for header in ("", "Bearer", "Bearer ", "Basic abc", "Bearer \u00fc", f"Bearer  {'a' * 5000}"):
        status, _ = await site.gateway.ask("GET", "/v1/status", headers={"Authorization": header})
        assert status == 401, header


async def test_gateway_writes_only_its_own_id(site: Site) -> None:
    status, message = await site.gateway.send(batch(frame_record(1), gateway="other"))
    assert status == 403
    assert "'other'" in str(message["error"])


async def test_gateway_sees_only_itself(site: Site) -> None:
    await site.gateway.send(batch(frame_record(1), ledger_record(2)))
    async with Gateway(site.url, site.folder.other_token) as other:
        await other.send(batch(frame_record(1), gateway="other"))
        _, seen = await other.ask("GET", "/v1/status")
    assert [each["gateway"] for each in _list(seen["gateways"])] == ["other"]
    _, all_seen = await site.operator.ask("GET", "/v1/status")
    gateways = _list(all_seen["gateways"])
    assert [each["gateway"] for each in gateways] == ["other", "pumphouse-1"]
    assert (gateways[1]["sample_count"], gateways[1]["loss_count"]) == (4, 1)


async def test_damaged_record_is_named(site: Site) -> None:
    status, message = await site.gateway.send(batch(frame_record(1), damaged(frame_record(2))))
    assert status == 400
    assert "record 2 of 2 (boot 1, seq 2, FRAME)" in str(message["error"])


@pytest.mark.parametrize("body", [b"", b"EWB", b"nonsense" * 100, batch(frame_record(1))[:-1]])
async def test_hostile_bodies_are_refused(site: Site, body: bytes) -> None:
    status, message = await site.gateway.send(body)
    assert status == 400
    assert set(message) == {"error", "remedy"}


async def test_large_bodies_are_refused_announced_or_not(site: Site) -> None:
    status, _ = await site.gateway.send(bytes(1048577))
    assert status == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(65536)

    async with site.gateway._session.post(
        f"{site.url}/v1/batches",
        data=endless(),
        headers={"Authorization": f"Bearer {site.folder.token}", "Content-Type": MEDIA_TYPE},
    ) as response:
        assert response.status == 413


async def test_compressed_and_foreign_bodies_are_refused(site: Site) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    for encoding, body in (("gzip", bomb), ("deflate", zlib.compress(bytes(1000)))):
        headers = {"Content-Encoding": encoding}
        status, _ = await site.gateway.ask("POST", "/v1/batches", body=body, headers=headers)
        assert status == 415
    status, _ = await site.gateway.ask("POST", "/v1/batches", body=b"{}", headers=JSON)
    assert status == 415


async def test_slow_bodies_are_given_up(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(
        f"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.folder.token}\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: 1000\r\n\r\nhalf".encode()
    )
    async with asyncio.timeout(20):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_broken_connections_leave_the_cloud_well(site: Site) -> None:
    request = (
        f"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.folder.token}\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: 100000\r\n\r\n" + "x" * 200
    ).encode()
    for end in (1, 40, 200, len(request)):
        _, writer = await site.connect()
        writer.write(request[:end])
        await writer.drain()
        writer.transport.abort()
    assert (await site.gateway.send(batch(frame_record(1))))[0] == 200


async def test_broken_chunks_are_no_fault_of_the_content(site: Site) -> None:
    """A 400 would make the gateway set records aside."""
    reader, writer = await site.connect()
    writer.write(
        f"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.folder.token}\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    await writer.drain()
    writer.write(b"zz\r\nnonsense\r\n")
    async with asyncio.timeout(20):
        answered = await reader.read(4096)
    writer.close()
    assert b" 408 " in answered.splitlines()[0] or b"application/json" not in answered


async def test_unknown_paths_and_methods_are_told(site: Site) -> None:
    assert (await site.operator.ask("GET", "/v2/x"))[0] == 404
    status, message = await site.operator.ask("DELETE", "/v1/batches")
    assert status == 405
    assert set(message) == {"error", "remedy"}


async def test_events_and_losses_can_be_asked_for(site: Site) -> None:
    await site.gateway.send(batch(*(event_record(seq) for seq in (1, 2, 3)), ledger_record(4)))
    _, events = await site.operator.ask("GET", "/v1/events?gateway=pumphouse-1&limit=2")
    assert len(_list(events["events"])) == 2
    assert _list(events["events"])[0]["condition"] == "vibration_high"
    _, none = await site.operator.ask("GET", "/v1/events?gateway=other")
    assert none == {"events": []}
    _, losses = await site.operator.ask("GET", "/v1/ledger")
    assert _list(losses["entries"])[0]["tags"] == ["pumps.T0"]
    assert (await site.operator.ask("GET", "/v1/events?limit=many"))[0] == 400


async def test_release_reaches_a_gateway_through_tuf(site: Site, tmp_path: Path) -> None:
    """The reference client follows the served repository from the root that was handed over."""
    for version in ("1.0", "1.1"):
        sent = bundle_bytes(version=version)
        status, released = await site.operator.ask(
            "POST", "/v1/releases", body=sent, headers=BUNDLE
        )
        assert status == 200

        got = await asyncio.to_thread(site.install, str(released["target"]), tmp_path)
        assert sent == got
    status, message = await site.operator.ask(
        "POST", "/v1/releases", body=bundle_bytes(version="1.1"), headers=BUNDLE
    )
    assert status == 400
    assert "not above" in str(message["error"])
    _, models = await site.gateway.ask("GET", "/v1/models")
    assert [each["version"] for each in _list(models["models"])] == ["1.1", "1.0"]


@pytest.mark.parametrize(
    "path",
    [
        "metadata/../../keys/root.pem", "metadata/%2e%2e%2f%2e%2e%2fkeys%2froot.pem",
        "metadata/9.root.json", "targets/../keys/models.pem", "targets/models/x/../../y.ewm",
        "targets/models/a/" + "0" * 64 + ".a-1.0.ewm",
    ],
)  # fmt: skip
async def test_repository_gives_nothing_else(site: Site, path: str) -> None:
    reader, writer = await site.connect()
    writer.write(f"GET /tuf/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answered = await reader.read()
    writer.close()
    assert b" 404 " in answered.splitlines()[0]
    assert b"PRIVATE" not in answered


async def test_retrain_says_what_it_needs(site: Site) -> None:
    async def ask(body: object) -> tuple[int, str]:
        status, message = await site.operator.ask(
            "POST", "/v1/retrain", body=json.dumps(body).encode(), headers=JSON
        )
        return status, str(message)

    assert (await ask({"model": "pump-anomaly"}))[0] == 404
    mistakes: tuple[object, ...] = ({}, {"model": "../x"}, [], {"model": "a", "b": 1})
    for wrong in mistakes:
        assert (await ask(wrong))[0] == 400


async def test_every_route_is_described(site: Site) -> None:
    """The document names every route, and everything it refers to is in it."""
    status, document = await site.stranger.ask("GET", "/openapi.json")
    assert status == 200
    paths = document["paths"]
    assert isinstance(paths, dict)
    described = {(method, path) for path, methods in paths.items() for method in methods}
    assert ("post", "/v1/batches") in described
    assert ("get", "/tuf/targets/{path}") in described
    assert len(described) == 14
    text = json.dumps(document)
    schemas = document["components"]["schemas"]  # type: ignore[index]  # checked by the next lines
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in schemas
    for methods in paths.values():
        for operation in methods.values():
            assert operation["summary"].endswith(".")
            assert "200" in operation["responses"]


async def test_health_and_metrics(site: Site) -> None:
    assert await site.stranger.ask("GET", "/healthz") == (200, {"status": "ok"})
    await site.gateway.send(batch(frame_record(1)))
    await site.gateway.send(batch(frame_record(2), is_historical=True))
    await site.stranger.send(b"")
    _, metrics = await site.operator.ask("GET", "/metrics")
    text = str(metrics["text"])
    assert 'ingest_fresh_samples_total{gateway="pumphouse-1"} 8.0' in text
    assert 'ingest_historical_samples_total{gateway="pumphouse-1"} 4.0' in text
    assert 'api_refused_requests_total{status="401"} 1.0' in text
    assert 'registry_expiry_seconds{role="timestamp"}' in text


def _list(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value
