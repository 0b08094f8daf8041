"""The life of the service's process: one run after another, each with its own configuration."""

import asyncio
import gc
import signal
import sys
import time
from pathlib import Path

from gateway.core.errors import ConfigError, StoreError
from gateway.health import Notifier
from gateway.service.build import import_protocols
from gateway.service.changes import Changes
from gateway.service.run import Gateway, Say, opened, restore_state, serve
from gateway.wire.clock import SystemClock

SWITCH_INTERVAL_S = 0.001
"""A worker thread that holds the interpreter gives it up after this: the loop decides in 10 ms."""


async def run_gateway(path: Path, *, say: Say) -> None:
    """Run a gateway until SIGTERM or SIGINT; SIGHUP applies its file again.

    Args:
        path: The configuration file.
        say: Told each time when all runs, and once after the last commit.
    Raises:
        ConfigError: the file is wrong, or the parts do not fit together.
        StoreError: the log cannot be opened.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    clock = SystemClock()
    changes = Changes(path, clock=clock)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, changes.end)
    loop.add_signal_handler(signal.SIGHUP, changes.want_file)
    while True:
        try:
            last = await _one_run(changes, clock=clock, say=say)
        except (ConfigError, StoreError) as error:
            if not changes.is_on_trial:
                raise
            changes.leave(f"it did not start: {error}")
            continue
        if changes.is_ended:
            break
    say(last)


async def _one_run(changes: Changes, *, clock: SystemClock, say: Say) -> dict[str, object]:
    """Run one configuration until the end or the next one; returns the figures of the run."""
    begun_ns = time.monotonic_ns()
    # A change is well within the watchdog's time, which begins anew with it.
    Notifier.from_environment().alive()
    changes.begin_run()
    config = changes.config
    folder = changes.folder
    async with opened(config, folder=folder, clock=clock, changes=changes) as gateway:
        await restore_state(gateway)
        await asyncio.to_thread(import_protocols, config)
        # What is there now stays: a full collection over it would stop every decision for longer
        # than one may take (measured: 65 ms with the OPC UA types loaded).
        gc.collect()
        gc.freeze()
        try:
            await serve(gateway, changes.stop, say=say, begun_ns=begun_ns)
        finally:
            # What the next run does not need is let go.
            gc.unfreeze()
    return _summary(gateway)


def _summary(gateway: Gateway) -> dict[str, object]:
    """Return the last figures of this start, all commits made."""
    books = gateway.view.books()
    return {
        "stopped": True,
        "boot": gateway.store.boot,
        "received": gateway.ingress.received_samples,
        "stored": books.stored - gateway.gauge.stored_before,
        "lost": books.lost,
        "acknowledged": sum(each.acknowledged_samples for each in gateway.view.uplinks()),
        "quarantined_frames": gateway.pipeline.quarantined_frames,
        "decision_latency_ms": {
            "p50": round(gateway.pipeline.latency.percentile_ms(50), 3),
            "p99": round(gateway.pipeline.latency.percentile_ms(99), 3),
            "count": gateway.pipeline.latency.count,
        },
    }
