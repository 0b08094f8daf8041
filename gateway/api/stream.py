"""The stream: new values and events, one JSON document a line (NDJSON).

A line holds all that became new since the line before, at most `LINES_PER_S` a second. There is
no queue for a reader: while it does not read, nothing is kept for it. When it reads again it gets
the newest values in one line, and is told how late it was and how many events it missed. A reader
that takes nothing for `STALL_S` is hung up on.
"""

import asyncio
import time

import numpy as np
from aiohttp import web

from gateway.api.answers import StreamLine
from gateway.api.requests import StreamRequest
from gateway.api.translate import event_answer, moment, tag_answer
from gateway.api.view import Change, GatewayView, Subscription
from gateway.core.arrays import BoolArray, index_column

LINES_PER_S = 4
"""Changes that follow each other faster are one line."""
HEARTBEAT_S = 5.0
"""Longest silence; an empty line then says that the gateway is there."""
STALL_S = 30.0
"""Longest time that a reader may take for one line."""
LATE_S = 1.0
"""A reader that keeps the gateway waiting for longer is told so."""


async def write_stream(
    response: web.StreamResponse, view: GatewayView, request: StreamRequest
) -> None:
    """Write lines until the reader hangs up, or stalls for too long."""
    table = view.table()
    wanted = np.array([tag.id.startswith(request.prefix) for tag in table.tags], dtype=np.bool_)
    late_s = 0.0
    with view.subscribe() as subscription:
        await response.write(_line(view, _NOTHING, wanted, late_s=0.0))
        while True:
            change = await _next_change(subscription)
            started = time.monotonic()
            try:
                async with asyncio.timeout(STALL_S):
                    await response.write(_line(view, change, wanted, late_s=late_s))
            except (TimeoutError, ConnectionError):
                return
            waited_s = time.monotonic() - started
            late_s = waited_s if waited_s > LATE_S else 0.0
            await asyncio.sleep(1 / LINES_PER_S)


_NOTHING = Change(tag_index=index_column([]), events=(), missed_events=0)


async def _next_change(subscription: Subscription) -> Change:
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            return await subscription.changed()
    except TimeoutError:
        return _NOTHING


def _line(view: GatewayView, change: Change, wanted: BoolArray, *, late_s: float) -> bytes:
    values, tags = view.values(), view.table().tags
    indices = change.tag_index[wanted[change.tag_index]].tolist()
    line = StreamLine(
        now=moment(view.now_ns()),
        values=tuple(tag_answer(tags[index], index, values) for index in indices),
        events=tuple(map(event_answer, change.events)),
        missed_events=change.missed_events,
        late_s=late_s,
    )
    return line.model_dump_json().encode() + b"\n"
