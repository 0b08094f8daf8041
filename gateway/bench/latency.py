"""How long a decision takes: from a frame at the ingress queue to the alarm published.

Frames enter a real pipeline, with twins, detectors, alarms and a log that commits beside it, one at
a time as from a machine. Every one switches an alarm, so every one is a decision. A decision does
not wait for the disk; what else the process does, the log's writer above all, is in the figures.
Decoding a response is not: it depends on the protocol.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from analytics.assessment import Assessment
from analytics.cases import CaseBook, CaseSettings
from analytics.vibration.watch import VibrationWatch
from gateway.bench.figures import Figure
from gateway.bench.plant import Readings, measured_tags, new_chain
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.ports import Clock
from gateway.core.records import GatewayId
from gateway.pipeline import Chain, Ingress, LiveValues, Pipeline, Processor
from gateway.store import LogSettings, RecordLog

NOTIFICATION_COUNT: Final = 1_000
FRAME_COUNT: Final = 250
PAUSE_S: Final = 0.005
"""Between two frames."""
NOTIFICATION_STEP_S: Final = 0.05
"""Of the data's time: one notification of twenty closes a row of all pumps."""
HIGH: Final = 2.0
P50_MS_BUDGET, P99_MS_BUDGET = 2.0, 10.0
DEADLINE_S: Final = 10.0
INGRESS_BYTES: Final = 16 * 1024 * 1024


async def measure_latency(folder: Path, clock: Clock, *, share: float = 1.0) -> list[Figure]:
    """Return percentiles of the decision latency; writes a log into an empty folder.

    Args:
        folder: On the disk that the log is to commit to.
        clock: The time.
        share: Part of the usual number of decisions.
    """
    meter = DecisionMeter(clock)
    chain = new_chain(clock)
    settings = LogSettings(ballast_bytes=0)
    store = RecordLog.open(folder / "log.db", settings, gateway=GatewayId("bench"), clock=clock)
    table = store.intern((*measured_tags(), *chain.derived_tags))
    cases = CaseBook(chain.twin.assets, settings=CaseSettings(), diagnose=chain.twin.diagnosis)
    processor = Processor(
        [Chain(name="pumps", twin=chain.twin, detector=chain.detector)],
        VibrationWatch([]),
        Assessment([]),
        chain.board,
        cases,
    )
    processor.bind(table)
    ingress = Ingress(size_bytes_max=INGRESS_BYTES)
    pipeline = Pipeline(
        ingress=ingress,
        table=table,
        processor=processor,
        board=chain.board,
        cases=cases,
        store=store,
        clock=clock,
        values=LiveValues(table),
        listeners=[meter.on_events],
    )
    measured = table.indices([tag.id for tag in measured_tags()])
    readings = Readings(measured, start_ns=clock.now_ns())
    running = asyncio.create_task(pipeline.run(), name="pipeline")
    try:
        # The first frame tells every tag; what it switches is not measured.
        await ingress.put(readings.frame(step_s=1.0))
        single = await meter.decide(
            ingress,
            lambda factor: readings.notification(0, step_s=NOTIFICATION_STEP_S, factor=factor),
            count=round(NOTIFICATION_COUNT * share),
        )
        wide = await meter.decide(
            ingress,
            lambda factor: readings.frame(step_s=1.0, factor=factor),
            count=round(FRAME_COUNT * share),
        )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()
    return [
        *_percentiles("single notification", single),
        *_percentiles("frame of 1,000 tags, each with a row of 100 pumps", wide),
    ]


class DecisionMeter:
    """Puts in one frame after the other and waits for what is decided from it."""

    def __init__(self, clock: Clock) -> None:
        """Begin without a decision."""
        self._clock = clock
        self._decided = asyncio.Event()
        self._decided_ns = 0

    def on_events(self, events: Sequence[Event], is_live: bool) -> None:
        """Note when something was decided; an `EventListener`."""
        self._decided_ns = self._clock.monotonic_ns()
        self._decided.set()

    async def decide(
        self, ingress: Ingress, make: Callable[[float], Frame], *, count: int
    ) -> list[float]:
        """Return the latencies of so many decisions, in ms: alarms raised and returned in turn."""
        latencies: list[float] = []
        for number in range(count // 2 * 2):
            frame = make(1.0 if number % 2 else HIGH)
            self._decided.clear()
            arrival_ns = self._clock.monotonic_ns()
            await ingress.put(replace(frame, arrival_ns=arrival_ns))
            async with asyncio.timeout(DEADLINE_S):
                await self._decided.wait()
            latencies.append((self._decided_ns - arrival_ns) / 1e6)
            await asyncio.sleep(PAUSE_S)
        return latencies


def _percentiles(name: str, latencies_ms: Sequence[float]) -> list[Figure]:
    p50, p99 = np.percentile(latencies_ms, [50, 99])
    return [
        Figure(name=f"{name}, p50", value=float(p50), unit="ms", budget=P50_MS_BUDGET),
        Figure(name=f"{name}, p99", value=float(p99), unit="ms", budget=P99_MS_BUDGET),
    ]
