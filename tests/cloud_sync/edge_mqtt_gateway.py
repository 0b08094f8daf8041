"""The delivering part of a gateway with a broker between it and the cloud.

Run as a program it delivers what it appended, says so, and goes on until it is killed.
"""

import asyncio
import sys
from pathlib import Path

from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from cloud_sync.edge.delivery import Delivery
from gateway.core.records import GatewayId
from gateway.wire.clock import SystemClock
from tests.cloud_sync.edge_gateway import SETTINGS, EdgeGateway
from tests.cloud_sync.edge_mqtt import GATEWAY, uplink_to


class BrokerGateway(EdgeGateway):
    """Opens the log of a folder and delivers it through a broker on loopback."""

    def __init__(self, folder: Path, *, port: int, timeout_s: float = 10.0, **more: object) -> None:
        unused = folder / "token"
        unused.write_text("any")
        super().__init__(folder, url="http://127.0.0.1:9", token_file=unused, gateway=GATEWAY)
        self.broker_uplink = uplink_to(port, timeout_s=timeout_s, **more)
        self.delivery = Delivery(
            self.broker_uplink,
            gateway=GatewayId(GATEWAY),
            reader=self.log,
            settings=SETTINGS,
            dead_letters=FolderOfDeadLetters(folder / "dead-letters"),
            clock=SystemClock(),
            note=self.note,
        )


async def be_killed(folder: Path, port: int, token_file: Path) -> None:
    """Append, deliver, and wait for the end."""
    edge = BrokerGateway(folder, port=port, token_file=token_file)
    edge.scan(50)
    await edge.log.durable(edge.log.append([]))
    delivering = asyncio.create_task(edge.delivery.run())
    while edge.delivery.status().acknowledged_samples < 1000:
        await asyncio.sleep(0.01)
    sys.stdout.write("delivered\n")
    sys.stdout.flush()
    await delivering


if __name__ == "__main__":
    asyncio.run(be_killed(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
