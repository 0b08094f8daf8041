"""Random faults on every process and every link for a while, then the books.

    python -m tests.soak [--minutes 20] [--seed N] [--at-once 2]

Plant, gateway and cloud run as they are installed, with a link between each two. Faults are drawn
from the seed; then everything is mended, drained and stopped, and every value that the plant ever
offered is looked for. Ends with 1 when the books do not balance.
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

from tests.crash.site import opened, until
from tests.soak.faults import Faults
from tests.soak.link import Link

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

        site = await stack.enter_async_context(opened(folder, seed=dice.randrange(1000), road=road))
        await site.devices_ok()
        faults = Faults(site=site, links=links, dice=dice, counts=Counter(), say=say)
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
        samples = site.closed_books()
        print(samples.model_dump_json(indent=1))
        for lost in site.lost_values():
            print(f"  lost: {lost}")
        site.assert_balanced()
        say("the books balance")


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
