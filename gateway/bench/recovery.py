"""How long a log takes to be back after a kill -9; as a program, the process that is killed.

Values are random float64, which do not get smaller: the stated size is that of the database. The
time runs from the call that opens the log to the moment when a first event is durable. An event
does not wait for the group commit, so it is the log that is measured; the file is in the system's
cache, as it is when a process and not the machine has died.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from gateway.bench.serving import say
from gateway.core.arrays import frozen, index_column, status_column
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.ports import Clock
from gateway.core.records import GatewayId, RecordKind
from gateway.core.tags import Tag, TagId, TagTable
from gateway.store import LogSettings, RecordLog
from gateway.wire.child import Child
from gateway.wire.clock import SystemClock
from gateway.wire.documents import draft_event
from gateway.wire.frames import draft_frame

LOG_BYTES: Final = 32 * 1024 * 1024
TAG_COUNT: Final = 1_000
GATEWAY: Final = GatewayId("bench")
SETTINGS: Final = LogSettings(ballast_bytes=0)
LOOK_FRAMES: Final = 100
"""Between two looks at the size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the process that is killed is to do; comes as JSON on the command line."""

    path: str
    """Of the log."""
    size_bytes: int
    """It says that it is ready once the log is so large, and goes on writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What coming back took."""

    seconds: float
    log_bytes: int
    """Of the database and its write-ahead log when the process was killed."""


async def measure_recovery(folder: Path, clock: Clock, *, size_bytes: int = LOG_BYTES) -> Recovery:
    """Have a log written, kill its writer, and open it; writes into an empty folder.

    Raises:
        GatewayError: the writer does not come so far.
    """
    path = folder / "killed.db"
    order = Order(path=str(path), size_bytes=size_bytes)
    child = Child(
        "writer", [json.dumps(asdict(order))], folder=folder, module="gateway.bench.recovery"
    )
    await child.start()
    await child.kill()
    log_bytes = path.stat().st_size + path.with_name("killed.db-wal").stat().st_size
    event = Event(
        time_ns=clock.now_ns(),
        source="gateway",
        condition="benchmark",
        severity=1,
        text="The log is back.",
    )
    begun_s = time.monotonic()
    log = RecordLog.open(path, SETTINGS, gateway=GATEWAY, clock=clock)
    await log.durable(log.append([draft_event(event)]))
    seconds = time.monotonic() - begun_s
    assert not log.opening.was_clean
    await log.close()
    return Recovery(seconds=seconds, log_bytes=log_bytes)


def _frames(table: TagTable, *, start_ns: int) -> Iterator[Frame]:
    rng = np.random.default_rng(5)
    tag_index = index_column(range(len(table.tags)))
    time_ns = start_ns
    while True:
        time_ns += 1_000_000_000
        yield Frame(
            tag_index=tag_index,
            time_ns=np.full(len(tag_index), time_ns, dtype=np.int64),
            value=frozen(rng.random(len(tag_index))),
            status=status_column(np.zeros(len(tag_index))),
            received_ns=time_ns,
        )


async def _write(order: Order) -> None:
    """Append frames until killed."""
    clock = SystemClock()
    log = RecordLog.open(Path(order.path), SETTINGS, gateway=GATEWAY, clock=clock)
    table = log.intern(Tag(id=TagId(f"t{number}")) for number in range(TAG_COUNT))
    is_ready = False
    for number, frame in enumerate(_frames(table, start_ns=clock.now_ns())):
        log.append([draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)])
        await log.room()
        if not is_ready and number % LOOK_FRAMES == 0:
            used_bytes = (await log.stats()).used_bytes
            is_ready = used_bytes >= order.size_bytes
            if is_ready:
                say({"used_bytes": used_bytes})


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_write(Order(**json.loads(sys.argv[1]))))
