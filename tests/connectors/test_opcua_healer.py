"""The healer against asyncua's server, whose historian gives no continuation of its own accord."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.server.history import HistoryDict
from asyncua.ua.uatypes import datetime_to_win_epoch

from connectors.opcua.items import FILETIME_1970
from gateway.core.arrays import index_column, time_column
from gateway.core.frame import Origin
from gateway.core.gaps import Gaps
from tests.connectors.contract import running
from tests.connectors.opcua_plant import OpcuaPlant
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import Wire, until


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[OpcuaPlant]:
    """A server that keeps a history of Flow, and of nothing else."""
    async with Wire() as wire:
        plant = OpcuaPlant(tmp_path, wire)
        await plant.start_server()
        assert plant.server is not None
        await plant.server.historize_node_data_change(plant.nodes["Flow"], period=timedelta(days=1))
        plant.connector = plant.connector_with(
            timeout_s=10, history_delay_s=0.05, history_samples_max=10, history_share_max=1
        )
        yield plant
        await plant.stop_server()


def time_ns(moment: datetime | None) -> int:
    assert moment is not None
    return (datetime_to_win_epoch(moment) - FILETIME_1970) * 100


async def kept(plant: OpcuaPlant) -> list[tuple[int, float]]:
    """Return what the server's history holds of Flow."""
    assert plant.server is not None
    storage = plant.server.iserver.history_manager.storage
    assert isinstance(storage, HistoryDict)
    return [
        (time_ns(each.SourceTimestamp), float(each.Value.Value))
        for each in storage._datachanges[plant.nodes["Flow"].nodeid]
        if each.Value is not None
    ]


def times_of(sink: KeepingSink, index: int) -> list[int]:
    return [
        int(each) for frame in sink.received for each in frame.time_ns[frame.tag_index == index]
    ]


def historical(sink: KeepingSink) -> list[tuple[int, int, float]]:
    return [
        (int(frame.tag_index[k]), int(frame.time_ns[k]), float(frame.value[k]))
        for frame in sink.received
        if frame.origin is Origin.HISTORICAL
        for k in range(len(frame))
    ]


def gaps_of(plant: OpcuaPlant, *names: str, from_ns: int, to_ns: int) -> Gaps:
    positions = [plant.connector.tags.index(plant.tag(name)) for name in names]
    return Gaps(
        number=time_column(range(1, len(names) + 1)),
        position=index_column(positions),
        from_ns=time_column([from_ns] * len(names)),
        to_ns=time_column([to_ns] * len(names)),
    )


async def test_a_gap_is_read_to_its_end_though_every_page_is_full(plant: OpcuaPlant) -> None:
    """The ends are left out; a tag without a history is told; the live values go on."""
    sink = KeepingSink()
    flow = plant.index("Flow")
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(flow)) > 40, what="live values")
        history = await kept(plant)
        inside = history[3:-3]
        sink.open_gaps = gaps_of(
            plant, "Flow", "Speed", from_ns=history[2][0], to_ns=history[-3][0]
        )
        live = len(sink.values_of(flow))
        await until(lambda: bool(sink.healings), what="the end of the healing")
        await until(
            lambda: len(sink.values_of(flow)) > live + len(inside), what="live values beside it"
        )
    assert historical(sink) == [(flow, time, value) for time, value in inside]
    assert len(inside) > 25
    [healing] = sink.healings
    assert (healing.number, healing.sample_count) == (2, len(inside))
    assert (healing.tag_count, healing.refused_count) == (1, 1)


async def test_a_stop_in_the_middle_lets_the_server_forget_its_pages(plant: OpcuaPlant) -> None:
    """And nothing is said to be healed."""
    assert plant.server is not None
    manager = plant.server.iserver.history_manager
    assert isinstance(manager.storage, HistoryDict)
    manager.storage.max_history_data_response_size = 5
    plant.connector = plant.connector_with(
        timeout_s=10, history_delay_s=0.05, history_samples_max=1000, history_share_max=0.01
    )
    asked: list[tuple[bool, bool]] = []
    read = manager.read_history

    async def note(params: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:
        [node] = params.NodesToRead
        asked.append((bool(params.ReleaseContinuationPoints), bool(node.ContinuationPoint)))
        return await read(params)

    manager.read_history = note  # type: ignore[method-assign]  # the server's: to see its orders
    sink = KeepingSink()
    flow = plant.index("Flow")
    async with running(plant, sink):
        await until(lambda: len(sink.values_of(flow)) > 30, what="live values")
        history = await kept(plant)
        sink.open_gaps = gaps_of(plant, "Flow", from_ns=history[0][0], to_ns=history[-1][0])
        await until(lambda: len(historical(sink)) > 5, what="a page")
        await asyncio.sleep(0)
    assert asked[0] == (False, False)
    assert asked[-1] == (True, True)
    assert set(asked[1:-1]) <= {(False, True)}
    assert sink.healings == []
    assert len(historical(sink)) < len(history) - 2
