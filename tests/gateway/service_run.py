"""A whole gateway inside the test's process: real servers, real log, real socket."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.api.answers import TagAnswer
from gateway.api.client import GatewayClient
from gateway.api.requests import TagsRequest
from gateway.config import Config, read_config
from gateway.core.events import Event
from gateway.core.ports import Clock
from gateway.core.records import RecordKind, Seq
from gateway.service.run import Gateway, opened, restore_state, serve
from gateway.store import LogReader
from gateway.wire.clock import SystemClock
from gateway.wire.documents import decode_event

STOP_S = 20.0
COMPRESSOR_SHEET = """\
tag,address,type,unit,low,high
Speed,0,float32,/min,,
Flow,2,float32,m3/h,,
InletDp,4,float32,mbar,0,200
"""
HEAD = """
[gateway]
id = "pumphouse-1"
state_folder = "state"
stop_s = 2

[api]
socket = "api.sock"

[log]
group_commit_s = 0.1
"""


def compressor_table(address: str, *, name: str = "compressor", sheet: str = "k01.csv") -> str:
    return f"""
[connectors.{name}]
type = "modbus"
address = "{address}"
tags = "{sheet}"
period_ms = 50
timeout_s = 1
"""


def alarm_table(tag: str = "compressor.Flow") -> str:
    """Return an asset with an alarm above 100 that needs no time."""
    return f"""
[twins.K-01]
type = "generic"
tags = {{ flow_m3h = "{tag}" }}

[twins.K-01.alarms.flow_high]
when = "flow_m3h > 100"
"""


def written(folder: Path, text: str, **sheets: str) -> Config:
    """Write a configuration with its tag lists and read it."""
    for name, sheet in sheets.items():
        (folder / f"{name}.csv").write_text(sheet, encoding="utf-8")
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


@asynccontextmanager
async def running(
    config: Config, folder: Path, *, clock: Clock | None = None
) -> AsyncIterator[Gateway]:
    """Run a gateway inside the context, and stop it in good order."""
    stop, ready = asyncio.Event(), asyncio.Event()
    async with opened(config, folder=folder, clock=clock or SystemClock()) as gateway:
        await restore_state(gateway)
        begun_ns = time.monotonic_ns()
        service = asyncio.create_task(
            serve(gateway, stop, say=lambda _: ready.set(), begun_ns=begun_ns)
        )
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([service, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        try:
            if not service.done():
                yield gateway
        finally:
            stop.set()
            await asyncio.wait_for(service, STOP_S)


def client_of(folder: Path) -> GatewayClient:
    return GatewayClient(folder / "api.sock")


async def tags_of(folder: Path) -> dict[str, TagAnswer]:
    """Return the last values as the API shows them."""
    async with client_of(folder) as client:
        return {tag.tag: tag for tag in (await client.tags(TagsRequest(limit=1000))).tags}


def events_in(log_path: Path) -> list[Event]:
    """Return all events of a log, in order."""
    return [
        decode_event(record.body)
        for record in LogReader(log_path).records(after=Seq(0))
        if record.kind is RecordKind.EVENT
    ]
