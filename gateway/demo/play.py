"""Plays the acts: faults, a cut link, a better model and three bad ones; then closes the books."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import cast

import aiohttp

from analytics.training.spoil import Flaw, spoil
from cloud_sync.cloud.client import CloudClient
from gateway.api.client import GatewayClient
from gateway.core.errors import GatewayError
from gateway.core.events import Event, Transition
from gateway.core.models import ModelStage
from gateway.demo.books import close_books, read_ledger_and_events
from gateway.demo.link import Link
from gateway.demo.report import (
    FoundFault,
    Latency,
    ModelOutcome,
    Outage,
    Report,
    Resources,
    promises_of,
)
from gateway.demo.stage import MODEL_BY_TYPE, Stage, Teller, open_link
from gateway.demo.timeline import Timeline
from gateway.simulate.points import ASSETS
from gateway.wire.bundle import read_bundle

MODEL = MODEL_BY_TYPE["centrifugal_pump"]
MEASURE_PERIOD_S = 0.5
LOOK_PERIOD_S = 0.2
MODELS_READY_S = 30.0
ENCORE_S_MAX = 60.0
"""The curtain waits this much longer for models that are still on trial."""
DECIDED = (ModelStage.ACTIVE, ModelStage.REJECTED, ModelStage.ROLLED_BACK)


@dataclass(slots=True, kw_only=True)
class Notes:
    """What the acts find out while they play."""

    outage_s: float = 0.0
    buffered: int = 0
    drained_s: float | None = None
    better: str | None = None
    bad: dict[str, str] = field(default_factory=dict)
    """Version by flaw."""


class Play:
    """One performance on a stage that is set."""

    def __init__(self, stage: Stage, timeline: Timeline, *, seed: int, tell: Teller) -> None:
        """Prepare; `run` plays."""
        self._stage = stage
        self._timeline = timeline
        self._seed = seed
        self._tell = tell
        self._notes = Notes()
        self._begun_s = 0.0
        self._begun_ns = 0
        self._link: Link | None = None
        self._cloud_url = ""

    async def run(
        self, *, audience: Callable[[], Coroutine[None, None, None]] | None = None
    ) -> Report:
        """Play all acts, stop everything, close the books.

        Args:
            audience: Runs beside the acts, such as the console; the play does not wait for it.
        Raises:
            GatewayError: something that belongs to the stage failed.
        """
        stage = self._stage
        try:
            await self._open()
            watching: asyncio.Task[None] | None = None
            if audience is not None:
                watching = asyncio.create_task(audience())
            async with asyncio.TaskGroup() as acts:
                measuring = acts.create_task(self._measure())
                played = [
                    acts.create_task(self._inject_faults()),
                    acts.create_task(self._cut_link()),
                    acts.create_task(self._try_models()),
                    acts.create_task(self._until(self._timeline.duration_s)),
                ]
                await asyncio.wait(played)
                measuring.cancel()
            if watching is not None:
                self._tell("the play is over: press q for the report")
                await watching
            self._tell("the curtain falls: stopping, delivering the rest, closing the books")
            async with GatewayClient(stage.api_socket) as client:
                models = (await client.models()).models
            outcomes = tuple(
                ModelOutcome(
                    name=each.name, version=each.version, stage=each.stage, reason=each.reason
                )
                for each in models
            )
            summary = await stage.gateway.stop()
            await stage.plant.stop()
            await stage.cloud.stop()
        finally:
            await self._clear()
        return self._report(summary, outcomes)

    async def _open(self) -> None:
        """Start cloud and gateway, and wait until the first models are in force."""
        stage = self._stage
        self._tell("starting the cloud, and the gateway behind a link that can be cut")
        self._cloud_url = str((await stage.cloud.start())["url"])
        self._link = await open_link(stage, self._cloud_url)
        for bundle in stage.first_models:
            await self._cloud().release(bundle.read_bytes())
        self._begun_ns = time.time_ns()
        await stage.gateway.start()
        async with asyncio.timeout(MODELS_READY_S), GatewayClient(stage.api_socket) as client:
            while await self._active_count(client) < len(stage.first_models):
                await asyncio.sleep(LOOK_PERIOD_S)
        self._begun_s = time.monotonic()
        self._tell("all runs: two pumps by OPC UA, a compressor by Modbus TCP")

    async def _active_count(self, client: GatewayClient) -> int:
        models = (await client.models()).models
        return sum(ModelStage(model.stage) is ModelStage.ACTIVE for model in models)

    async def _until(self, time_s: float) -> None:
        await asyncio.sleep(max(self._begun_s + time_s - time.monotonic(), 0.0))

    def _elapsed_s(self, time_ns: int) -> float:
        """Return seconds since all ran, of a wall time."""
        since_s = (time.time_ns() - time_ns) / 1e9
        return time.monotonic() - self._begun_s - since_s

    async def _inject_faults(self) -> None:
        connector = aiohttp.UnixConnector(path=str(self._stage.plant_control))
        async with aiohttp.ClientSession(connector=connector) as session:
            for fault in self._timeline.faults:
                await self._until(fault.onset_s)
                body = {
                    "kind": fault.kind,
                    "asset": fault.asset,
                    "onset_s": 0.0,
                    "growth_s": fault.growth_s,
                    "size": fault.size,
                }
                async with session.post("http://plant/faults", json=body) as answer:
                    if answer.status >= 400:
                        raise GatewayError(f"the plant refuses a fault: {await answer.text()}")
                self._tell(f"{fault.asset}: {fault.kind.replace('_', ' ')} begins")

    async def _cut_link(self) -> None:
        assert self._link is not None
        await self._until(self._timeline.cut_s)
        cut_s = time.monotonic()
        self._link.cut()
        self._tell("the link to the cloud is cut")
        await self._until(self._timeline.mend_s)
        async with GatewayClient(self._stage.api_socket) as client:
            books = (await client.status()).books
            self._notes.buffered = books.stored - books.acknowledged
            self._link.mend()
            mended_s = time.monotonic()
            self._notes.outage_s = mended_s - cut_s
            self._tell(f"the link is back; {self._notes.buffered} samples waited")
            while (await client.status()).books.acknowledged < books.stored:
                await asyncio.sleep(LOOK_PERIOD_S)
        self._notes.drained_s = time.monotonic() - mended_s
        self._tell(f"drained in {self._notes.drained_s:.1f} s")

    async def _try_models(self) -> None:
        await self._until(self._timeline.retrain_s)
        self._tell("the cloud retrains the pumps' model from what it stored")
        answer = await self._cloud().retrain(MODEL)
        self._tell(answer.text)
        self._notes.better = answer.released
        if answer.released is None:
            return
        await self._decided(answer.released)
        good = await self._released_bundle(answer.released)
        minor = int(answer.released.partition(".")[2])
        for step, flaw in enumerate(Flaw, start=1):
            version = f"{answer.released.partition('.')[0]}.{minor + step}"
            self._notes.bad[flaw] = version
            await self._cloud().release(spoil(good, flaw, version=version))
            self._tell(f"a {flaw} model {version} is released")
            await self._decided(version)

    async def _released_bundle(self, version: str) -> bytes:
        """Return a bundle as the gateway verified and kept it."""
        folder = self._stage.folder / "gateway-state" / "models" / "bundles"
        for path in await asyncio.to_thread(lambda: sorted(folder.rglob("*.ewm"))):
            data = path.read_bytes()
            manifest = read_bundle(data).manifest
            if (manifest.name, manifest.version) == (MODEL, version):
                return data
        raise GatewayError(f"the gateway has no bundle of {MODEL} {version}")

    async def _decided(self, version: str) -> None:
        """Wait until the gateway has decided about a version, or the encore is over."""
        deadline_s = self._timeline.duration_s + ENCORE_S_MAX
        async with GatewayClient(self._stage.api_socket) as client:
            while time.monotonic() < self._begun_s + deadline_s:
                for model in (await client.models()).models:
                    if (model.name, model.version) == (MODEL, version) and model.stage in DECIDED:
                        self._tell(f"{MODEL} {version}: {model.stage}: {model.reason}")
                        return
                await asyncio.sleep(LOOK_PERIOD_S)
        self._tell(f"{MODEL} {version}: not decided in time")

    async def _measure(self) -> None:
        while True:
            self._stage.gateway.measure()
            self._stage.cloud.measure()
            await asyncio.sleep(MEASURE_PERIOD_S)

    async def _clear(self) -> None:
        for child in (self._stage.gateway, self._stage.plant, self._stage.cloud):
            if not child.has_stopped:
                await child.kill()
        if self._link is not None:
            await self._link.__aexit__(None, None, None)

    def _cloud(self) -> CloudClient:
        return CloudClient(self._cloud_url, token=self._stage.operator_token)

    def _report(self, summary: dict[str, object], models: tuple[ModelOutcome, ...]) -> Report:
        stage = self._stage
        ledger, events = read_ledger_and_events(stage.log_path)
        acknowledged = cast(int, summary["acknowledged"]) - stage.imported_samples
        samples = close_books(
            stage.books,
            stage.lake_folder,
            ledger,
            since_ns=self._begun_ns,
            received=cast(int, summary["received"]),
            stored=cast(int, summary["stored"]),
            acknowledged=acknowledged,
        )
        latency = cast(dict[str, float], summary["decision_latency_ms"])
        report = Report(
            seed=self._seed,
            duration_s=self._timeline.duration_s,
            samples=samples,
            outage=Outage(
                seconds=round(self._notes.outage_s, 1),
                buffered=self._notes.buffered,
                drained_in_seconds=self._notes.drained_s and round(self._notes.drained_s, 2),
            ),
            decision_latency_ms=Latency(p50=latency["p50"], p99=latency["p99"]),
            faults=tuple(self._found(events)),
            false_alarms=self._false_alarms(events),
            models=models,
            memory_mb=Resources(gateway=stage.gateway.rss_mb_max, cloud=stage.cloud.rss_mb_max),
            cpu_s=Resources(gateway=stage.gateway.cpu_s, cloud=stage.cloud.cpu_s),
        )
        promises = promises_of(report, better=self._notes.better, bad=self._notes.bad)
        return report.model_copy(update={"promises": promises})

    def _alarms(self, events: list[Event]) -> list[tuple[float, Event]]:
        """Return the alarms raised on assets since all ran, with their times, in order."""
        raised = [
            (self._elapsed_s(event.time_ns), event)
            for event in events
            if event.transition is Transition.RAISED and event.source in ASSETS
        ]
        return sorted((each for each in raised if each[0] >= 0), key=lambda each: each[0])

    def _found(self, events: list[Event]) -> list[FoundFault]:
        found = []
        alarms = self._alarms(events)
        for fault in self._timeline.faults:
            first = next(
                (x for x in alarms if x[1].source == fault.asset and x[0] >= fault.onset_s), None
            )
            detected_s = round(first[0], 1) if first else None
            found.append(
                FoundFault(
                    name=fault.kind,
                    asset=fault.asset,
                    onset_s=round(fault.onset_s, 1),
                    detected_s=detected_s,
                    delay_s=round(first[0] - fault.onset_s, 1) if first else None,
                    condition=first[1].condition if first else None,
                )
            )
        return found

    def _false_alarms(self, events: list[Event]) -> int:
        onset_s = {fault.asset: fault.onset_s for fault in self._timeline.faults}
        return sum(
            elapsed_s < onset_s.get(event.source, float("inf"))
            for elapsed_s, event in self._alarms(events)
        )
