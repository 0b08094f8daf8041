"""Random faults on every process and every link for a while, then the books.

    python -m tests.soak [--minutes 20] [--seed N] [--at-once 2]

Plant, gateway, cloud and a time-series database run as they are installed, with a link between each
two. Faults are drawn from the seed; then everything is mended, drained and stopped, and every value
that the plant ever offered is looked for. Ends with 1 when the books do not balance.
"""

import argparse
import asyncio
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.crash.site import Site, opened, until
from tests.interop.victoria import VictoriaMetrics
from tests.soak.bucket import points_of_bucket, points_of_log
from tests.soak.faults import Faults, SiteProcess
from tests.soak.link import Link

DATABASE = "influx"
UPSERT = "-dedup.minScrapeInterval=1ms"
BOOKS = {"offered", "stored", "in_lake", "gap", "ledgered", "lost", "duplicated"}
MEND_S = 180.0
"""Longest time from the last fault until everything is delivered."""


async def soak(folder: Path, *, seed: int, duration_s: float, at_once: int) -> None:
    """Run it in an empty folder, print the books, and fail unless they balance."""
    begun = time.monotonic()
    dice = random.Random(seed)
    links: dict[str, Link] = {}

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {text}", flush=True)

    async with AsyncExitStack() as stack:

        async def road(name: str, address: str) -> str:
            host, _, port = address.rpartition(":")
            links[f"link to {name}"] = link = Link(name, host, int(port))
            await link.start()
            stack.push_async_callback(link.stop)
            return link.address

        database = VictoriaMetrics(folder, options=(UPSERT,))
        await database.start()
        stack.push_async_callback(database.kill)
        address = await road(DATABASE, database.url.removeprefix("http://"))
        site = await stack.enter_async_context(
            opened(folder, seed=dice.randrange(1000), more=_database_table(address), road=road)
        )
        await site.devices_ok()
        faults = Faults(
            processes={
                DATABASE: database,
                **{name: SiteProcess(site=site, name=name) for name in site.children},
            },
            never_killed=frozenset({DATABASE}),
            links=links,
            dice=dice,
            counts=Counter(),
            say=say,
        )
        await faults.run(duration_s=duration_s, at_once=at_once)
        say("everything is mended")

        async def drained() -> bool:
            async with site.client() as client:
                devices = (await client.devices()).devices
                uplinks = (await client.uplinks()).uplinks
            is_ok = all(device.state == "ok" for device in devices)
            return is_ok and all(x.state == "ok" and x.lag_s < 5 for x in uplinks)

        await until(drained, what="devices ok, all delivered", deadline_s=MEND_S)
        say("everything is delivered")
        await site.stop()
        for fault, count in sorted(faults.counts.items()):
            print(f"  {count:4} x {fault}")
        _balance_cloud(site)
        await _balance_database(site, database)
        say("the books balance")


def _balance_cloud(site: Site) -> None:
    """Print the books from the plant to the lake, and what is lost in them."""
    samples = site.closed_books()
    for name, count in samples.model_dump(include=BOOKS).items():
        print(f"  {name:12} {count:9}")
    for lost in site.lost_values():
        print(f"  lost: {lost}")
    site.assert_balanced()


async def _balance_database(site: Site, database: VictoriaMetrics) -> None:
    """Print how much of the log is in the database; it must be all, once."""
    in_log, in_bucket = points_of_log(site.log_path), await points_of_bucket(database)
    print(f"  in the log   {len(in_log):9} points of tag and millisecond, derived ones included")
    print(f"  in {DATABASE:9} {in_bucket.total():9}")
    assert in_bucket.total() == len(in_bucket), "points are there twice"
    assert set(in_bucket) == in_log, sorted(in_log.symmetric_difference(in_bucket))[:10]


def _database_table(address: str) -> str:
    return f"""
[uplinks.{DATABASE}]
type = "influxdb"
url = "http://{address}"
bucket = "plant"
timeout_s = 5

[uplinks.{DATABASE}.delivery]
retry_first_s = 0.2
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it once and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--at-once", type=int, default=2, help="faults at the same time")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    chosen = parser.parse_args(arguments)
    print(f"--seed {chosen.seed}")
    folder = Path(tempfile.mkdtemp(prefix="edgewright-soak-"))
    print(f"in {folder}, which stays when the books do not balance")
    asyncio.run(
        soak(folder, seed=chosen.seed, duration_s=chosen.minutes * 60, at_once=chosen.at_once)
    )
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
