"""What may go wrong: processes that end or stand still, links that break, swallow or crawl."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from tests.crash.site import Site
from tests.soak.link import Link

FAULT_S: Final = (0.2, 12.0)
"""A fault that lasts takes a time in this range, most of them short."""
PAUSE_S: Final = (0.2, 5.0)
SLOW_BYTES_PER_S: Final = (2_000.0, 50_000.0)


class Process(Protocol):
    """What can be ended and started again, at its old address."""

    @property
    def pid(self) -> int:
        """Process id; it must have been started."""

    async def start(self) -> object:
        """Start it and wait until it works."""

    async def stop(self) -> object:
        """End it in good order."""

    async def kill(self) -> None:
        """End it as a power cut does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteProcess:
    """Implements `Process` with one of a site's."""

    site: Site
    name: str

    @property
    def pid(self) -> int:
        """Process id."""
        return self.site.children[self.name].pid

    async def start(self) -> None:
        """Start it at its old address."""
        await self.site.start(self.name)

    async def stop(self) -> None:
        """End it in good order."""
        await self.site.children[self.name].stop()

    async def kill(self) -> None:
        """End it as a power cut does."""
        await self.site.children[self.name].kill()


@dataclass(slots=True, kw_only=True)
class Faults:
    """Draws faults until the time is over; several at once, but one at a process."""

    processes: Mapping[str, Process]
    never_killed: frozenset[str]
    """Processes that promise nothing about a kill."""
    links: Mapping[str, Link]
    dice: random.Random
    counts: Counter[str]
    """How often each fault hit each target."""
    say: Callable[[str], None]

    async def run(self, *, duration_s: float, at_once: int) -> None:
        """Let faults happen; when it returns, every process runs and every link is well."""
        locks = {name: asyncio.Lock() for name in (*self.processes, *self.links)}
        end = asyncio.get_running_loop().time() + duration_s
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._row(locks, end))

    async def _row(self, locks: Mapping[str, asyncio.Lock], end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(self.dice.uniform(*PAUSE_S))
            name = self.dice.choice(sorted(locks))
            kind = self.dice.choice(sorted(self._kinds(name)))
            async with locks[name]:
                self.counts[f"{kind} {name}"] += 1
                self.say(f"{kind} {name}")
                await self._kinds(name)[kind](name)

    def _kinds(self, name: str) -> Mapping[str, Callable[[str], Awaitable[None]]]:
        if name in self.links:
            return {"cut": self._cut, "swallow": self._swallow, "slow": self._slow}
        gentle = {"restart": self._restart, "freeze": self._freeze}
        return gentle if name in self.never_killed else {**gentle, "kill": self._kill}

    def _duration_s(self) -> float:
        shortest, longest = FAULT_S
        return shortest + (longest - shortest) * self.dice.random() ** 3

    async def _kill(self, name: str) -> None:
        await self.processes[name].kill()
        await asyncio.sleep(self._duration_s() if self.dice.random() < 0.5 else 0.0)
        await self.processes[name].start()

    async def _restart(self, name: str) -> None:
        await self.processes[name].stop()
        await asyncio.sleep(self._duration_s() if self.dice.random() < 0.5 else 0.0)
        await self.processes[name].start()

    async def _freeze(self, name: str) -> None:
        pid = self.processes[name].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self._duration_s())
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _cut(self, name: str) -> None:
        await self.links[name].cut()
        await self._heal_later(name)

    async def _swallow(self, name: str) -> None:
        self.links[name].swallow()
        await self._heal_later(name)

    async def _slow(self, name: str) -> None:
        self.links[name].slow_down(self.dice.uniform(*SLOW_BYTES_PER_S))
        await self._heal_later(name)

    async def _heal_later(self, name: str) -> None:
        try:
            await asyncio.sleep(self._duration_s())
        finally:
            self.links[name].heal()
