"""A gateway whose clock is wrong: whole processes, a real plant, a real cloud.

The compressor counts the responses that it gives, and the count stands in each of them: so every
sample in the lake is known, and when it was offered by a clock that was right.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gateway.core.events import Event, Transition
from gateway.core.frame import ClockSource
from gateway.core.records import RecordKind
from gateway.simulate.books import read_offered
from gateway.simulate.points import COMPRESSOR_CONNECTOR, POLL_COUNT_TAG
from gateway.store import LogReader
from tests.crash.clocked_gateway import set_clock
from tests.crash.site import GATEWAY, Site, opened, until

# Three processes that start several times: half a minute alone, more on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

HOUR_S = 3600
WAIT_S = 120
CLOCK_TABLE = f"\n[clock]\nwait_s = {WAIT_S}\n"


def to_1970() -> int:
    """Return what is to be added to the right time so that it is a minute after 1970 began."""
    return 60 - int(time.time())


def in_cloud(site: Site, query: str) -> list[tuple[object, ...]]:
    """Ask the cloud's database while it runs."""
    path = site.folder / "cloud" / "state" / "cloud.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        return connection.execute(query).fetchall()


async def has_alarm(site: Site) -> bool:
    return bool(in_cloud(site, "SELECT 1 FROM events WHERE condition = 'turning' LIMIT 1"))


def samples_at_cloud(site: Site) -> int:
    rows = in_cloud(site, "SELECT sample_count FROM gateways")
    return int(str(rows[0][0])) if rows else 0


def clock_events(site: Site) -> list[Event]:
    _, events = site.ledger_and_events()
    return [x for x in events if x.condition in ("clock_in_doubt", "clock_jumped")]


async def is_settled(site: Site) -> bool:
    return any(x.transition is Transition.RETURNED for x in clock_events(site))


def assert_every_response_has_its_time(
    site: Site, *, off_s: tuple[int, ...] = (0,)
) -> Counter[int]:
    """Each response is in the lake once, stamped within a second of when it was offered.

    Returns:
        Samples in the lake by whose clock stamped them.
    """
    book = read_offered(site.books[COMPRESSOR_CONNECTOR])
    offers = dict(zip(book.poll_count.tolist(), book.offered_ns.tolist(), strict=True))
    lake = site.folder / "cloud" / "state" / "lake"
    clocks: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for path in sorted(lake.glob("*.parquet")):
        rows = pq.read_table(path, filters=[("kind", "==", int(RecordKind.FRAME))]).to_pylist()
        for row in rows:
            clocks[row["clock"]] += 1
            if row["tag"] != POLL_COUNT_TAG:
                continue
            seen[int(row["value"])] += 1
            error_ns = row["time_ns"] - offers[int(row["value"])]
            assert min(abs(error_ns - off * 10**9) for off in off_s) < 1e9, row
    assert set(seen.values()) == {1}
    return clocks


async def test_a_gateway_that_boots_in_1970_delivers_right_times_once_it_knows_them(
    tmp_path: Path,
) -> None:
    """Its alarms go out at once, its samples when the clock is set; every one exactly once."""
    clock = tmp_path / "clock"
    set_clock(clock, shift_s=to_1970())
    async with opened(tmp_path, seed=11, more=CLOCK_TABLE, clock_file=clock) as site:
        await site.devices_ok()
        await until(lambda: has_alarm(site), what="an alarm at the cloud")
        async with site.client() as client:
            assert "1970-01-01" in (await client.status()).log.doubt
        assert samples_at_cloud(site) == 0
        set_clock(clock, shift_s=0)
        await until(lambda: is_settled(site), what="the clock noticed as set")
        await asyncio.sleep(0.5)  # some samples by the right clock
        await site.stop()
        site.assert_balanced()
        raised, settled = clock_events(site)
        assert (raised.transition, settled.transition) == (
            Transition.RAISED,
            Transition.RETURNED,
        )
        clocks = assert_every_response_has_its_time(site)
        assert clocks[ClockSource.UNTRUSTED] == 0
        assert min(clocks[ClockSource.REBASED], clocks[ClockSource.GATEWAY]) > 0
        assert clocks[ClockSource.SOURCE] > 0


async def test_kills_and_a_clock_that_is_set_meanwhile_lose_and_double_nothing(
    tmp_path: Path,
) -> None:
    """The machine runs on, so the doubt outlives the process; a move goes on where it was."""
    clock = tmp_path / "clock"
    set_clock(clock, shift_s=to_1970())
    async with opened(tmp_path, seed=12, more=CLOCK_TABLE, clock_file=clock) as site:
        await site.devices_ok()
        await site.kill_and_restart(GATEWAY)
        await site.devices_ok()
        assert samples_at_cloud(site) == 0
        await site.children[GATEWAY].kill()
        set_clock(clock, shift_s=0)
        await site.start(GATEWAY)
        await until(lambda: is_settled(site), what="the clock noticed as set")
        await site.kill_and_restart(GATEWAY)
        await site.devices_ok()
        await site.stop()
        site.assert_balanced()
        clocks = assert_every_response_has_its_time(site)
        assert clocks[ClockSource.UNTRUSTED] == 0
        assert clocks[ClockSource.REBASED] > 0


async def test_samples_do_not_wait_for_ever_and_steps_lose_nothing(tmp_path: Path) -> None:
    """After `wait_s` they go out as they are, and say so; then the clock is set, and stepped."""
    clock = tmp_path / "clock"
    shift_s = to_1970()
    set_clock(clock, shift_s=shift_s)
    more = "\n[clock]\nwait_s = 2\n"
    async with opened(tmp_path, seed=14, more=more, clock_file=clock) as site:

        async def has_samples() -> bool:
            return samples_at_cloud(site) > 50

        await until(has_samples, what="samples at the cloud")
        set_clock(clock, shift_s=0)
        await until(lambda: is_settled(site), what="the clock noticed as set")
        for count, step_s in enumerate((HOUR_S, 0, -HOUR_S), 1):
            set_clock(clock, shift_s=step_s)
            await until(partial(has_jumped, site, count), what="a step noticed")
        await site.devices_ok()
        await site.stop()
        clocks = assert_every_response_has_its_time(site, off_s=(0, shift_s, HOUR_S, -HOUR_S))
        assert min(clocks[ClockSource.UNTRUSTED], clocks[ClockSource.GATEWAY]) > 0
        lake = site.lake()
        assert lake.duplicate_count == 0
        assert lake.sample_count == site.stored_samples()
        ledger, _ = site.ledger_and_events()
        assert ledger == []
        # In the log what was stamped in 1970 is put right all the same.
        [trend] = LogReader(site.log_path).frames([POLL_COUNT_TAG], from_ns=0, to_ns=2**62)
        assert trend.time_ns.min() > 10**18
        assert len(trend.value) == len(set(trend.value.tolist()))


async def has_jumped(site: Site, count: int) -> bool:
    return len([x for x in clock_events(site) if x.condition == "clock_jumped"]) == count
