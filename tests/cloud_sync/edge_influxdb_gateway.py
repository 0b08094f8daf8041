"""The delivering part of a gateway with a database as its far end.

Run as a program it delivers until it is killed in the worst moment: when the database has taken a
batch and the cursor has not moved yet. It says so on its standard output.
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.influxdb import InfluxdbUplink, InfluxdbUplinkConfig
from gateway.core.arrays import frozen, index_column, status_column, time_column
from gateway.core.frame import Frame
from gateway.core.ports import Uplink
from gateway.core.quality import Status
from gateway.core.records import GatewayId, RecordKind
from gateway.wire.clock import SystemClock
from gateway.wire.frames import draft_frame
from tests.cloud_sync.edge_gateway import SETTINGS, TAG_COUNT, EdgeGateway, UnluckyUplink

GATEWAY = "pumphouse-1"
FIRST_MS = 1_700_000_000_000
Sample = tuple[int, float | None, int]
"""Time in ms, value, quality."""


class DatabaseGateway(EdgeGateway):
    """Opens the log of a folder and delivers it to a database; knows all that it appended."""

    def __init__(self, folder: Path, *, url: str, seal_after_s: float = 3600.0) -> None:
        token_file = folder / "token"
        token_file.write_text("any")
        super().__init__(
            folder, url=url, token_file=token_file, gateway=GATEWAY, seal_after_s=seal_after_s
        )
        config = InfluxdbUplinkConfig(url=url, bucket="plant", timeout_s=5.0)
        self.database = InfluxdbUplink("cloud", config, note=self.note, clock=SystemClock())
        self.delivery = self.delivery_to(self.database, folder)
        self.offered: dict[str, list[Sample]] = {tag.id: [] for tag in self.table.tags}
        self._step = 0

    def delivery_to(self, uplink: Uplink, folder: Path) -> Delivery:
        """Return a delivery of this log."""
        return Delivery(
            uplink,
            gateway=GatewayId(GATEWAY),
            reader=self.log,
            settings=SETTINGS,
            dead_letters=FolderOfDeadLetters(folder / "dead-letters"),
            clock=SystemClock(),
            note=self.note,
        )

    def offer(self, count: int) -> None:
        """Append frames, one a second, of all tags; each hundredth is a Bad edge."""
        for _ in range(count):
            self._step += 1
            is_bad = self._step % 100 == 0
            time_ms = FIRST_MS + 1000 * self._step
            values = np.round(np.arange(TAG_COUNT) + self._step / 100, 2)
            if is_bad:
                values[:] = np.nan
            frame = Frame(
                tag_index=index_column(range(TAG_COUNT)),
                time_ns=time_column([time_ms * 1_000_000] * TAG_COUNT),
                value=frozen(np.array(values, dtype=np.float64)),
                status=status_column([Status.BAD_NO_COMMUNICATION if is_bad else 0] * TAG_COUNT),
                received_ns=time_ms * 1_000_000,
                is_received=not is_bad,
            )
            kind = RecordKind.STATED if is_bad else RecordKind.FRAME
            self.log.append([draft_frame(frame, epoch=self.table.epoch, kind=kind)])
            for tag, value in zip(self.table.tags, values.tolist(), strict=True):
                sample = (time_ms, None, 2) if is_bad else (time_ms, value, 0)
                self.offered[tag.id].append(sample)

    async def offered_safely(self, count: int) -> None:
        """Append frames, and return when they are committed."""
        self.offer(count)
        await self.log.durable(self.log.append([]))


async def be_killed(folder: Path, url: str) -> None:
    """Append, deliver one batch, and wait for the end."""
    edge = DatabaseGateway(folder, url=url)
    await edge.offered_safely(250)
    await edge.delivery_to(UnluckyUplink(edge.database), folder).run()


if __name__ == "__main__":
    asyncio.run(be_killed(Path(sys.argv[1]), sys.argv[2]))
