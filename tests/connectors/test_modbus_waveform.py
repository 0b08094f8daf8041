"""Waveforms from a Modbus device: whole buffers, each once, against pymodbus' server."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from pydantic import ValidationError
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from gateway.core.arrays import index_column
from gateway.wire.clock import SystemClock
from tests.connectors.sessions import in_session
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import until

COUNT = 300
"""Values: three requests of 125 registers."""
COUNTER, FIRST = 50, 100
RATE_HZ = 5000.0


class Sampler:
    """A device whose buffer changes now and then, in the middle of a reading, too."""

    def __init__(self, *, share: float) -> None:
        """Change the buffer at this share of the requests."""
        self.buffers = 0
        self._share = share
        self._draw = random.Random(5)

    async def action(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> None:
        if self._draw.random() < self._share:
            self.buffers += 1
        registers[COUNTER - start] = self.buffers % 65536
        base = self.buffers % 100 * COUNT
        registers[FIRST - start : FIRST + COUNT - start] = list(range(base, base + COUNT))


@asynccontextmanager
async def sampling(sampler: Sampler) -> AsyncIterator[int]:
    words = [SimData(0, values=[0] * 500, datatype=DataType.REGISTERS)]
    bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    device = SimDevice(1, simdata=(bits, bits, words, words), action=sampler.action)
    server = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    # pymodbus keeps the listening server where it keeps a connection otherwise.
    listener = cast("asyncio.Server", server.transport)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus'


def connector_on(port: int, folder: Path, **settings: object) -> ModbusConnector:
    (folder / "map.csv").write_text("tag,address,type\nload,60,uint16\n", encoding="utf-8")
    wave = {
        "address": str(FIRST),
        "type": "uint16",
        "count": COUNT,
        "rate_hz": RATE_HZ,
        "counter": str(COUNTER),
        "period_ms": 20,
        "unit": "m/s2",
        "scale": 0.5,
    }
    config = ModbusConfig.model_validate(
        {
            "type": "modbus",
            "address": f"127.0.0.1:{port}",
            "tags": "map.csv",
            "period_ms": 200,
            "waveforms": {"drive_end": wave | settings},
        }
    )
    return ModbusConnector("pump", config, folder=folder, clock=SystemClock())


async def test_only_whole_buffers_come_and_each_once(tmp_path: Path) -> None:
    """The buffer is overwritten at any time, in the middle of many a reading."""
    sampler = Sampler(share=0.12)
    async with sampling(sampler) as port:
        connector = connector_on(port, tmp_path)
        assert [str(tag.id) for tag in connector.tags] == ["pump.load", "pump.drive_end"]
        assert connector.tags[1].scale == 0.5
        sink = KeepingSink()
        async with in_session(connector, sink, index_column([0, 1])):
            await until(lambda: len(sink.values_of(1)) >= 8 * COUNT, what="eight waveforms")
            await until(lambda: connector._waveform_memory[0].torn_count > 0, what="a torn buffer")
    frames = [frame for frame in sink.frames if (frame.tag_index == 1).all()]
    firsts = []
    for frame in frames:
        np.testing.assert_array_equal(np.diff(frame.value), np.ones(len(frame) - 1))
        if len(frame) == COUNT:
            assert frame.value[0] % COUNT == 0
        assert (np.diff(frame.time_ns) == 200_000).all()
        firsts.append(frame.value[-1])
    assert len(firsts) == len(set(firsts))
    times = np.concatenate([frame.time_ns for frame in frames])
    assert (np.diff(times) > 0).all()
    assert sink.values_of(0)


async def test_a_buffer_that_does_not_change_is_read_once(tmp_path: Path) -> None:
    async with sampling(Sampler(share=0.0)) as port:
        connector = connector_on(port, tmp_path)
        sink = KeepingSink()
        async with in_session(connector, sink, index_column([0, 1])):
            await until(lambda: len(sink.values_of(0)) >= 3, what="scans")
        assert len(sink.values_of(1)) == COUNT
        async with in_session(connector, sink, index_column([0, 1])):
            await until(lambda: len(sink.values_of(0)) >= 6, what="scans of another session")
        assert len(sink.values_of(1)) == COUNT


async def test_a_buffer_that_is_refused_is_bad_once_and_scans_go_on(tmp_path: Path) -> None:
    async with sampling(Sampler(share=0.1)) as port:
        connector = connector_on(port, tmp_path, address="9000")
        sink = KeepingSink()
        async with in_session(connector, sink, index_column([0, 1])):
            await until(lambda: len(sink.values_of(0)) >= 4, what="scans")
    [stated] = [frame for frame in sink.frames if 1 in frame.tag_index]
    assert not stated.is_received
    assert np.isnan(stated.value).all()


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ({"address": "coil:1"}, "does not fit coils"),
        ({"address": "coil:1", "type": "bool"}, "numbers in registers"),
        ({"address": "65400"}, "go beyond 65535"),
        ({"count": 1}, "greater than or equal to 2"),
        ({"rate_hz": 0}, "greater than 0"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, settings: dict[str, object], mistake: str) -> None:
    with pytest.raises((ValidationError, ValueError), match=mistake):
        connector_on(1, tmp_path, **settings)
