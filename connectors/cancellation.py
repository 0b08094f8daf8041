"""A cancellation is the order to stop, and wins over whatever fails at the same moment.

In Python 3.11 it can get lost: `TaskGroup` raises its children's errors instead of it, and
`wait_for` returns normally when its result comes at the same time. A session that then ends with
a device error would be begun again by its supervisor, and the gateway would not stop. The task
still knows (`Task.cancelling`), and that is asked here.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.core.errors import DeviceError


def raise_if_cancelled() -> None:
    """Raise the cancellation of the running task, if somebody asked for it.

    Raises:
        asyncio.CancelledError: somebody did.
    """
    task = asyncio.current_task()
    assert task is not None
    if task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def cancellation_first() -> Iterator[None]:
    """Turn a device error into the cancellation that came with it, if one did."""
    try:
        yield
    except DeviceError:
        raise_if_cancelled()
        raise
