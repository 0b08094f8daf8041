"""A server that answers as a database, and an uplink to it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from cloud_sync.edge.influxdb import InfluxdbUplink, InfluxdbUplinkConfig
from gateway.core.events import Event
from gateway.core.ports import Batch
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch
from gateway.wire.clock import SystemClock
from gateway.wire.frames import draft_frame
from tests.cloud_sync.edge_doubles import event_body, frame_of, tag_table
from tests.cloud_sync.edge_server import Handler, Server, answering
from tests.naive.line_protocol import Point, parse


def batch_of(count: int) -> Batch:
    """Return one event and frames with two samples each."""
    records = [Record(boot=Boot(1), seq=Seq(1), kind=RecordKind.EVENT, body=event_body("hello"))]
    for number in range(2, count + 1):
        frame = frame_of([float(number), -1.0], time_ns=1_000 * number)
        draft = draft_frame(frame, epoch=ConfigEpoch(1), kind=RecordKind.FRAME)
        records.append(Record(boot=Boot(1), seq=Seq(number), kind=draft.kind, body=draft.body))
    return Batch(
        gateway="pumphouse-1",
        records=tuple(records),
        tables=(tag_table(),),
    )


async def written(_request: web.Request) -> web.StreamResponse:
    """Answer as a database that has taken all points."""
    return web.Response(status=204)


def complaint(status: int, message: str, *, code: str = "invalid") -> Handler:
    """Answer as InfluxDB 2 that says what is wrong."""
    return answering(status, json.dumps({"code": code, "message": message}))


def points_in(bodies: list[bytes]) -> list[Point]:
    """Return all points that were sent; aiohttp has unpacked them, if they were packed."""
    return [point for body in bodies for point in parse(body.decode())]


class SteppedClock(SystemClock):
    """Stands ahead by what a test says."""

    ahead_s = 0.0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + int(self.ahead_s * 1e9)


class Site:
    """A server, an uplink to it, and what the uplink had to tell."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.token_file = folder / "token"
        self.token_file.write_text("s3cret\n")
        self.clock = SteppedClock()
        self.events: list[Event] = []
        self.uplinks: list[InfluxdbUplink] = []

    def uplink(self, *, lines_max: int = 10_000, timeout_s: float = 5.0) -> InfluxdbUplink:
        config = InfluxdbUplinkConfig(
            url=f"http://127.0.0.1:{self.server.port}/",
            org="acme",
            bucket="plant",
            token_file=self.token_file,
            tags={"site": "ulm"},
            lines_max=lines_max,
            timeout_s=timeout_s,
        )
        uplink = InfluxdbUplink("influx", config, note=self.events.append, clock=self.clock)
        self.uplinks.append(uplink)
        return uplink


@asynccontextmanager
async def running_site(folder: Path) -> AsyncIterator[Site]:
    """Serve until the block ends."""
    server = Server(written)
    await server.start()
    site = Site(server, folder)
    try:
        yield site
    finally:
        for uplink in site.uplinks:
            await uplink.aclose()
        await server.stop()
