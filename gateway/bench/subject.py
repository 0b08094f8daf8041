"""The gateway that is measured, alone in its process; `python -m gateway.bench.subject`.

Either the whole service (connectors, pipeline, log, uplink, local API), or the connectors alone,
their frames thrown away. After a warm-up it measures for a time, prints what it found, and ends in
good order, so that everything it received is delivered.
"""

import asyncio
import gc
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from gateway.bench.measured import Counts, Measured, counts_now, measured_between
from gateway.bench.serving import say
from gateway.config import read_config
from gateway.core.arrays import IndexArray, index_column
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.gaps import NO_GAPS, Gaps, Healing
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.pipeline import LiveValues
from gateway.service.build import build_parts
from gateway.service.life import SWITCH_INTERVAL_S
from gateway.service.run import opened, restore_state, serve
from gateway.wire.clock import SystemClock

AGES_MAX: Final = 1_000_000
"""Samples whose age is kept; beyond that, no more are."""
CONNECT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do; comes as JSON on the command line."""

    config: str
    """Path of the configuration."""
    warm_s: float
    window_s: float
    is_whole: bool
    """The whole service; otherwise the connectors alone."""


class AgeProbe:
    """Takes the ages of samples as they have been processed."""

    def __init__(self, clocks: IndexArray, *, has_source_times: bool) -> None:
        """Look at the tags that are clocks (ms since 1970), or at the source times."""
        self._clocks = clocks
        self._has_source_times = has_source_times
        self.ages_ms: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
        self._count = 0
        self.is_open = False

    def look(self, frame: Frame) -> None:
        """Note how old a frame's samples are now."""
        if not self.is_open or not frame.is_received or self._count > AGES_MAX:
            return
        now_ms = time.time_ns() / 1e6
        if self._has_source_times:
            ages = now_ms - frame.time_ns / 1e6
        elif len(self._clocks):
            ages = now_ms - frame.value[np.isin(frame.tag_index, self._clocks)]
        else:
            return
        self._count += len(ages)
        self.ages_ms.append(ages)

    def percentile_ms(self, percent: float) -> float | None:
        """Return a percentile; None where nothing tells the age."""
        if not self.ages_ms:
            return None
        return round(float(np.percentile(np.concatenate(self.ages_ms), percent)), 3)


class _ProbedValues(LiveValues):
    """The last stage of a frame's way; passes it on to the gateway's own."""

    def __init__(self, table: TagTable, inner: LiveValues, look: Callable[[Frame], None]) -> None:
        super().__init__(table)
        self._inner = inner
        self._look = look

    def update(self, frame: Frame) -> None:
        """Look at a frame behind its decision."""
        self._look(frame)
        self._inner.update(frame)


class _NullSink:
    """Implements `Sink`; counts."""

    def __init__(self, look: Callable[[Frame], None]) -> None:
        self.samples = 0
        self.skipped_samples = 0
        self.is_connected = asyncio.Event()
        self._look = look

    async def emit(self, frame: Frame) -> None:
        """Count and forget."""
        if frame.is_received:
            self.samples += len(frame)
            self._look(frame)

    def connected(self) -> None:
        """Let the measurement begin."""
        self.is_connected.set()

    def skipped(self, *, from_ns: int, to_ns: int, count: int) -> None:
        """Count."""
        self.skipped_samples += count

    def note(self, event: Event) -> None:
        """Nobody listens."""

    def gaps(self) -> Gaps:
        """Return none: nothing is kept."""
        return NO_GAPS

    def healed(self, healing: Healing) -> None:
        """Nothing was missing."""


async def measure_whole(order: Order) -> Measured:
    """Run the whole service."""
    path = Path(order.config)
    config = read_config(path)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    stop, ready = asyncio.Event(), asyncio.Event()
    async with opened(config, folder=path.parent, clock=SystemClock()) as gateway:
        probe = _probe(gateway.table)
        gateway.pipeline.values = _ProbedValues(gateway.table, gateway.pipeline.values, probe.look)
        await restore_state(gateway)
        serving = asyncio.create_task(
            serve(gateway, stop, say=lambda _: ready.set(), begun_ns=time.monotonic_ns())
        )

        def counts() -> Counts:
            devices = [each.status() for each in gateway.supervisors]
            return counts_now(
                gateway.ingress.received_samples, sum(each.skipped_count for each in devices)
            )

        async with asyncio.timeout(CONNECT_S):
            await ready.wait()
            while any(not each.status().sample_count for each in gateway.supervisors):
                await asyncio.sleep(0.05)
        _freeze()
        measured = await _window(order, probe, counts)
        stop.set()
        await serving
    return measured


async def measure_alone(order: Order) -> Measured:
    """Run the connectors' sessions and throw away what they give."""
    path = Path(order.config)
    parts = build_parts(read_config(path), folder=path.parent, clock=SystemClock())
    table = TagTable.build(parts.tags, epoch=ConfigEpoch(0))
    probe = _probe(table)
    sinks, sessions = [], []
    for connector in parts.connectors:
        sink = _NullSink(probe.look)
        indices = table.indices([tag.id for tag in connector.tags])
        sinks.append(sink)
        sessions.append(asyncio.create_task(connector.session(sink, indices)))
    async with asyncio.timeout(CONNECT_S):
        for sink in sinks:
            await sink.is_connected.wait()
    _freeze()
    measured = await _window(
        order,
        probe,
        lambda: counts_now(
            sum(sink.samples for sink in sinks), sum(sink.skipped_samples for sink in sinks)
        ),
    )
    for session in sessions:
        session.cancel()
    await asyncio.wait(sessions)
    return measured


def _freeze() -> None:
    """Do as the service does: what was loaded stays, and is not gone through again and again."""
    gc.collect()
    gc.freeze()


async def _window(order: Order, probe: AgeProbe, counts: Callable[[], Counts]) -> Measured:
    await asyncio.sleep(order.warm_s)
    with _looking(probe):
        before = counts()
        await asyncio.sleep(order.window_s)
        after = counts()
    return replace(
        measured_between(before, after),
        age_p50_ms=probe.percentile_ms(50),
        age_p99_ms=probe.percentile_ms(99),
    )


@contextmanager
def _looking(probe: AgeProbe) -> Iterator[None]:
    probe.is_open = True
    yield
    probe.is_open = False


def _probe(table: TagTable) -> AgeProbe:
    clocks = [i for i, tag in enumerate(table.tags) if ".clock" in tag.id]
    has_source_times = any(tag.id.startswith("opcua.") for tag in table.tags)
    return AgeProbe(index_column(clocks), has_source_times=has_source_times)


def _main() -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    order = Order(**json.loads(sys.argv[1]))
    measured = asyncio.run(measure_whole(order) if order.is_whole else measure_alone(order))
    say(asdict(measured))


if __name__ == "__main__":
    _main()
