"""The real cloud, in a process of its own or in this one, and a client for it."""

import asyncio
import json
import os
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from types import TracebackType

import aiohttp

from cloud_sync.cloud.service import run_cloud
from cloud_sync.cloud.settings import read_cloud_settings
from cloud_sync.cloud.setup import (
    CONFIGURATION,
    HAND_OVER,
    OPERATOR_TOKEN,
    ROOT,
    TOKEN,
    create_cloud,
)
from gateway.wire.batches import MEDIA_TYPE
from gateway.wire.clock import SystemClock
from tests.cloud_sync.cloud.batches import GATEWAY

START_TIMEOUT_S = 30.0


class CloudFolder:
    """What `cloud init` made."""

    def __init__(self, folder: Path, *, extra: str = "") -> None:
        create_cloud(
            folder, gateways=[GATEWAY, "other"], host="127.0.0.1", port=0, clock=SystemClock()
        )
        self.folder = folder
        self.configuration = folder / CONFIGURATION
        self.configuration.write_text(self.configuration.read_text() + extra)
        self.lake = folder / "state" / "lake"
        self.operator = (folder / OPERATOR_TOKEN).read_text()
        self.token = (folder / HAND_OVER / GATEWAY / TOKEN).read_text()
        self.other_token = (folder / HAND_OVER / "other" / TOKEN).read_text()
        self.root = (folder / HAND_OVER / GATEWAY / ROOT).read_bytes()


class CloudProcess:
    """A running cloud."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.url = url

    def kill(self) -> None:
        """End it without a chance to do anything."""
        self.process.kill()

    def limit_files(self, size_bytes: int) -> None:
        """Let no file grow beyond a size, as on a full disk; -1 is no limit."""
        resource.prlimit(
            self.process.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY)
        )


@asynccontextmanager
async def running(site: CloudFolder) -> AsyncIterator[CloudProcess]:
    """Start the cloud, and stop it in the end unless it is gone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", "cloud", "run", "--json",
        "-c", str(site.configuration),
        stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            url = await _address(process.stdout)
        # The pipe is read on, so that the process never waits for us.
        reading = asyncio.create_task(process.stdout.read())
        yield CloudProcess(process, url)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(START_TIMEOUT_S):
            await process.wait()
    await reading


@asynccontextmanager
async def serving_here(site: CloudFolder) -> AsyncIterator[str]:
    """Run the cloud in this process and yield its URL."""
    stop = asyncio.Event()
    url = asyncio.get_running_loop().create_future()
    settings = read_cloud_settings(site.configuration)
    running = asyncio.create_task(run_cloud(settings, stop=stop, started=url.set_result))
    try:
        await asyncio.wait([running, url], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        yield await url
    finally:
        stop.set()
        await running


async def _address(output: asyncio.StreamReader) -> str:
    line = await output.readline()
    assert line, "the cloud did not start"
    return str(json.loads(line)["url"])


class Gateway:
    """Sends batches as a gateway would."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._session = aiohttp.ClientSession()

    async def __aenter__(self) -> "Gateway":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, object]]:
        """Return status and JSON of an answer."""
        own = {"Authorization": f"Bearer {self.token}", "Content-Type": MEDIA_TYPE}
        async with self._session.request(
            method, self.url + path, data=body and BytesIO(body), headers={**own, **(headers or {})}
        ) as response:
            content = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(content) if is_json else {"text": content.decode()}

    async def send(self, batch: bytes) -> tuple[int, dict[str, object]]:
        """Deliver a batch."""
        return await self.ask("POST", "/v1/batches", body=batch)
