"""How fast a backlog goes out while live records keep coming, and what the live ones wait.

A real log with an hour of the load in it, sealed as it is after an outage; the gateway's own
delivery and HTTP uplink; and at the other end, in a process of its own, the cloud: it confirms a
batch once it is committed there. Without pyarrow, which the cloud needs, a far end takes its place
that opens every record and keeps nothing.

A sample is drained when its batch is confirmed. The age of a live record runs from its receipt to
its confirmation, so the group commit of the log, a second by default, is in it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from cloud_sync.cloud.setup import CONFIGURATION, HAND_OVER, TOKEN, create_cloud
from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from cloud_sync.edge.delivery import Delivery, DeliverySettings
from cloud_sync.edge.http import HttpUplink, HttpUplinkConfig
from gateway.bench.arrow import has_arrow
from gateway.bench.serving import HOST
from gateway.core.arrays import FloatArray, frozen, index_column, status_column
from gateway.core.cursors import Scope
from gateway.core.errors import GatewayError
from gateway.core.frame import Frame
from gateway.core.ports import Batch, Clock, SendResult, Uplink
from gateway.core.records import Draft, GatewayId, RecordKind, Seq
from gateway.core.tags import Tag, TagId, TagTable
from gateway.store import LogSettings, RecordLog
from gateway.wire.child import Child
from gateway.wire.frames import decode_frame, draft_frame

GATEWAY: Final = GatewayId("bench")
UPLINK: Final = "cloud"
TAG_COUNT: Final = 100
FRAMES_PER_S: Final = 10
LIVE_PER_S: Final = TAG_COUNT * FRAMES_PER_S
"""Samples a second."""
OUTAGE_S: Final = 3600
DRAIN_S_MAX: Final = 60.0
LOG: Final = LogSettings(seal_after_s=0.0, block_s=0.0, ballast_bytes=0)
NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What was seen while the backlog went out."""

    far_end: str
    """What took the batches."""
    backlog_samples: int
    seconds: float
    """Until the whole backlog was confirmed."""
    live_age_p99_s: float
    """Of the live records that were received in that time."""

    @property
    def samples_per_s(self) -> float:
        """Of the backlog."""
        return self.backlog_samples / self.seconds

    @property
    def ratio_to_live(self) -> float:
        """How many times as fast as the load the backlog went out."""
        return self.samples_per_s / LIVE_PER_S


class WatchedUplink:
    """Sends as the real one, and takes note of what is confirmed when."""

    def __init__(self, inner: Uplink, *, backlog_end: Seq, backlog_samples: int) -> None:
        """Watch an uplink.

        Args:
            inner: Does the work.
            backlog_end: Position of the last record of the backlog.
            backlog_samples: Raw samples up to there.
        """
        self._inner = inner
        self._backlog_end = backlog_end
        self._left = backlog_samples
        self.drained_s: float | None = None
        """When the whole backlog was confirmed, on the monotonic clock."""
        self.ages_s: list[float] = []
        """Of the live records, in the order of their confirmation."""

    @property
    def name(self) -> str:
        """Name of the uplink and its cursor."""
        return self._inner.name

    @property
    def address(self) -> str:
        """Where it delivers to."""
        return self._inner.address

    async def send(self, batch: Batch) -> SendResult:
        """Deliver one batch."""
        result = await self._inner.send(batch)
        now_ns = time.time_ns()
        live = 0
        for record in batch.records[: result.accepted]:
            if record.seq > self._backlog_end and record.kind is RecordKind.FRAME:
                frame, _ = decode_frame(record.body)
                live += len(frame)
                self.ages_s.append((now_ns - frame.received_ns) / NS_PER_S)
        self._left -= result.sample_count - live
        if self._left <= 0 and self.drained_s is None:
            self.drained_s = time.monotonic()
        return result

    async def aclose(self) -> None:
        """Close connections."""
        await self._inner.aclose()


async def measure_drain(folder: Path, clock: Clock, *, outage_s: int = OUTAGE_S) -> Drain:
    """Drain a backlog; writes into an empty folder.

    Args:
        folder: For the log and the cloud.
        clock: The time.
        outage_s: How much of the load is waiting.
    Raises:
        GatewayError: the backlog is not drained in time.
    """
    log = RecordLog.open(
        folder / "log.db", LOG, gateway=GATEWAY, clock=clock, cursors={UPLINK: Scope.ALL}
    )
    table = log.intern(Tag(id=TagId(f"t{number}")) for number in range(TAG_COUNT))
    backlog_samples = await _fill(log, table, outage_s, end_ns=clock.now_ns())
    async with _far_end(folder, clock) as (far_end, config):
        uplink = WatchedUplink(
            HttpUplink(UPLINK, config), backlog_end=log.end, backlog_samples=backlog_samples
        )
        delivery = _delivery(uplink, log, folder, clock)
        seconds = await _drained(delivery, uplink, log, table, clock)
        await uplink.aclose()
    await log.close()
    return Drain(
        far_end=far_end,
        backlog_samples=backlog_samples,
        seconds=seconds,
        live_age_p99_s=float(np.percentile(uplink.ages_s, 99)),
    )


async def _drained(
    delivery: Delivery, uplink: WatchedUplink, log: RecordLog, table: TagTable, clock: Clock
) -> float:
    """Deliver until the backlog and every live record received meanwhile are confirmed."""
    stop = asyncio.Event()
    begun_s = time.monotonic()
    delivering = asyncio.create_task(delivery.run())
    live = asyncio.create_task(_live(log, table, clock, stop))
    try:
        async with asyncio.timeout(DRAIN_S_MAX):
            while uplink.drained_s is None:
                await asyncio.sleep(0.01)
            drained_s = uplink.drained_s
            stop.set()
            count = await live
            while len(uplink.ages_s) < count:
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise GatewayError(f"the backlog was not drained in {DRAIN_S_MAX:g} s") from error
    finally:
        for task in (delivering, live):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return drained_s - begun_s


async def _live(log: RecordLog, table: TagTable, clock: Clock, stop: asyncio.Event) -> int:
    """Append the load as it comes until told to stop, and return the number of frames."""
    count = 0
    due_s = time.monotonic()
    for value in _values(int(DRAIN_S_MAX) * FRAMES_PER_S):
        if stop.is_set():
            break
        log.append([_draft(table, value, last_ns=clock.now_ns())])
        count += 1
        due_s += 1 / FRAMES_PER_S
        await asyncio.sleep(max(due_s - time.monotonic(), 0))
    return count


async def _fill(log: RecordLog, table: TagTable, outage_s: int, *, end_ns: int) -> int:
    """Store and seal the load of an outage, a frame a second; returns the number of samples."""
    values = _values(outage_s * FRAMES_PER_S)
    for second, value in enumerate(np.split(values, outage_s), 1):
        log.append([_draft(table, value, last_ns=end_ns + (second - outage_s) * NS_PER_S)])
        await log.room()
    await log.durable(log.append([]))
    await log.tidy()
    return values.size


def _draft(table: TagTable, value: FloatArray, *, last_ns: int) -> Draft:
    """Return some scans of all tags, of shape (n, TAG_COUNT) or one, as an entry for the log."""
    scans = value.size // TAG_COUNT
    time_ns = last_ns - np.arange(scans)[::-1] * (NS_PER_S // FRAMES_PER_S)
    frame = Frame(
        tag_index=index_column(np.tile(np.arange(TAG_COUNT), scans)),
        time_ns=np.repeat(time_ns, TAG_COUNT),
        value=frozen(value.ravel()),
        status=status_column(np.zeros(value.size)),
        received_ns=last_ns,
    )
    return draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)


def _values(count: int) -> FloatArray:
    """Return random walks with one decimal, shape (count, TAG_COUNT)."""
    steps = np.random.default_rng(4).normal(0, 0.3, (count, TAG_COUNT))
    return np.round(200 + steps.cumsum(axis=0), 1)


def _delivery(uplink: Uplink, log: RecordLog, folder: Path, clock: Clock) -> Delivery:
    return Delivery(
        uplink,
        gateway=GATEWAY,
        reader=log,
        settings=DeliverySettings(),
        dead_letters=FolderOfDeadLetters(folder / "dead-letters"),
        clock=clock,
        note=lambda _: None,
    )


@asynccontextmanager
async def _far_end(folder: Path, clock: Clock) -> AsyncIterator[tuple[str, HttpUplinkConfig]]:
    """Start what takes the batches; yields its name and how it is reached."""
    if has_arrow():
        create_cloud(folder / "cloud", gateways=[GATEWAY], host=HOST, port=0, clock=clock)
        name, token_file = "the cloud", folder / "cloud" / HAND_OVER / GATEWAY / TOKEN
        arguments = ["cloud", "run", "-c", str(folder / "cloud" / CONFIGURATION), "--json"]
        child = Child("cloud", arguments, folder=folder)
        url = str((await child.start())["url"])
        config = HttpUplinkConfig(url=url, token_file=token_file)
    else:
        name = "a far end that keeps nothing"
        child = Child("far_end", [], folder=folder, module="gateway.bench.far_end")
        config = HttpUplinkConfig(url=f"http://{HOST}:{(await child.start())['port']}")
    try:
        yield name, config
    finally:
        await child.stop()
