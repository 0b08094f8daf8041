"""What a restart, clean or not, leaves as it was: samples, alarms, twins, lost devices."""

import asyncio
import random
from pathlib import Path

import pytest

from gateway.api.alarm_answers import AlarmAnswer
from gateway.api.requests import TagsRequest
from gateway.core.events import Transition
from gateway.core.records import LedgerReason
from gateway.service.devices import RETRY_CAP_S
from tests.crash.site import COMMISSIONING_ROWS, GATEWAY, PLANT, Site, opened, until

# Three processes that start several times: half a minute alone, more on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

ROWS_MISSED_MAX = 3
ACKNOWLEDGED, SHELVED = "P-101/turning", "P-102/turning"


async def test_a_clean_restart_loses_nothing_and_hides_nothing(tmp_path: Path) -> None:
    """No gap, and every sample that was offered is in the lake: also those at the edges."""
    async with opened(tmp_path, seed=3) as site:
        await site.devices_ok()
        await asyncio.sleep(random.uniform(0.0, 1.5))
        summary = await site.children[GATEWAY].stop()
        assert summary["stored"] == summary["received"]
        await site.start(GATEWAY)
        await site.devices_ok()
        await site.stop()
        samples = site.assert_balanced()
        assert (samples.gap, site.ledger_and_events()[0]) == (0, [])
        assert samples.offered == samples.in_lake


async def test_state_after_a_restart_is_the_state_before(tmp_path: Path) -> None:
    """After a clean stop it comes from the checkpoint, after a kill also from the log behind."""
    async with opened(tmp_path, seed=4) as site:
        await until(lambda: _has_alarms(site), what="two alarms")
        async with site.client() as client:
            await client.acknowledge(ACKNOWLEDGED)
            await client.shelve(SHELVED, for_s=3600)
        before = await _alarms(site)
        assert (before[ACKNOWLEDGED].state, before[SHELVED].state) == ("acknowledged", "shelved")
        progress = 0.0
        for kill in (False, True):
            progress = await _commissioned(site, beyond=progress + 0.02)
            if kill:
                await site.kill_and_restart(GATEWAY)
            else:
                await site.children[GATEWAY].stop()
                await site.start(GATEWAY)
            assert await _alarms(site) == before
            # What was learnt is not learnt anew; the last commit may be missing after a kill.
            assert await _commissioned(site) >= progress - ROWS_MISSED_MAX / COMMISSIONING_ROWS
        await site.stop()
        site.assert_balanced()
        _, events = site.ledger_and_events()
        raised = [x.source for x in events if x.condition == "turning" and not x.operator]
        assert sorted(raised) == ["P-101", "P-102"]


async def test_a_device_lost_over_a_kill_has_one_gap(tmp_path: Path) -> None:
    """The plant goes first, then the gateway: what the plant offered last is in a gap."""
    async with opened(tmp_path, seed=5) as site:
        await site.devices_ok()
        await site.children[PLANT].kill()
        await until(lambda: _are_known_to_be_lost(site), what="lost devices on disk")
        await site.kill_and_restart(GATEWAY)
        await until(lambda: _are_lost(site), what="devices lost as before")
        await site.start(PLANT)
        await until(lambda: _are_back(site), what="devices back", deadline_s=RETRY_CAP_S + 10)
        await site.stop()
        site.assert_balanced()
        _, events = site.ledger_and_events()
        for source in site.books:
            [gap] = site.gaps(LedgerReason.DEVICE_LOST, source)
            [lost, back] = [x for x in events if (x.source, x.condition) == (source, "device_lost")]
            assert (lost.transition, back.transition) == (Transition.RAISED, Transition.RETURNED)
            assert gap.from_ns <= lost.time_ns < back.time_ns <= gap.to_ns


async def _alarms(site: Site) -> dict[str, AlarmAnswer]:
    async with site.client() as client:
        return {alarm.id: alarm for alarm in (await client.alarms()).alarms}


async def _has_alarms(site: Site) -> bool:
    return {ACKNOWLEDGED, SHELVED} <= set(await _alarms(site))


async def _commissioned(site: Site, *, beyond: float = -1.0) -> float:
    """Wait until it is known how far the twin has learnt its pump, 0 to 1, and return it."""
    found: list[float] = []

    async def is_known() -> bool:
        async with site.client() as client:
            [tag] = (await client.tags(TagsRequest(prefix="P-101.commissioning"))).tags
        found[:] = [] if tag.value is None else [tag.value]
        return tag.value is not None and tag.value > beyond

    await until(is_known, what=f"commissioning beyond {beyond}")
    return found[0]


async def _states(site: Site) -> set[str]:
    async with site.client() as client:
        return {device.state for device in (await client.devices()).devices}


async def _are_lost(site: Site) -> bool:
    return await _states(site) == {"lost"}


async def _are_known_to_be_lost(site: Site) -> bool:
    """Return whether it would survive a kill: it is in the log, and no longer only in memory."""
    _, events = site.ledger_and_events()
    return {x.source for x in events if x.condition == "device_lost"} == set(site.books)


async def _are_back(site: Site) -> bool:
    return await _states(site) == {"ok"}
