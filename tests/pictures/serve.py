"""Serve the small plant of the tests on a socket: `python -m tests.pictures.serve SOCKET`."""

import asyncio
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from gateway.api.server import ApiConfig, ApiServer
from gateway.core.arrays import frozen
from tests.gateway.fake_plant import S
from tests.gateway.fake_view import FakeView


async def serve(socket: Path) -> None:
    """Serve until interrupted; the values move, and the clock runs."""
    view = FakeView()
    async with ApiServer(ApiConfig(socket=socket), view).serving():
        for second in range(sys.maxsize):
            await asyncio.sleep(1.0)
            view.clock_ns += S
            frame = view.frame_at(23, of=24)
            wobble = 1 + 0.004 * math.sin(second) * np.cos(np.arange(len(frame)))
            view.take_frame(replace(frame, value=frozen(frame.value * wobble)))


if __name__ == "__main__":
    try:
        asyncio.run(serve(Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(0)
