"""The first task of a session that fails ends the others, and a cancellation ends all."""

import asyncio
from typing import NoReturn

import pytest

from connectors.cancellation import CancellationFirst
from connectors.session_tasks import run_together
from gateway.core.errors import DeviceError


class Work:
    """Tasks that run for ever, or fail."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def tasks(self, *names: str, failing: str = "") -> list[asyncio.Task[NoReturn]]:
        return [
            asyncio.create_task(self._run(name, fails=name == failing), name=name) for name in names
        ]

    async def _run(self, name: str, *, fails: bool) -> NoReturn:
        try:
            await asyncio.sleep(0)
            if fails:
                raise DeviceError(name)
            await asyncio.Event().wait()
            raise AssertionError(name)
        finally:
            self.ended.append(name)


async def test_the_first_failure_ends_the_others_and_is_raised() -> None:
    work = Work()
    with pytest.raises(DeviceError, match="two"):
        await run_together(work.tasks("one", "two", "three", failing="two"))
    assert work.ended[0] == "two"
    assert sorted(work.ended) == ["one", "three", "two"]


async def test_a_cancellation_ends_all_of_them() -> None:
    work = Work()
    running = asyncio.create_task(run_together(work.tasks("one", "two")))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert sorted(work.ended) == ["one", "two"]


async def test_a_failure_does_not_look_like_a_cancellation() -> None:
    """What a task group would make of it: the session would stop instead of beginning anew."""
    with pytest.raises(DeviceError), CancellationFirst():
        await run_together(Work().tasks("one", "two", failing="one"))
