"""All that is polled in one session, beside its subscriptions.

Each period has a poller; they also take over what the server has no monitored items for.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import NoReturn

import structlog

from connectors.opcua.monitor import Item
from connectors.opcua.poller import Poller, PollSurroundings
from connectors.session_tasks import run_together
from gateway.core.events import Event

SEVERITY_RAN_OUT = 300

log = structlog.get_logger()


class Polls:
    """The pollers of one session; they also take over what the server cannot watch."""

    def __init__(self, periods_ms: dict[int, int], around: PollSurroundings) -> None:
        """Make a poller for each period, without items.

        Args:
            periods_ms: Of each item that may be polled, by its handle.
            around: See there.
        """
        self._periods_ms = periods_ms
        self._around = around
        self._pollers = {
            period_ms: Poller(period_ms, around) for period_ms in sorted(set(periods_ms.values()))
        }
        self._taken_over: set[int] = set()

    def add(self, items: Sequence[Item]) -> None:
        """Poll items at their own rates."""
        for period_ms, poller in self._pollers.items():
            joining = [item for item in items if self._periods_ms[item.handle] == period_ms]
            if joining:
                poller.join(joining)

    def take_over(self, items: Sequence[Item]) -> None:
        """Poll items for which the server has no monitored items left."""
        self._taken_over |= {item.handle for item in items}
        self.add(items)

    def tell_taken_over(self) -> None:
        """Tell how many tags are polled for want of monitored items, when it is another number."""
        around, count = self._around, len(self._taken_over)
        if count == around.memory.ran_out_count:
            return
        around.memory.ran_out_count = count
        if not count:
            return
        log.warning(
            "monitored_items_ran_out",
            device=around.device,
            polled_count=count,
            tag_count=len(self._periods_ms),
            stage="receiving",
        )
        around.sink.note(
            Event(
                time_ns=around.clock.now_ns(),
                source=around.name,
                condition="monitored_items_ran_out",
                severity=SEVERITY_RAN_OUT,
                text=f"{around.name} has no subscriptions or monitored items for {count} of "
                f"{len(self._periods_ms)} tags: these are polled. Raise the server's limit, end "
                'other clients, or write read = "poll" for slow groups.',
            )
        )

    async def run_beside(self, others: Sequence[Coroutine[object, object, NoReturn]]) -> NoReturn:
        """Run all pollers, and the other work of the session, until cancelled.

        Raises:
            DeviceError: one of them lost the server.
        """
        tasks = [asyncio.create_task(work, name="session_work") for work in others]
        for period_ms, poller in self._pollers.items():
            tasks.append(asyncio.create_task(poller.run(), name=f"poll[{period_ms}]"))
        await run_together(tasks)
