"""The far end of the benchmarks' uplink; `python -m gateway.bench.far_end`.

It takes batches as the cloud does, opens every record, and counts the samples; it keeps nothing.
"""

import asyncio
import time

from aiohttp import web

from cloud_sync.cloud.messages import Accepted
from cloud_sync.cloud.unpack import unpack
from gateway.bench.serving import HOST, serve

BATCH_SIZE_BYTES_MAX = 64 * 1024 * 1024
SAMPLES_MAX = 10_000_000


class FarEnd:
    """Counts what it is given; a record that comes twice counts once."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.delivered = 0
        self.timeline: list[tuple[float, int]] = []
        """Samples so far, after each batch; on the clock that all processes share."""
        self._known: set[tuple[int, int]] = set()

    async def take(self, request: web.Request) -> web.Response:
        """Take one batch."""
        unpacked = unpack(await request.read(), sample_count_max=SAMPLES_MAX)
        duplicates = 0
        for identities in unpacked.records:
            if self._known.issuperset(identities):
                duplicates += 1
        fresh = [piece for piece in unpacked.pieces if piece.identity not in self._known]
        self.delivered += sum(
            len(piece.stored.frame) for piece in fresh if piece.stored.frame.is_received
        )
        self.timeline.append((time.monotonic(), self.delivered))
        self._known.update(identity for some in unpacked.records for identity in some)
        answer = Accepted(
            accepted=len(unpacked.records),
            sample_count=unpacked.raw_sample_count,
            duplicate_count=duplicates,
        )
        return web.Response(text=answer.model_dump_json(), content_type="application/json")


async def _main() -> None:
    far_end = FarEnd()

    async def start() -> int:
        app = web.Application(client_max_size=BATCH_SIZE_BYTES_MAX)
        app.router.add_post("/v1/batches", far_end.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        return int(runner.addresses[0][1])

    await serve(start, lambda: {"delivered": far_end.delivered, "timeline": far_end.timeline})


if __name__ == "__main__":
    asyncio.run(_main())
