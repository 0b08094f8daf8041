"""A gateway as a process of its own whose wall clock is set by a file: seconds beside the real one.

Run as `python -m tests.crash.clocked_gateway gateway.toml clock_file`; it says the same as
`edgewright run --json` does.
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import structlog

from gateway.config import read_config
from gateway.service.run import opened, restore_state, serve
from gateway.wire.clock import SystemClock


class FileClock(SystemClock):
    """The system's clock, with a wall time that a file moves."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now_ns(self) -> int:
        return super().now_ns() + int(self._path.read_text(encoding="ascii")) * 1_000_000_000


def set_clock(path: Path, *, shift_s: int) -> None:
    """Set the wall clock of a gateway so many seconds beside the real one, at one instant."""
    new = path.with_suffix(".new")
    new.write_text(str(shift_s), encoding="ascii")
    new.replace(path)


async def run(config_path: Path, clock_path: Path) -> None:
    """Run until SIGTERM."""
    begun_ns, stop = time.monotonic_ns(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    config = read_config(config_path)
    async with opened(config, folder=config_path.parent, clock=FileClock(clock_path)) as gateway:
        await restore_state(gateway)
        await serve(gateway, stop, say=say, begun_ns=begun_ns)
    say({"stopped": True})


def say(content: dict[str, object]) -> None:
    """Print one line for whoever started this."""
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(run(Path(sys.argv[1]), Path(sys.argv[2])))
