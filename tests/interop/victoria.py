"""VictoriaMetrics, started on a free port; it takes the writes of InfluxDB 2, and is asked back."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import aiohttp

READY_S = 30.0

Labels = frozenset[tuple[str, str]]
Series = dict[Labels, list[tuple[int, float]]]
"""Of each series the times in ms and the values, in the order of time."""


class VictoriaMetrics:
    """One database; keeps its port, and what it has on disk, over a restart."""

    def __init__(self, folder: Path, *, options: tuple[str, ...] = ()) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder / "victoria"
        self._options = options
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id; it must have been started."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it serves."""
        program = shutil.which("victoria-metrics")
        assert program is not None, "the Debian package `victoria-metrics` is missing"
        self._process = await asyncio.create_subprocess_exec(
            program,
            f"-storageDataPath={self._folder}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",
            *self._options,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(READY_S):
            while not await self._serves():
                assert self._process.returncode is None, "victoria-metrics refuses to start"
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """End it as a power cut does."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it in good order."""
        await self._end(signal.SIGTERM)

    async def write_down(self) -> None:
        """Have it bring to disk what it has: by itself it does so within seconds."""
        await self._ask("/snapshot/create")

    async def series(self, name: str) -> Series:
        """Return all that it has under a name, such as `edgewright_value`."""
        await self._ask("/internal/force_flush")
        lines = await self._ask("/api/v1/export", {"match[]": f'{{__name__="{name}"}}'})
        found: Series = {}
        for line in lines.splitlines():
            document = json.loads(line)
            labels = frozenset(document["metric"].items() - {("__name__", name)})
            samples = zip(document["timestamps"], document["values"], strict=True)
            found.setdefault(labels, []).extend(samples)
        return {labels: sorted(samples) for labels, samples in found.items()}

    async def _ask(self, path: str, form: dict[str, str] | None = None) -> str:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=READY_S)) as session,
            session.post(f"{self.url}{path}", data=form) as response,
        ):
            assert response.status == 200, (path, response.status)
            return await response.text()

    async def _serves(self) -> bool:
        try:
            await self._ask("/health")
        except aiohttp.ClientError:
            return False
        return True

    async def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        await self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
