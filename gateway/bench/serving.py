"""What the servers of the benchmarks have in common: say the port, serve, say what was done."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

HOST: Final = "127.0.0.1"
SERVING_S_MAX: Final = 600.0
"""A server that nobody stops ends by itself."""

Start = Callable[[], Awaitable[int]]
Count = Callable[[], Mapping[str, object]]


async def serve(start: Start, count: Count) -> None:
    """Run a server until it is told to stop.

    Args:
        start: Makes it listen and returns the port, which is printed.
        count: Returns what it did, which is printed at the end.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(SERVING_S_MAX, stop.set)
    say({"port": await start()})
    await stop.wait()
    say(count())


def say(document: Mapping[str, object]) -> None:
    """Print one line of JSON for the process that started this one."""
    print(json.dumps(document), flush=True)  # noqa: T201 - the way to the parent
