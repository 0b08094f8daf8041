"""Retraining: the next version of a model from the lake, released only when it is better.

The work is done by a child process of low priority on one thread (`cloud_sync.cloud.trainer`), so
that batches never wait for it. It gets a folder with its job and the bundle in force, reads the
lake's files itself, and leaves a report and perhaps a candidate. The parent releases, and notes
every run with its figures, also those that led to nothing.
"""

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import Field, ValidationError

from analytics.training.healthy import unhealthy_spans
from cloud_sync.cloud.database import Database
from cloud_sync.cloud.labels import read_happenings
from cloud_sync.cloud.lake import Lake
from cloud_sync.cloud.messages import RetrainList, RetrainOutcome, RetrainRun
from cloud_sync.cloud.registry import Registry, next_version
from cloud_sync.cloud.rows import AlarmPeriod
from cloud_sync.cloud.trainer import CANDIDATE, INCUMBENT, JOB, REPORT, TrainingJob, TrainingReport
from gateway.core.drift_reference import MODEL_DRIFT
from gateway.core.errors import GatewayError, ModelError
from gateway.core.manifest import AnomalyManifest
from gateway.core.ports import Clock
from gateway.core.settings import Settings
from gateway.wire.bundle import read_bundle

log = structlog.get_logger()

RUNS_LISTED_MAX: Final = 100
"""Runs that one question returns at most."""

_POOLS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""How the numeric libraries are told how many threads they may use."""
_COMPLAINT_LENGTH_MAX: Final = 500
_STOP_TIMEOUT_S: Final = 10.0


class RetrainSettings(Settings):
    """How models are retrained."""

    period_h: Annotated[float, Field(gt=0, le=8760)] | None = None
    """Hours between retrainings of every anomaly model; left out, only on request."""
    on_drift: bool = True
    """Whether a model is retrained when a gateway tells that its machines have moved away."""
    alarm_margin_s: Annotated[float, Field(ge=0, le=604_800)] = 600.0
    """Time before an alarm whose rows are not taken for healthy either."""
    rows_min: Annotated[int, Field(ge=20)] = 2_000
    """Healthy rows without which nothing is trained."""
    rows_max: Annotated[int, Field(ge=1_000, le=2_000_000)] = 200_000
    """Healthy rows that are used at the most, the newest ones."""
    held_back_share: Annotated[float, Field(ge=0.05, le=0.5)] = 0.3
    """Share of the rows, the newest ones, that judge and do not train."""
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 1_800.0
    """Time after which a training is given up."""


class RetrainBusyError(GatewayError):
    """Another model is being retrained."""


class UnknownModelError(GatewayError):
    """There is no released anomaly model of this name."""


class Retrainer:
    """Retrains one model at a time."""

    def __init__(
        self,
        *,
        database: Database,
        lake: Lake,
        registry: Registry,
        settings: RetrainSettings,
        clock: Clock,
    ) -> None:
        """Keep what it works on."""
        self._database = database
        self._lake = lake
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._lock = asyncio.Lock()

    async def run(self, model: str) -> RetrainRun:
        """Train a candidate for the next version, and release it if it is better.

        Raises:
            RetrainBusyError: one is being trained already.
            UnknownModelError: there is nothing that it could be better than.
            StoreError: the disk or the registry fails; nothing was released.
        """
        if self._lock.locked():
            raise RetrainBusyError("a model is being retrained already")
        async with self._lock:
            started_ns = self._clock.now_ns()
            started_monotonic_ns = self._clock.monotonic_ns()
            version, incumbent = await self._incumbent(model)
            report, candidate = await self._train(incumbent, next_version(version))
            released = None
            if candidate is not None:
                try:
                    await asyncio.to_thread(self._registry.release, candidate)
                    released = next_version(version)
                except ModelError as error:
                    report = TrainingReport(outcome=RetrainOutcome.FAILED, text=str(error))
            run = RetrainRun(
                model=model,
                started_ns=started_ns,
                duration_s=(self._clock.monotonic_ns() - started_monotonic_ns) / 1e9,
                outcome=report.outcome,
                text=report.text,
                incumbent=version,
                released=released,
                figures=report.figures,
            )
            await self._database.transact(partial(_store_run, run=run))
        log.info("model_retrained", model=model, outcome=run.outcome, released=released)
        return run

    async def run_all(self) -> tuple[RetrainRun, ...]:
        """Retrain every anomaly model that was released, one after the other.

        Raises:
            RetrainBusyError: one is being trained already.
            StoreError: the disk or the registry fails.
        """
        releases = await asyncio.to_thread(self._registry.releases)
        names = sorted({release.name for release in releases})
        runs = []
        for name in names:
            try:
                runs.append(await self.run(name))
            except UnknownModelError:
                continue  # a vision model: the lake has no pictures
        return tuple(runs)

    async def run_drifted(self) -> tuple[RetrainRun, ...]:
        """Retrain every model that has drifted since it was last retrained.

        Raises:
            RetrainBusyError: one is being trained already.
            StoreError: the disk or the registry fails.
        """
        runs = []
        for name in await self._database.transact(_read_drifted):
            try:
                runs.append(await self.run(name))
            except UnknownModelError:
                continue  # of a model that this cloud never released
        return tuple(runs)

    async def _incumbent(self, model: str) -> tuple[str, bytes]:
        """Return version and bundle of the release in force."""
        release = await asyncio.to_thread(self._registry.newest, model)
        if release is None:
            raise UnknownModelError(f"no version of {model} was ever released")
        data = await asyncio.to_thread(self._registry.read, release)
        manifest = read_bundle(data).manifest
        if not isinstance(manifest, AnomalyManifest):
            raise UnknownModelError(
                f"{model} is a {manifest.kind} model; only anomaly models are retrained"
            )
        return release.version, data

    async def _train(self, incumbent: bytes, version: str) -> tuple[TrainingReport, bytes | None]:
        """Return what the child reports, and its candidate if that is to be released."""
        await self._lake.compact()
        margin_ns = int(self._settings.alarm_margin_s * 1e9)
        periods = await self._database.transact(partial(read_alarm_periods, margin_ns=margin_ns))
        job = TrainingJob(
            paths=await self._lake.paths(),
            periods=periods,
            version=version,
            row_count_min=self._settings.rows_min,
            row_count_max=self._settings.rows_max,
            held_back_share=self._settings.held_back_share,
        )
        with tempfile.TemporaryDirectory(prefix="edgewright-retrain-") as name:
            folder = Path(name)
            await asyncio.to_thread((folder / JOB).write_text, job.model_dump_json())
            await asyncio.to_thread((folder / INCUMBENT).write_bytes, incumbent)
            complaint = await self._run_child(folder)
            if complaint:
                return TrainingReport(outcome=RetrainOutcome.FAILED, text=complaint), None
            return await asyncio.to_thread(_read_result, folder)

    async def _run_child(self, folder: Path) -> str:
        """Run the trainer on a folder and return what went wrong; empty is nothing."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cloud_sync.cloud.trainer",
            str(folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(_POOLS, "1")},
        )
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                _, errors = await process.communicate()
        except TimeoutError:
            return f"the training took longer than {self._settings.timeout_s:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await process.wait()
        if process.returncode != 0:
            last = errors.decode(errors="replace").strip()[-_COMPLAINT_LENGTH_MAX:]
            return f"the training stopped with {process.returncode}: {last}"
        return ""


def read_alarm_periods(
    connection: sqlite3.Connection, *, margin_ns: int
) -> tuple[AlarmPeriod, ...]:
    """Return when which asset is not known to be healthy, in a transaction.

    What counts, and what technicians say to it: `analytics.training.healthy`.
    """
    return tuple(
        AlarmPeriod(gateway=gateway, asset=asset, from_ns=span.from_ns, to_ns=span.to_ns)
        for gateway, happenings in read_happenings(connection).items()
        for asset, span in unhealthy_spans(happenings, margin_ns=margin_ns)
    )


def read_runs(connection: sqlite3.Connection) -> RetrainList:
    """Return the newest runs, inside a transaction."""
    rows = connection.execute(
        "SELECT model, started_ns, duration_s, outcome, text, incumbent, released, figures "
        "FROM retrain_runs ORDER BY id DESC LIMIT ?",
        (RUNS_LISTED_MAX,),
    )
    runs = (RetrainRun(**{**dict(row), "figures": json.loads(row["figures"])}) for row in rows)
    return RetrainList(runs=tuple(runs))


def _read_drifted(connection: sqlite3.Connection) -> list[str]:
    """Return the models of which a gateway told a drift after their last retraining began."""
    rows = connection.execute(
        "SELECT source, MAX(time_ns) AS told_ns FROM events WHERE condition = ? GROUP BY source "
        "HAVING told_ns > (SELECT COALESCE(MAX(started_ns), 0) FROM retrain_runs "
        "WHERE model = source) ORDER BY source",
        (MODEL_DRIFT,),
    )
    return [row["source"] for row in rows]


def _store_run(connection: sqlite3.Connection, *, run: RetrainRun) -> None:
    connection.execute(
        "INSERT INTO retrain_runs (model, started_ns, duration_s, outcome, text, incumbent, "
        "released, figures) VALUES (:model, :started_ns, :duration_s, :outcome, :text, "
        ":incumbent, :released, :figures)",
        {**run.model_dump(), "figures": json.dumps(run.figures)},
    )


def _read_result(folder: Path) -> tuple[TrainingReport, bytes | None]:
    try:
        report = TrainingReport.model_validate_json((folder / REPORT).read_bytes())
        is_better = report.outcome is RetrainOutcome.RELEASED
        return report, (folder / CANDIDATE).read_bytes() if is_better else None
    except (OSError, ValidationError) as error:
        text = f"the training left no readable report: {error}"
        return TrainingReport(outcome=RetrainOutcome.FAILED, text=text), None
