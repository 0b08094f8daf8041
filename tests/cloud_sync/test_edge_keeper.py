"""The life of a model on a gateway, with a restart in every stage."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.errors import CommandError, ModelError
from gateway.core.manifest import VisionManifest
from gateway.core.models import CanaryReport, Comparison, ModelStage
from gateway.wire.bundle import Bundle, write_bundle
from tests.analytics.life_hosts import life_bundle
from tests.cloud_sync.edge_doubles import until
from tests.cloud_sync.edge_models import NAME, NOISY, QUIET, RULES, FakeStore, Gateway, bundle_of


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


async def test_the_first_version_needs_only_its_canary_cases(gateway: Gateway) -> None:
    await gateway.release("1.0")
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.told == ["released", "promoted"]
    assert gateway.stage("1.0") is ModelStage.ACTIVE
    assert all(event.source == NAME for event in gateway.events)


async def test_a_whole_life(gateway: Gateway) -> None:
    await gateway.with_candidate()
    assert gateway.versions() == ("1.0", "1.1", None)
    await gateway.count(QUIET)
    assert gateway.versions() == ("1.1", None, "1.0")
    await gateway.count(QUIET)
    assert gateway.versions() == ("1.1", None, None)
    assert gateway.told == ["released", "promoted", "released", "shadow", "promoted", "confirmed"]
    assert (gateway.stage("1.0"), gateway.stage("1.1")) == (ModelStage.RETIRED, ModelStage.ACTIVE)


async def test_a_model_of_remaining_life_goes_the_same_way_in_its_own_words(
    gateway: Gateway,
) -> None:
    for version in ("1.0", "1.1"):
        gateway.store.offered[NAME, version] = life_bundle(version, name=NAME)
        gateway.host.canary = CanaryReport(
            fault_count=0, missed=(), latency_ms_p99=2.0, is_finite=True
        )
        await gateway.keeper.look()
    assert gateway.versions() == ("1.0", "1.1", None)
    assert "gives numbers, in 2.0 ms" in gateway.events[1].text
    await gateway.count(Comparison(rows=200, latencies_ms=(2.0,) * 200))
    assert gateway.versions() == ("1.1", None, "1.0")
    assert gateway.events[-1].text.endswith("tells another life on 0 of 200 rows in shadow")
    await gateway.count(Comparison(rows=30, trial_only_alarms=25))
    assert gateway.versions() == ("1.0", None, None)
    assert "tells another life on 25 of 30 rows" in gateway.events[-1].text


async def test_rows_add_up_over_counts(gateway: Gateway) -> None:
    await gateway.with_candidate()
    for rows in (30, 60):
        await gateway.count(Comparison(rows=rows))
    newest = gateway.keeper.models()[0]
    assert (newest.version, newest.rows, newest.rows_needed) == ("1.1", 90, 100)
    await gateway.count(Comparison(rows=10))
    assert gateway.versions() == ("1.1", None, "1.0")


async def test_a_candidate_that_alarms_too_much_is_rejected_for_good(gateway: Gateway) -> None:
    await gateway.with_candidate()
    await gateway.count(NOISY)
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.told[-1] == "rejected"
    await gateway.keeper.look()
    await gateway.restart()
    await gateway.keeper.look()
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.store.fetched == ["1.0", "1.1"]


async def test_a_candidate_that_misses_a_known_fault_never_runs(gateway: Gateway) -> None:
    await gateway.release("1.0")
    gateway.host.canary = CanaryReport(
        fault_count=1, missed=("bearing wear",), latency_ms_p99=1.0, is_finite=True
    )
    await gateway.release("1.1")
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.told[-2:] == ["released", "rejected"]
    assert "bearing wear" in gateway.events[-1].text


async def test_a_bundle_that_is_not_for_this_host_is_rejected(gateway: Gateway) -> None:
    await gateway.release("1.0")
    gateway.host.refused = {"1.1"}
    await gateway.release("1.1")
    assert gateway.stage("1.1") is ModelStage.REJECTED
    assert gateway.versions() == ("1.0", None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"no bundle at all",
        bundle_of("6.6"),
        bundle_of("1.1", name="compressor-anomaly"),
        write_bundle(
            Bundle(
                manifest=VisionManifest(
                    name=NAME,
                    version="1.1",
                    labels=("face",),
                    input_name="x",
                    width_px=32,
                    height_px=32,
                    colour_order="rgb",
                    resize="stretch",
                    decoder="yolox",
                ),
                model=b"graph",
                canary=None,
            )
        ),
    ],
    ids=["damaged", "other version", "other model", "other kind"],
)
async def test_a_bundle_that_contradicts_its_name_is_rejected(
    gateway: Gateway, data: bytes
) -> None:
    """TUF vouches for the bytes; that they are what the name says is checked here."""
    await gateway.release("1.0")
    gateway.store.offered[NAME, "1.1"] = data
    await gateway.keeper.look()
    assert gateway.stage("1.1") is ModelStage.REJECTED
    assert gateway.versions() == ("1.0", None, None)


async def test_probation_ends_in_going_back_by_itself(gateway: Gateway) -> None:
    """Also with the network down, and the version is never tried again."""
    await gateway.on_probation()
    gateway.store.is_reachable = False
    await gateway.count(NOISY)
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.told[-1] == "rolled_back"
    assert "40 of 50 rows" in gateway.events[-1].text
    assert gateway.stage("1.1") is ModelStage.ROLLED_BACK
    assert gateway.stage("1.0") is ModelStage.ACTIVE
    gateway.store.is_reachable = True
    await gateway.restart()
    await gateway.keeper.look()
    assert gateway.versions() == ("1.0", None, None)


async def test_the_newest_of_several_releases_is_tried(gateway: Gateway) -> None:
    await gateway.release("1.0")
    for version in ("1.9", "1.10", "1.2"):
        gateway.store.offer(version)
    await gateway.keeper.look()
    assert gateway.versions() == ("1.0", "1.10", None)
    assert gateway.store.fetched == ["1.0", "1.10"]


async def test_an_older_release_is_never_tried(gateway: Gateway) -> None:
    await gateway.release("2.0")
    await gateway.release("1.9")
    assert gateway.versions() == ("2.0", None, None)


async def test_a_newer_release_takes_the_place_of_an_undecided_candidate(gateway: Gateway) -> None:
    await gateway.with_candidate()
    await gateway.count(Comparison(rows=99))
    await gateway.release("1.2")
    assert gateway.versions() == ("1.0", "1.2", None)
    assert gateway.stage("1.1") is ModelStage.REJECTED
    await gateway.count(Comparison(rows=99))
    assert gateway.host.candidate == "1.2"


async def test_a_release_waits_for_the_end_of_a_probation(gateway: Gateway) -> None:
    await gateway.on_probation()
    await gateway.release("1.2")
    assert gateway.versions() == ("1.1", None, "1.0")
    await gateway.count(QUIET)
    await gateway.keeper.look()
    assert gateway.versions() == ("1.1", "1.2", None)


async def test_without_probation_rows_there_is_no_probation(gateway: Gateway) -> None:
    await gateway.release("1.0")
    gateway.store.offer("1.1", rules=RULES.model_copy(update={"probation_rows": 0}))
    await gateway.keeper.look()
    await gateway.count(QUIET)
    assert gateway.versions() == ("1.1", None, None)


# By hand.


async def test_a_person_can_promote_early(gateway: Gateway) -> None:
    await gateway.with_candidate()
    await gateway.count(Comparison(rows=12))
    await gateway.keeper.promote_now(NAME, operator="mara")
    assert gateway.versions() == ("1.1", None, "1.0")
    assert gateway.events[-1].operator == "mara"
    assert "12 of 100 rows" in gateway.events[-1].text
    await gateway.count(NOISY)
    assert gateway.versions() == ("1.0", None, None)


async def test_a_person_can_go_back_on_probation_and_after_it(gateway: Gateway) -> None:
    await gateway.on_probation()
    await gateway.keeper.roll_back_now(NAME, operator="mara")
    assert gateway.versions() == ("1.0", None, None)
    await gateway.release("1.2")
    await gateway.count(QUIET)
    await gateway.count(QUIET)
    await gateway.release("1.3")
    assert gateway.versions() == ("1.2", "1.3", None)
    await gateway.keeper.roll_back_now(NAME, operator="mara")
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.events[-1].operator == "mara"
    await gateway.keeper.look()
    assert gateway.versions() == ("1.0", "1.3", None)


async def test_a_person_is_told_when_there_is_nothing_to_do(gateway: Gateway) -> None:
    await gateway.release("1.0")
    with pytest.raises(CommandError, match="no version in shadow"):
        await gateway.keeper.promote_now(NAME, operator="mara")
    with pytest.raises(CommandError, match="no former version"):
        await gateway.keeper.roll_back_now(NAME, operator="mara")
    with pytest.raises(CommandError, match="no model 'pmup'"):
        await gateway.keeper.promote_now("pmup", operator="mara")


async def test_a_former_version_that_is_gone_cannot_be_gone_back_to(gateway: Gateway) -> None:
    await gateway.on_probation()
    await gateway.count(QUIET)
    del gateway.store.here[NAME, "1.0"]
    with pytest.raises(ModelError, match="not on this gateway"):
        await gateway.keeper.roll_back_now(NAME, operator="mara")
    assert gateway.versions() == ("1.1", None, None)


# Loops and trouble.


async def test_only_what_may_be_needed_stays_on_disk(gateway: Gateway) -> None:
    for version in ("1.0", "1.1", "1.2"):
        await gateway.release(version)
        await gateway.count(QUIET)
        await gateway.count(QUIET)
    await gateway.release("1.3")
    assert {version for _, version in gateway.store.here} == {"1.1", "1.2", "1.3"}


async def test_it_looks_at_once_when_told(gateway: Gateway) -> None:
    running = asyncio.create_task(gateway.keeper.run())
    await until(lambda: gateway.store.is_reachable)
    gateway.store.offer("1.0")
    gateway.keeper.check_now()
    await until(lambda: gateway.host.active == "1.0")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_trials_are_decided_while_a_download_hangs(gateway: Gateway) -> None:
    class HangingStore(FakeStore):
        async def releases(self) -> list[object]:  # type: ignore[override]  # never answers
            await asyncio.Event().wait()
            return []

    await gateway.on_probation()
    store = HangingStore()
    store.here = gateway.store.here
    gateway.store = store
    await gateway.restart()
    running = asyncio.create_task(gateway.keeper.run())
    gateway.host.comparisons.append(NOISY)
    await until(lambda: gateway.versions() == ("1.0", None, None))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_unreachable_cloud_is_no_event_and_a_refusal_is_one(gateway: Gateway) -> None:
    gateway.store.is_reachable = False
    await gateway.keeper.look()
    await gateway.keeper.look()
    assert gateway.events == []
    gateway.store.is_reachable, gateway.store.is_trusted = True, False
    await gateway.keeper.look()
    await gateway.keeper.look()
    assert gateway.told == ["refused"]


async def test_stages_that_cannot_be_saved_do_not_stop_a_decision(gateway: Gateway) -> None:
    await gateway.on_probation()
    folder = gateway.folder / "models"
    (folder / "stages.json.part").symlink_to("/dev/full")
    await gateway.count(NOISY)
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.told[-1] == "rolled_back"
