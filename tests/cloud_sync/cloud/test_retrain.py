"""Retraining from the lake: which rows count, what is released, and what is not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cloud_sync.cloud.database import Database, open_database
from cloud_sync.cloud.ingest import Ingest, IngestSettings
from cloud_sync.cloud.labels import read_labels
from cloud_sync.cloud.lake import Lake, LakeSettings
from cloud_sync.cloud.messages import RetrainOutcome, RetrainRun
from cloud_sync.cloud.registry import Registry
from cloud_sync.cloud.retrain import (
    RetrainBusyError,
    Retrainer,
    RetrainSettings,
    UnknownModelError,
    read_alarm_periods,
    read_runs,
)
from cloud_sync.cloud.rows import AlarmPeriod, Run, read_healthy_rows, split_by_time
from cloud_sync.cloud.signing import RegistrySettings, create_repository
from gateway.core.cases import CLOSED, Verdict
from gateway.core.drift_reference import MODEL_DRIFT
from gateway.core.events import Event, Transition
from gateway.core.rows import OperatingState
from gateway.wire.clock import SystemClock
from tests.cloud_sync.cloud.batches import GATEWAY
from tests.cloud_sync.cloud.recordings import (
    COLUMNS,
    MODEL,
    alarm,
    derived_batch,
    healthy_rows,
    model_bytes,
    tick_ns,
)

FOREVER_NS = (1 << 63) - 1


class Site:
    """Everything that a retraining needs, without the server."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.database = database
        clock = SystemClock()
        self.ingest = Ingest(database, settings=IngestSettings(), clock=clock)
        self.lake = Lake(folder / "lake", database, settings=LakeSettings(file_rows_max=4000))
        settings = RegistrySettings()
        repository, keys = folder / "registry", folder / "keys"
        create_repository(repository, keys, settings=settings, now_ns=clock.now_ns())
        self.registry = Registry(repository, keys, settings=settings, clock=clock)
        self.retrainer = self.retrainer_with(RetrainSettings(rows_min=500, alarm_margin_s=10))

    def retrainer_with(self, settings: RetrainSettings) -> Retrainer:
        return Retrainer(
            database=self.database,
            lake=self.lake,
            registry=self.registry,
            settings=settings,
            clock=SystemClock(),
        )

    async def take(self, batch: bytes) -> None:
        await self.ingest.take(batch, gateway=GATEWAY)

    async def rows(self, *periods: AlarmPeriod, row_count_max: int = 100_000) -> tuple[Run, ...]:
        await self.lake.compact()
        return read_healthy_rows(
            await self.lake.paths(), columns=COLUMNS, periods=periods, row_count_max=row_count_max
        )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    database = await open_database(tmp_path / "cloud.sqlite")
    site = Site(tmp_path, database)
    await site.lake.recover()
    yield site
    await database.aclose()


async def test_rows_come_back_by_asset_and_time(site: Site) -> None:
    first, second = healthy_rows(50, seed=1), healthy_rows(50, seed=2)
    await site.take(derived_batch({"P-102": second[25:], "P-101": first[25:]}, first_seq=26))
    await site.take(derived_batch({"P-101": first[:25], "P-102": second[:25]}))
    runs = await site.rows()
    assert [run.asset for run in runs] == [f"{GATEWAY}/P-101", f"{GATEWAY}/P-102"]
    for run, rows in zip(runs, (first, second), strict=True):
        np.testing.assert_array_equal(run.value, rows)
        assert run.time_ns.tolist() == [tick_ns(seq) for seq in range(1, 51)]


async def test_only_whole_good_running_rows_count(site: Site) -> None:
    rows = healthy_rows(30)
    await site.take(derived_batch({"P-101": rows[:10]}, bad_rows=[3, 4]))
    await site.take(derived_batch({"P-101": rows[10:20]}, first_seq=11, state=OperatingState.OFF))
    await site.take(derived_batch({"P-101": rows[20:]}, first_seq=21))
    [run] = await site.rows()
    kept = [*range(3), *range(5, 10), *range(20, 30)]
    np.testing.assert_array_equal(run.value, rows[kept])


async def test_alarm_and_margin_are_left_out(site: Site) -> None:
    await site.take(derived_batch({"P-101": healthy_rows(30), "P-102": healthy_rows(30)}))
    period = AlarmPeriod(
        gateway=GATEWAY, asset="P-101", from_ns=tick_ns(10), to_ns=tick_ns(20)
    )  # fmt: skip
    runs = await site.rows(period)
    assert [(len(run), run.alarm_row_count) for run in runs] == [(19, 11), (30, 0)]


async def test_newest_rows_are_taken_first(site: Site) -> None:
    for first in range(1, 4001, 1000):
        await site.take(derived_batch({"P-101": healthy_rows(1000)}, first_seq=first))
    [run] = await site.rows(row_count_max=1500)
    assert int(run.time_ns[-1]) == tick_ns(4000)
    assert 1490 <= len(run) <= 1500


async def test_split_keeps_the_order_of_time() -> None:
    times = np.arange(100, dtype=np.int64)
    value = np.zeros((100, 2))
    runs = [
        Run(asset=str(shift), time_ns=times + shift, value=value, alarm_row_count=0)
        for shift in (0, 50)
    ]
    older, newer = split_by_time(runs, held_back_share=0.3)
    assert max(run.time_ns.max() for run in older) < min(run.time_ns.min() for run in newer)
    assert sum(map(len, older)) + sum(map(len, newer)) == 200
    assert 55 <= sum(map(len, newer)) <= 60


async def test_periods_follow_the_events(site: Site) -> None:
    """What was silent while it ended ends with its silence."""
    events = [
        alarm("P-101", 5, Transition.RAISED, onset=3),
        alarm("P-101", 7, Transition.ACKNOWLEDGED),
        alarm("P-101", 9, Transition.RETURNED),
        alarm("P-102", 8, Transition.RETURNED),
        alarm("P-102", 12, Transition.RAISED),
        alarm("P-103", 1, Transition.RAISED),
        alarm("P-103", 2, Transition.SUPPRESSED),
        alarm("P-103", 4, Transition.UNSUPPRESSED),
        alarm("P-104", 1, Transition.RAISED),
        alarm("P-104", 2, Transition.SHELVED),
        alarm("P-104", 4, Transition.UNSHELVED),
        alarm("P-104", 4, Transition.RAISED),
        alarm("P-104", 6, Transition.RETURNED),
    ]
    await site.take(derived_batch({"P-101": healthy_rows(2)}, events=events))
    periods = await site.database.transact(lambda c: read_alarm_periods(c, margin_ns=1_000))
    assert [(one.asset, one.from_ns, one.to_ns) for one in periods] == [
        ("P-103", tick_ns(1) - 1_000, tick_ns(4)),
        ("P-104", tick_ns(1) - 1_000, tick_ns(4)),
        ("P-104", tick_ns(4) - 1_000, tick_ns(6)),
        ("P-101", tick_ns(3) - 1_000, tick_ns(9)),
        ("P-102", tick_ns(12) - 1_000, FOREVER_NS),
    ]


async def test_a_verdict_is_a_label_and_tells_what_is_healthy(site: Site) -> None:
    """A false alarm's rows are healthy again, a confirmed case's are left out whole."""
    events = [
        alarm("P-101", 5, Transition.RAISED),
        alarm("P-101", 9, Transition.RETURNED),
        case("P-101", 6, Verdict.FALSE.condition, opened=5),
        case("P-101", 10, CLOSED, opened=5),
        case("P-102", 12, Verdict.CONFIRMED.condition, opened=11),
    ]
    await site.take(derived_batch({"P-101": healthy_rows(2)}, events=events))
    periods = await site.database.transact(lambda c: read_alarm_periods(c, margin_ns=0))
    assert [(one.asset, one.from_ns, one.to_ns) for one in periods] == [
        ("P-102", tick_ns(11), FOREVER_NS)
    ]
    labels = (await site.database.transact(read_labels)).labels
    assert [(one.asset, one.verdict, one.from_ns, one.to_ns) for one in labels] == [
        ("P-102", Verdict.CONFIRMED, tick_ns(11), None),
        ("P-101", Verdict.FALSE, tick_ns(5), tick_ns(10)),
    ]


async def test_a_drift_leads_to_one_retraining(site: Site) -> None:
    """What a gateway tells of a model is done once; what comes of it is noted as always."""
    site.registry.release(model_bytes(healthy_rows(600, seed=5)))
    assert await site.retrainer.run_drifted() == ()
    moved = Event(
        time_ns=SystemClock().now_ns(),
        source=MODEL,
        condition=MODEL_DRIFT,
        severity=300,
        text="P-101: flow has moved",
    )
    unknown = replace(moved, source="of-another-cloud")
    await site.take(derived_batch({"P-101": healthy_rows(2)}, events=[moved, unknown]))
    [run] = await site.retrainer.run_drifted()
    assert (run.model, run.outcome) == (MODEL, RetrainOutcome.TOO_FEW_ROWS)
    assert await site.retrainer.run_drifted() == ()


def case(asset: str, seq: int, condition: str, *, opened: int) -> Event:
    return Event(
        time_ns=tick_ns(seq),
        source=asset,
        condition=condition,
        severity=500,
        text="",
        onset_ns=tick_ns(opened),
    )


@pytest.mark.slow
async def test_better_candidate_is_released(site: Site) -> None:
    """The version in force was trained at one load; since then the pumps run at another."""
    site.registry.release(model_bytes(healthy_rows(1000, seed=5)))
    for first in (1, 501):
        rows = {f"P-10{n}": healthy_rows(500, load=1.6, seed=first + n) for n in (1, 2)}
        await site.take(derived_batch(rows, first_seq=first))
    run = await site.retrainer.run(MODEL)
    assert run.outcome is RetrainOutcome.RELEASED, run.text
    assert (run.incumbent, run.released) == ("1.0", "1.1")
    assert run.figures["rows"] == 2000
    assert run.figures["incumbent_alarm_share"] > 0.5
    assert run.figures["candidate_alarm_share"] < 0.02
    newest = site.registry.newest(MODEL)
    assert newest is not None
    assert newest.version == "1.1"
    listed = await site.database.transact(read_runs)
    assert listed.runs == (run,)


@pytest.mark.slow
async def test_candidate_that_is_not_better_is_not_released(site: Site) -> None:
    """The older rows hold a narrow range; the version in force knows the wide one."""
    wide = np.concatenate([healthy_rows(1000, seed=5), healthy_rows(1000, load=1.6, seed=6)])
    site.registry.release(model_bytes(np.random.default_rng(1).permutation(wide)))
    for first, count, load in ((1, 350, 1.0), (351, 350, 1.0), (701, 275, 1.6)):
        rows = {"P-101": healthy_rows(count, load=load, seed=first)}
        await site.take(derived_batch(rows, first_seq=first))
    run = await site.retrainer.run(MODEL)
    assert run.outcome is RetrainOutcome.NOT_BETTER, run.text
    assert run.released is None
    assert run.figures["candidate_alarm_share"] > run.figures["incumbent_alarm_share"]
    newest = site.registry.newest(MODEL)
    assert newest is not None
    assert newest.version == "1.0"


@pytest.mark.slow
async def test_too_few_rows_are_an_answer(site: Site) -> None:
    site.registry.release(model_bytes(healthy_rows(500)))
    await site.take(derived_batch({"P-101": healthy_rows(100)}))
    run = await site.retrainer.run(MODEL)
    assert run.outcome is RetrainOutcome.TOO_FEW_ROWS
    assert run.text.startswith("100 healthy rows")


@pytest.mark.slow
async def test_training_that_takes_too_long_is_given_up(site: Site) -> None:
    site.registry.release(model_bytes(healthy_rows(500)))
    run = await site.retrainer_with(RetrainSettings(timeout_s=0.01)).run(MODEL)
    assert run.outcome is RetrainOutcome.FAILED
    assert "longer than 0.01 s" in run.text


async def test_unknown_model_is_refused(site: Site) -> None:
    with pytest.raises(UnknownModelError):
        await site.retrainer.run(MODEL)
    assert await site.retrainer.run_all() == ()


@pytest.mark.slow
async def test_only_one_model_is_retrained_at_a_time(site: Site) -> None:
    site.registry.release(model_bytes(healthy_rows(500)))
    retrainer = site.retrainer_with(RetrainSettings(timeout_s=0.01))
    first, second = await asyncio.gather(
        retrainer.run(MODEL), retrainer.run(MODEL), return_exceptions=True
    )
    assert isinstance(first, RetrainRun)
    assert isinstance(second, RetrainBusyError)
