"""The gateway's clock: what is known of it at the start, and a look at it every second."""

import asyncio

from gateway.config import Config
from gateway.core.tags import TagTable
from gateway.pipeline import Pipeline, Timekeeper
from gateway.store import RecordLog
from gateway.wire.clock import WatchedClock
from gateway.wire.kernel_clock import is_synchronised, machine_run

PERIOD_S = 1.0


def build_timekeeper(
    config: Config, store: RecordLog, table: TagTable, *, clock: WatchedClock
) -> Timekeeper:
    """Return who keeps the time, with the clock and the log as they stand."""
    return Timekeeper(
        clock,
        config.clock,
        table=table,
        opening=store.opening,
        rebasing=store.rebasing,
        machine=machine_run(),
        is_synchronised=is_synchronised,
    )


async def watch_clock(pipeline: Pipeline) -> None:
    """Have the pipeline look once a second, also while no frame comes that would show a step."""
    while True:
        await pipeline.follow_clock()
        await asyncio.sleep(PERIOD_S)
