"""Frames that wait for a sink, and a cancellation in between."""

import asyncio

import numpy as np

from connectors.outbox import Outbox
from gateway.core.frame import Frame
from tests.connectors.sinks import KeepingSink


def frame_of(count: int) -> Frame:
    return Frame(
        tag_index=np.arange(count, dtype=np.int32),
        time_ns=np.ones(count, dtype=np.int64),
        value=np.zeros(count),
        status=np.zeros(count, dtype=np.uint32),
        received_ns=1,
    )


async def test_a_cancelled_flush_is_taken_up_again() -> None:
    sink = KeepingSink()
    outbox = Outbox(sink)
    sink.fill()
    for count in (3, 0, 2):
        outbox.put(frame_of(count))
    task = asyncio.create_task(outbox.flush())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert outbox.sample_count == 5
    sink.drain()
    await outbox.flush()
    assert [len(frame) for frame in sink.frames] == [3, 2]
    assert outbox.sample_count == 0
