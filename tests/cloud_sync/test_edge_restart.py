"""A restart in every stage of a model, with the network down."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.core.models import Comparison, ModelStage
from tests.cloud_sync.edge_doubles import until
from tests.cloud_sync.edge_models import NAME, NOISY, QUIET, Gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


async def test_restart_with_a_version_in_force(gateway: Gateway) -> None:
    await gateway.release("1.0")
    gateway.events.clear()
    await gateway.restart()
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.events == []


async def test_restart_in_shadow_begins_it_anew(gateway: Gateway) -> None:
    await gateway.with_candidate()
    await gateway.count(Comparison(rows=99))
    await gateway.restart()
    assert gateway.versions() == ("1.0", "1.1", None)
    await gateway.count(Comparison(rows=99))
    assert gateway.versions() == ("1.0", "1.1", None)
    await gateway.count(Comparison(rows=1))
    assert gateway.versions() == ("1.1", None, "1.0")


async def test_restart_on_probation_goes_on_where_it_was(gateway: Gateway) -> None:
    await gateway.on_probation()
    running = asyncio.create_task(gateway.keeper.run())
    gateway.host.comparisons.append(Comparison(rows=60))
    await until(lambda: gateway.keeper.models()[0].rows == 60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await gateway.restart()
    assert gateway.versions() == ("1.1", None, "1.0")
    assert gateway.keeper.models()[0].rows == 60
    await gateway.count(Comparison(rows=40))
    assert gateway.versions() == ("1.1", None, None)


async def test_restart_on_probation_can_still_go_back(gateway: Gateway) -> None:
    await gateway.on_probation()
    await gateway.restart()
    await gateway.count(NOISY)
    assert gateway.versions() == ("1.0", None, None)


async def test_power_cut_between_download_and_activation(gateway: Gateway) -> None:
    """The bundle is here, the stages know nothing of it: it is tried as any release."""
    await gateway.release("1.0")
    gateway.store.offer("1.1")
    await gateway.store.fetch(NAME, "1.1")
    await gateway.restart()
    assert gateway.versions() == ("1.0", None, None)
    await gateway.keeper.look()
    assert gateway.versions() == ("1.0", "1.1", None)


async def test_what_is_not_vouched_for_never_runs_again(gateway: Gateway) -> None:
    """On probation the former version takes over; that is told."""
    await gateway.on_probation()
    del gateway.store.here[NAME, "1.1"]
    await gateway.restart()
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.told[-2:] == ["refused", "rolled_back"]
    assert gateway.stage("1.1") is ModelStage.ROLLED_BACK


async def test_after_probation_the_version_before_can_take_over(gateway: Gateway) -> None:
    await gateway.on_probation()
    await gateway.count(QUIET)
    del gateway.store.here[NAME, "1.1"]
    await gateway.restart()
    assert gateway.versions() == ("1.0", None, None)


async def test_a_probation_without_its_former_version_ends(gateway: Gateway) -> None:
    await gateway.on_probation()
    del gateway.store.here[NAME, "1.0"]
    await gateway.restart()
    assert gateway.versions() == ("1.1", None, None)
    assert gateway.told[-1] == "confirmed"


async def test_with_nothing_vouched_for_nothing_runs_until_the_network_mends_it(
    gateway: Gateway,
) -> None:
    await gateway.release("1.0")
    gateway.store.here.clear()
    await gateway.restart()
    assert gateway.versions() == (None, None, None)
    assert gateway.told[-1] == "refused"
    await gateway.keeper.look()
    assert gateway.versions() == ("1.0", None, None)
    assert gateway.told[-1] == "restored"


async def test_with_nothing_vouched_for_a_newer_release_may_begin(gateway: Gateway) -> None:
    await gateway.release("1.0")
    gateway.store.here.clear()
    gateway.store.offered.clear()
    await gateway.restart()
    await gateway.release("1.1")
    assert gateway.versions() == ("1.1", None, None)
    assert gateway.stage("1.0") is ModelStage.RETIRED


async def test_a_candidate_that_is_gone_is_tried_as_a_release(gateway: Gateway) -> None:
    await gateway.with_candidate()
    del gateway.store.here[NAME, "1.1"]
    await gateway.restart()
    assert gateway.versions() == ("1.0", None, None)
    await gateway.keeper.look()
    assert gateway.versions() == ("1.0", "1.1", None)


async def test_damaged_stages_are_set_aside_and_a_start_is_made(gateway: Gateway) -> None:
    await gateway.release("1.0")
    path = gateway.folder / "models" / "stages.json"
    path.write_text(path.read_text()[:-20])
    await gateway.restart()
    assert gateway.versions() == (None, None, None)
    assert [each.suffix for each in path.parent.iterdir()] == [".damaged"]
    await gateway.keeper.look()
    assert gateway.versions() == ("1.0", None, None)


async def test_stages_of_a_model_that_is_not_configured_now_are_kept(gateway: Gateway) -> None:
    path = gateway.folder / "models" / "stages.json"
    await gateway.release("1.0")
    stages = json.loads(path.read_text())
    path.write_text(json.dumps({**stages, "other-anomaly": stages[NAME]}))
    gateway.store.here["other-anomaly", "1.0"] = b"kept"
    await gateway.restart()
    await gateway.release("1.1")
    assert "other-anomaly" in json.loads(path.read_text())
    assert ("other-anomaly", "1.0") in gateway.store.here
