"""The delivering part of a gateway: a real log, the HTTP uplink and the delivery of both.

Run as a program it delivers until it is killed in the worst moment: when the cloud has confirmed a
batch and the cursor has not moved yet. It says so on its standard output.
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from cloud_sync.edge.delivery import Delivery, DeliverySettings
from cloud_sync.edge.http import HttpUplink, HttpUplinkConfig
from cloud_sync.edge.places import cursors_of
from gateway.core.arrays import frozen, index_column, status_column, time_column
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.ports import Batch, SendResult, Uplink
from gateway.core.records import GatewayId, LedgerEntry, RecordKind
from gateway.core.tags import Tag, TagId
from gateway.store import LogSettings, RecordLog
from gateway.wire.clock import SystemClock
from gateway.wire.documents import draft_event, draft_ledger_entry
from gateway.wire.frames import draft_frame

TAG_COUNT = 20
SETTINGS = DeliverySettings(linger_s=0.0, retry_first_s=0.02, batch_records_max=500)


class EdgeGateway:
    """Opens the log of a folder and delivers it to a URL."""

    def __init__(
        self,
        folder: Path,
        *,
        url: str,
        token_file: Path,
        gateway: str,
        seal_after_s: float = 3600.0,
        settings: DeliverySettings = SETTINGS,
    ) -> None:
        clock = SystemClock()
        self.log = RecordLog.open(
            folder / "log.sqlite",
            LogSettings(group_commit_s=0.02, seal_after_s=seal_after_s, block_s=0.0),
            gateway=GatewayId(gateway),
            clock=clock,
            cursors=cursors_of("cloud"),
        )
        self.table = self.log.intern(
            Tag(id=TagId(f"pumps.T{number}"), unit="bar") for number in range(TAG_COUNT)
        )
        self.events: list[Event] = []
        self.uplink = HttpUplink(
            "cloud", HttpUplinkConfig(url=url, token_file=token_file, timeout_s=10.0)
        )
        self.delivery = Delivery(
            self.uplink,
            gateway=GatewayId(gateway),
            reader=self.log,
            settings=settings,
            dead_letters=FolderOfDeadLetters(folder / "dead-letters"),
            clock=clock,
            note=self.note,
        )
        self._scan = 0

    def note(self, what: Event | LedgerEntry) -> None:
        """Put what delivery says into the log, as the service does."""
        if isinstance(what, Event):
            self.events.append(what)
            self.log.append([draft_event(what)])
        else:
            self.log.append([draft_ledger_entry(what)])

    def scan(self, count: int = 1) -> int:
        """Append frames as from a machine, and return the number of samples."""
        for _ in range(count):
            self._scan += 1
            now_ns = self._scan * 1_000_000_000
            frame = Frame(
                tag_index=index_column(range(TAG_COUNT)),
                time_ns=time_column([now_ns] * TAG_COUNT),
                value=frozen(np.sin(np.arange(TAG_COUNT) + self._scan)),
                status=status_column([0] * TAG_COUNT),
                received_ns=now_ns,
            )
            self.log.append([draft_frame(frame, epoch=self.table.epoch, kind=RecordKind.FRAME)])
        return count * TAG_COUNT


class UnluckyUplink:
    """Sends as the real one, and never comes back from samples that the cloud has confirmed."""

    def __init__(self, uplink: Uplink) -> None:
        self.name = uplink.name
        self.address = uplink.address
        self._uplink = uplink

    async def send(self, batch: Batch) -> SendResult:
        result = await self._uplink.send(batch)
        if result.sample_count == 0:
            return result
        sys.stdout.write(f"confirmed {result.accepted} {result.sample_count}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()
        return result

    async def aclose(self) -> None:
        await self._uplink.aclose()


async def be_killed(folder: Path, url: str, token_file: Path, gateway: str) -> None:
    """Append, deliver one batch, and wait for the end."""
    edge = EdgeGateway(folder, url=url, token_file=token_file, gateway=gateway)
    edge.scan(50)
    await edge.log.durable(edge.log.append([]))
    delivery = Delivery(
        UnluckyUplink(edge.uplink),
        gateway=GatewayId(gateway),
        reader=edge.log,
        settings=SETTINGS,
        dead_letters=FolderOfDeadLetters(folder / "dead-letters"),
        clock=SystemClock(),
        note=edge.note,
    )
    await delivery.run()


if __name__ == "__main__":
    asyncio.run(be_killed(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
