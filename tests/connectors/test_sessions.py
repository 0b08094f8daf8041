"""Tests do not wait for what a failed session will never bring."""

import asyncio
from pathlib import Path

import pytest

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from gateway.core.arrays import index_column
from gateway.core.errors import DeviceError
from gateway.wire.clock import SystemClock
from tests.connectors.sessions import in_session
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import until


@pytest.fixture
def nowhere(tmp_path: Path) -> ModbusConnector:
    """Return a connector to a port that nobody listens on."""
    (tmp_path / "press.csv").write_text("tag,address,type\nlevel,4,uint16\n", encoding="utf-8")
    config = ModbusConfig.model_validate(
        {"type": "modbus", "address": "127.0.0.1:1", "tags": "press.csv"}
    )
    return ModbusConnector("press", config, folder=tmp_path, clock=SystemClock())


async def test_a_wait_ends_when_the_session_has_failed(nowhere: ModbusConnector) -> None:
    sink = KeepingSink()
    with pytest.raises(AssertionError, match="session ended") as caught:
        async with in_session(nowhere, sink, index_column([0]), grace_s=0.01):
            await until(lambda: bool(sink.received), what="frames")
    assert isinstance(caught.value.__cause__, DeviceError)


async def test_a_failure_may_be_looked_at(nowhere: ModbusConnector) -> None:
    async with in_session(nowhere, KeepingSink(), index_column([0])) as task:
        await asyncio.wait([task])
        assert isinstance(task.exception(), DeviceError)
