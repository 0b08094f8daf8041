"""The stream: coalesced, bounded, and honest to a slow reader."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from gateway.api.answers import StreamLine
from gateway.api.client import GatewayClient
from gateway.api.errors import GoneError, RefusedError
from gateway.api.server import ApiConfig, ApiServer
from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.events import Event
from gateway.core.frame import Frame
from tests.gateway.fake_view import FakeView
from tests.gateway.serving import client_of

DEADLINE_S = 20.0
REQUEST = b"GET /v1/stream HTTP/1.1\r\nHost: gateway\r\n\r\n"


def event(number: int) -> Event:
    return Event(time_ns=number + 1, source="s", condition="c", severity=1, text=str(number))


def frame_of_all(view: FakeView, value: float) -> Frame:
    count = len(view.tags)
    return Frame(
        tag_index=index_column(range(count)),
        time_ns=time_column([view.clock_ns] * count),
        value=float_column([value] * count),
        status=status_column([0] * count),
        received_ns=view.clock_ns,
    )


async def test_changes_between_two_lines_are_one_line() -> None:
    view = FakeView()
    async with stream_of(view, prefix="pumps.P101.") as lines:
        assert (await anext(lines)).values == ()
        for value in (1.0, 2.0, 3.0):
            view.take_frame(frame_of_all(view, value))
        line = await anext(lines)
    assert [value.value for value in line.values] == [3.0] * 10


async def test_events_come_in_order_whatever_the_prefix() -> None:
    view = FakeView()
    async with stream_of(view, prefix="nothing") as lines:
        await anext(lines)
        view.news.take_events([event(1), event(2)])
        line = await anext(lines)
    assert [event.text for event in line.events] == ["1", "2"]


async def test_a_reader_that_slept_gets_the_newest_state_and_is_told() -> None:
    """While its socket is full nothing is kept for it; then one line holds the newest values."""
    view = FakeView(extra_tags=2500)
    last = 0
    async with asyncio.timeout(DEADLINE_S), client_of(view) as client, connected(client) as sleeper:
        for last in range(1, 81):
            view.take_frame(frame_of_all(view, float(last)))
            view.news.take_events([event(10 * last + n) for n in range(10)])
            await asyncio.sleep(0.02)
        reader, writer = await asyncio.open_unix_connection(sock=sleeper, limit=2**24)
        lines = await read_lines(reader, until=float(last))
        writer.close()
    assert max(line.late_s for line in lines) > 1.0
    assert sum(line.missed_events for line in lines) > 0
    assert len(lines) < 10, "what was not read in time is not kept"


async def test_one_reader_too_many_is_refused() -> None:
    async with (
        client_of(FakeView(), streams_max=1) as client,
        aclosing(client.stream()) as first,
        aclosing(client.stream()) as second,
    ):
        await anext(first)
        with pytest.raises(RefusedError, match="1 readers"):
            await anext(second)


async def test_a_gateway_that_stops_ends_the_stream_with_a_reason(tmp_path: Path) -> None:
    config = ApiConfig(socket=tmp_path / "s")
    async with (
        asyncio.timeout(DEADLINE_S),
        GatewayClient(config.socket) as client,
        aclosing(client.stream()) as lines,
    ):
        async with ApiServer(config, FakeView()).serving():
            await anext(lines)
        with pytest.raises(GoneError, match="stopping"):
            await anext(lines)


@asynccontextmanager
async def stream_of(
    view: FakeView, *, prefix: str
) -> AsyncIterator[AsyncGenerator[StreamLine, None]]:
    async with (
        asyncio.timeout(DEADLINE_S),
        client_of(view) as client,
        aclosing(client.stream(prefix=prefix)) as lines,
    ):
        yield lines


@asynccontextmanager
async def connected(client: GatewayClient) -> AsyncIterator[socket.socket]:
    """Give a socket on which the stream was asked for, and which nobody reads."""
    with socket.socket(socket.AF_UNIX) as sleeper:
        sleeper.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sleeper, str(client.socket))
        await asyncio.get_running_loop().sock_sendall(sleeper, REQUEST)
        yield sleeper


async def read_lines(reader: asyncio.StreamReader, *, until: float) -> list[StreamLine]:
    """Return the lines up to the first that holds this value; chunk sizes are passed over."""
    lines: list[StreamLine] = []
    while not lines or not any(value.value == until for value in lines[-1].values):
        line = await reader.readline()
        if line.startswith(b"{"):
            lines.append(StreamLine.model_validate_json(line))
    return lines
