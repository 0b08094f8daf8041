"""Sessions of a connector inside a block."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.arrays import IndexArray
from gateway.core.ports import Connector
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import within

GRACE_S = 10.0
"""A block may look at a session that has failed for so long; one that still waits waits in vain."""


@asynccontextmanager
async def in_session(
    connector: Connector, sink: KeepingSink, indices: IndexArray, *, grace_s: float = GRACE_S
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a session until the block ends; then cancel it and see it end.

    A block that waits for something that a failed session will never bring is ended, and says why.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(connector.session(sink, indices), name="session")
    try:
        async with asyncio.timeout(None) as patience:

            def hurry(_: asyncio.Task[None]) -> None:
                patience.reschedule(loop.time() + grace_s)

            task.add_done_callback(hurry)
            try:
                yield task
            finally:
                task.remove_done_callback(hurry)
    except TimeoutError:
        if not patience.expired():
            raise
        raise AssertionError("the session ended, and the test waited on") from (
            None if task.cancelled() else task.exception()
        )
    finally:
        task.cancel()
        await within(asyncio.wait([task]), what="a cancelled session")
