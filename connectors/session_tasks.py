"""The tasks of one session: the first one that fails ends them all.

No TaskGroup: in Python 3.11 it marks its own task as cancelled when a child fails, and then a real
cancellation cannot be told from a lost device (see `cancellation`).
"""

import asyncio
from collections.abc import Sequence
from typing import NoReturn


async def run_together(tasks: Sequence[asyncio.Task[NoReturn]]) -> NoReturn:
    """Wait until a task fails, or this is cancelled; end all tasks, and raise what the one raised.

    Args:
        tasks: At least one; they are over when this returns.
    """
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    raise next(error for task in ended if (error := task.exception()) is not None)
