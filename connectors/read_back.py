"""Writes to machines that answer by reporting: who waits for which value to be reported."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from gateway.core.errors import DeviceError

TOLERANCE = 1e-6
"""Relative; what a device in single precision makes of a number is still the number."""


@dataclass(slots=True)
class ReadBack:
    """A write that waits for the machine to report its value."""

    position: int
    raw: float
    _settled: asyncio.Event = field(default_factory=asyncio.Event)
    _found: float | None = None
    _lost: DeviceError | None = None

    async def result(self, *, wait_s: float) -> float | None:
        """Return the value once it is reported.

        Another one is returned when it is the last at the end of the time; None when there is none.

        Raises:
            DeviceError: the session ended meanwhile.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._settled.wait()
        if self._lost is not None:
            raise self._lost
        return self._found

    def note(self, value: float) -> None:
        """Note a value that the machine reports."""
        if not self._settled.is_set():
            self._found = value
            if math.isclose(value, self.raw, rel_tol=TOLERANCE, abs_tol=1e-12):
                self._settled.set()

    def lose(self, error: DeviceError) -> None:
        """Note that no value will come."""
        self._lost = error
        self._settled.set()


class ReadBacks:
    """Those of one session."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: list[ReadBack] = []

    @contextmanager
    def expected(self, position: int, raw: float) -> Iterator[ReadBack]:
        """Look at the reports of the tag at a position, from before it is written."""
        waiting = ReadBack(position, raw)
        self._waiting.append(waiting)
        try:
            yield waiting
        finally:
            self._waiting.remove(waiting)

    def note(self, position: int, value: float) -> None:
        """Note a value that the machine reports, as the device writes it."""
        for waiting in self._waiting:
            if waiting.position == position:
                waiting.note(value)

    def lose(self, error: DeviceError) -> None:
        """Let all who wait fail: the session has ended."""
        for waiting in self._waiting:
            waiting.lose(error)
