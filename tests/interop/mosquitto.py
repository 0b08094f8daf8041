"""Eclipse Mosquitto, started on a free port with a configuration of the test's own."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

READY_S = 30.0


class Mosquitto:
    """One broker; keeps its port, and what it persisted, over a restart."""

    def __init__(self, folder: Path, *, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = _free_port()
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        (folder / "mosquitto").mkdir(exist_ok=True)

    @property
    def pid(self) -> int:
        """Process id; it must have been started."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it listens."""
        lines = [
            # Else it gives up root and cannot write into the test's folder.
            "user root",
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self.folder / 'mosquitto'}/",
            "max_queued_messages 100000",
            # Without a limit of its own, the client's receive maximum is what counts.
            "max_inflight_messages 0",
            *(self._options or ["allow_anonymous true"]),
        ]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        assert program is not None, "the Debian package `mosquitto` is missing"
        self._process = await asyncio.create_subprocess_exec(
            program, "-c", str(path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(READY_S):
            while not await self._listens():
                assert self._process.returncode is None, "mosquitto refuses its configuration"
                await asyncio.sleep(0.01)

    async def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Let it end in order, and persist what it holds."""
        assert self._process is not None
        self._process.terminate()
        await self._process.wait()

    async def publish(self, topic: str, *arguments: str) -> None:
        """Publish with `mosquitto_pub`; the arguments are its own, such as `-m 1 -q 1`."""
        command = ["mosquitto_pub", "-p", str(self.port), "-t", topic, *arguments]
        process = await asyncio.create_subprocess_exec(*command)
        async with asyncio.timeout(READY_S):
            assert await process.wait() == 0, command

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


@asynccontextmanager
async def running_mosquitto(
    folder: Path, *, options: Sequence[str] = ()
) -> AsyncIterator[Mosquitto]:
    """Run a broker until the block ends."""
    broker = Mosquitto(folder, options=options)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
