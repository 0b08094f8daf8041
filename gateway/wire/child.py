"""Programs of ours as processes of their own: start, wait for the first word, measure, stop."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from gateway.core.errors import GatewayError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Child:
    """One `edgewright` command as a process of its own, its messages in a file."""

    def __init__(
        self, name: str, arguments: list[str], *, folder: Path, module: str = "gateway.cli"
    ) -> None:
        """Prepare a command.

        Args:
            name: For people, and for the name of the file with its messages.
            arguments: What follows `edgewright`, or the module, on the command line.
            folder: Where `NAME.log` is written.
            module: What to run instead of the command.
        """
        self.name = name
        self._module = module
        self._arguments = arguments
        self.log_path = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._rss_mb_max = 0.0
        self._cpu_s_before = 0.0
        self._cpu_s = 0.0

    async def start(self) -> dict[str, object]:
        """Start it and return the JSON object that it prints once it is ready.

        Raises:
            GatewayError: it stopped or said nothing; the message carries its last words.
        """
        with self.log_path.open("ab") as messages:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                *self._arguments,
                stdout=asyncio.subprocess.PIPE,
                stderr=messages,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await self._process.stdout.readline()
            return dict(json.loads(line))
        except (TimeoutError, json.JSONDecodeError) as error:
            raise GatewayError(f"{self.name} did not start:\n{self.last_words()}") from error

    @property
    def pid(self) -> int:
        """Process id; the process must have been started."""
        assert self._process is not None
        return self._process.pid

    @property
    def has_stopped(self) -> bool:
        """Whether it was started and is no longer there."""
        return self._process is not None and self._process.returncode is not None

    def measure(self) -> None:
        """Take note of its memory and processor time; call now and then while it runs."""
        if self._process is None or self.has_stopped:
            return
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return
        resident = next((line for line in status.splitlines() if line.startswith("VmRSS")), "")
        if resident:
            self._rss_mb_max = max(self._rss_mb_max, int(resident.split()[1]) / 1024)
        # Fields 14 and 15 of proc(5) stat, counted behind the command's closing bracket.
        fields = stat.rpartition(")")[2].split()
        self._cpu_s = self._cpu_s_before + (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    @property
    def rss_mb_max(self) -> float:
        """Most resident memory seen, in MB."""
        return round(self._rss_mb_max, 1)

    @property
    def cpu_s(self) -> float:
        """Processor time used over all its starts, in seconds, children apart."""
        return round(self._cpu_s, 2)

    async def stop(self) -> dict[str, object]:
        """Ask it to stop, wait, and return the JSON object of its last line, if any.

        Raises:
            GatewayError: it does not stop in time (it is killed first), or stops with a failure.
        """
        return await self._last_line(await self._end(signal.SIGTERM))

    async def finish(self, *, deadline_s: float) -> dict[str, object]:
        """Wait until it ends by itself, and return the JSON object of its last line.

        Raises:
            GatewayError: it does not end in time (it is killed), or ends with a failure.
        """
        assert self._process is not None
        try:
            async with asyncio.timeout(deadline_s):
                code = await self._process.wait()
        except TimeoutError as error:
            await self.kill()
            raise GatewayError(f"{self.name} did not end:\n{self.last_words()}") from error
        return await self._last_line(code)

    async def _last_line(self, code: int) -> dict[str, object]:
        if code != 0:
            raise GatewayError(f"{self.name} stopped with code {code}:\n{self.last_words()}")
        assert self._process is not None
        assert self._process.stdout is not None
        lines = (await self._process.stdout.read()).splitlines()
        return dict(json.loads(lines[-1])) if lines else {}

    async def kill(self) -> None:
        """End it with kill -9, as a power cut would."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> int:
        if self._process is None or self._process.returncode is not None:
            return 0 if self._process is None else int(self._process.returncode or 0)
        self.measure()
        self._cpu_s_before = self._cpu_s
        self._process.send_signal(how)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                return await self._process.wait()
        except TimeoutError as error:
            self._process.kill()
            await self._process.wait()
            raise GatewayError(f"{self.name} did not stop:\n{self.last_words()}") from error

    def last_words(self) -> str:
        """Return the end of its messages."""
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")[-2_000:]
        except OSError:
            return "(no messages)"
