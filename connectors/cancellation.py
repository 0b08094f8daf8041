"""A cancellation is the order to stop, and wins over whatever fails at the same moment.

In Python 3.11 it can get lost: `wait_for` returns normally when its result comes at the same
time, and an error in a clean-up takes its place. A session that then ends with a device error
would be begun again by its supervisor, and the gateway would not stop. The task still knows
(`Task.cancelling`), and that is asked here. (Not inside of a `TaskGroup`, nor behind one: its own
way of ending its task counts as a cancellation there.)
"""

import asyncio
from types import TracebackType
from typing import Self

from gateway.core.errors import DeviceError


class CancellationFirst:
    """Turns a device error that leaves its context into the cancellation that came with it."""

    def __enter__(self) -> Self:
        """Note how often the running task was cancelled before."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let everything pass but a device error at a stop."""
        if isinstance(error, DeviceError):
            self.check()

    def check(self) -> None:
        """Raise a cancellation that got lost.

        Raises:
            asyncio.CancelledError: one was asked for since the context was entered.
        """
        if self._task.cancelling() > self._cancelled_before:
            raise asyncio.CancelledError
