"""Waiting on the event loop for what the writer's thread does."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Progress:
    """Lets tasks wait for a condition that another thread makes true."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._lock = threading.Lock()
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def wait_for(self, is_done: Callable[[], bool]) -> None:
        """Return as soon as a condition holds.

        Args:
            is_done: Quick, and safe to be called from any thread.
        """
        while not is_done():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            with self._lock:
                self._waiters.append((is_done, future))
            # The other thread may have been here between the first look and the entry above.
            if is_done():
                self.tell()
            await future

    def tell(self) -> None:
        """Wake those whose condition holds now; from any thread."""
        with self._lock:
            woken = [waiter for waiter in self._waiters if waiter[0]()]
            self._waiters = [
                waiter
                for waiter in self._waiters
                if waiter not in woken and not waiter[1].cancelled()
            ]
        for _, future in woken:
            with suppress(RuntimeError):  # the loop is closed, and with it whoever waited
                future.get_loop().call_soon_threadsafe(_wake, future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
