"""A server that dies again and again costs neither open files nor tasks."""

import asyncio
import gc
from pathlib import Path

import pytest

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from connectors.opcua.connector import OpcuaConfig, OpcuaConnector
from gateway.core.arrays import index_column
from gateway.core.device_status import DeviceState
from gateway.core.ports import Connector
from gateway.pipeline import Ingress
from gateway.simulate.modbus import ModbusServer
from gateway.simulate.opcua import OpcuaServer
from gateway.simulate.server import ServerState
from gateway.supervisor import DeviceSupervisor
from gateway.wire.backoff import Backoff
from gateway.wire.clock import SystemClock
from tests.gateway.service_run import COMPRESSOR_SHEET
from tests.gateway.simulate_peers import modbus_server, opcua_server
from tests.gateway.store_cases import until
from tests.gateway.test_service_bad_input import NODES

RECONNECTS = 30
SETTLED = 5
"""Reconnects after which everything that is made once has been made."""
SPARE = 2
"""Files and tasks that may be on their way out at the moment of counting."""


async def test_dying_modbus_servers_leak_nothing(tmp_path: Path) -> None:
    (tmp_path / "k01.csv").write_text(COMPRESSOR_SHEET, encoding="utf-8")
    async with modbus_server(tmp_path) as server:
        config = ModbusConfig.model_validate(
            {"type": "modbus", "address": server.endpoint, "tags": "k01.csv", "period_ms": 20}
        )
        connector = ModbusConnector("k01", config, folder=tmp_path, clock=SystemClock())
        await _assert_steady(connector, server)


@pytest.mark.slow
async def test_dying_opcua_servers_leak_nothing(tmp_path: Path) -> None:
    (tmp_path / "pumps.csv").write_text(NODES, encoding="utf-8")
    async with opcua_server(tmp_path) as server:
        settings = {
            "type": "opcua",
            "endpoint": server.endpoint,
            "security": "None",
            "tags": "pumps.csv",
            "sampling_ms": 20,
            "publishing_ms": 20,
        }
        connector = OpcuaConnector(
            "pumps",
            OpcuaConfig.model_validate(settings),
            folder=tmp_path,
            state_folder=tmp_path / "state",
            clock=SystemClock(),
        )
        await _assert_steady(connector, server)


async def _assert_steady(connector: Connector, server: ModbusServer | OpcuaServer) -> None:
    ingress = Ingress(size_bytes_max=1 << 24)
    supervisor = DeviceSupervisor(
        connector,
        indices=index_column(range(len(connector.tags))),
        intake=ingress,
        clock=SystemClock(),
        backoff=Backoff(first_s=0.01, cap_s=0.02, healthy_s=60),
    )
    task = asyncio.create_task(supervisor.run())
    counts: list[tuple[int, int]] = []
    try:
        seen = 0
        for _ in range(RECONNECTS):
            await until(lambda: supervisor.status().frame_count > seen)  # noqa: B023
            gc.collect()
            counts.append((_open_files(), len(asyncio.all_tasks())))
            await server.fail(ServerState.DEAD)
            await until(lambda: supervisor.status().state is DeviceState.LOST)
            seen = supervisor.status().frame_count
            await server.restore()
    finally:
        task.cancel()
        await asyncio.wait([task])
    files, tasks = (max(column) for column in zip(*counts[:SETTLED], strict=True))
    assert max(count for count, _ in counts) <= files + SPARE, counts
    assert max(count for _, count in counts) <= tasks + SPARE, counts
    assert len(asyncio.all_tasks()) <= tasks


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
