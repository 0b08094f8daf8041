"""Runs a connector under a real supervisor, and keeps what it hands on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.arrays import index_column
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame
from gateway.core.ports import Connector
from gateway.core.records import LedgerEntry
from gateway.supervisor import DeviceSupervisor
from gateway.wire.backoff import Backoff
from gateway.wire.clock import SystemClock
from tests.connectors.wire import within


class KeepingIntake:
    """Implements `Intake`."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        """As the device gave them."""
        self.events: list[Event] = []
        self.entries: list[LedgerEntry] = []

    async def put(self, frame: Frame) -> None:
        if frame.is_received:
            self.frames.append(frame)

    def note(self, entry: Frame | Event | LedgerEntry) -> None:
        if isinstance(entry, Event):
            self.events.append(entry)
        elif isinstance(entry, LedgerEntry):
            self.entries.append(entry)

    def transitions(self, condition: str) -> list[Transition]:
        """Return what happened to a condition, in order."""
        return [each.transition for each in self.events if each.condition == condition]

    def values_of(self, index: int) -> list[float]:
        """Return the values of one tag, in their order."""
        return [
            float(value) for frame in self.frames for value in frame.value[frame.tag_index == index]
        ]


@asynccontextmanager
async def supervised(connector: Connector) -> AsyncIterator[KeepingIntake]:
    """Keep a connector going until the block ends; its tags stand from 0 on in the table."""
    intake = KeepingIntake()
    supervisor = DeviceSupervisor(
        connector,
        indices=index_column(range(len(connector.tags))),
        intake=intake,
        clock=SystemClock(),
        backoff=Backoff(first_s=0.1, cap_s=0.5, healthy_s=60),
    )
    task = asyncio.create_task(supervisor.run(), name="connector")
    try:
        yield intake
    finally:
        task.cancel()
        await within(asyncio.wait([task]), what="a cancelled connector")
