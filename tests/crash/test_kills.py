"""Gateway, plant or cloud ended with kill -9 at any moment: the books balance all the same."""

import asyncio
import random
import secrets
from pathlib import Path

import pytest

from gateway.core.records import LedgerEntry, LedgerReason
from gateway.service.devices import RETRY_CAP_S
from tests.crash.site import CLOUD, GATEWAY, PLANT, VICTIMS, Site, Span, opened

# Three processes that start several times: half a minute alone, more on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

COMMIT_S = 1.0
"""The group commit's default: what a kill can cost."""
SLACK_S = 3.0
"""How late a commit, a scan or a retry may be on a busy machine."""


@pytest.fixture
def dice() -> random.Random:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")
    return random.Random(seed)


async def at_random(dice: random.Random) -> None:
    """Let everything run for a while; the kill then hits whatever is just going on."""
    await asyncio.sleep(dice.uniform(0.5, 3.5))


def assert_covers(gap: LedgerEntry, span: Span, *, before_s: float, after_s: float) -> None:
    """A gap begins with the last thing known before the kill and ends after the new start."""
    killed_ns, ready_ns = span
    assert killed_ns - before_s * 1e9 <= gap.from_ns <= killed_ns + 0.5e9
    assert killed_ns <= gap.to_ns <= ready_ns + after_s * 1e9
    assert gap.count is None


async def test_a_killed_gateway(tmp_path: Path, dice: random.Random) -> None:
    async with opened(tmp_path, seed=dice.randrange(1000)) as site:
        await site.devices_ok()
        spans = []
        for _ in range(2):
            await at_random(dice)
            spans.append(await site.kill_and_restart(GATEWAY))
        await site.devices_ok()
        await site.stop()
        gaps = site.gaps(LedgerReason.UNCLEAN_STOP)
        assert len(gaps) == len(spans)
        for gap, span in zip(gaps, spans, strict=True):
            assert_covers(gap, span, before_s=COMMIT_S + SLACK_S, after_s=0.0)
        site.assert_balanced()


async def test_a_killed_plant(tmp_path: Path, dice: random.Random) -> None:
    async with opened(tmp_path, seed=dice.randrange(1000)) as site:
        await site.devices_ok()
        await at_random(dice)
        span = await site.kill_and_restart(PLANT)
        await site.back()
        await site.stop()
        for source in site.books:
            [gap] = site.gaps(LedgerReason.DEVICE_LOST, source)
            assert_covers(gap, span, before_s=SLACK_S, after_s=RETRY_CAP_S)
        assert site.gaps(LedgerReason.UNCLEAN_STOP) == []
        site.assert_balanced()


async def test_a_killed_cloud(tmp_path: Path, dice: random.Random) -> None:
    """The gateway never notices more than an outage: there is no gap at all."""
    async with opened(tmp_path, seed=dice.randrange(1000)) as site:
        await site.devices_ok()
        for _ in range(2):
            await at_random(dice)
            await site.kill_and_restart(CLOUD)
        await at_random(dice)
        await site.stop()
        assert site.assert_balanced().gap == 0
        assert site.gaps(LedgerReason.UNCLEAN_STOP) == []


async def test_all_three_killed_in_random_order(tmp_path: Path, dice: random.Random) -> None:
    """Two of them may be away at once; only what nobody could know is in a gap."""
    async with opened(tmp_path, seed=dice.randrange(1000)) as site:
        await site.devices_ok()
        await asyncio.gather(*(_kill_soon(site, victim, dice) for victim in VICTIMS))
        await site.devices_ok()
        await site.stop()
        assert len(site.gaps(LedgerReason.UNCLEAN_STOP)) == 1
        site.assert_balanced()


async def _kill_soon(site: Site, victim: str, dice: random.Random) -> None:
    await asyncio.sleep(dice.uniform(0.0, 3.0))
    await site.kill_and_restart(victim)
