"""`edgewright check` and `run` as processes: mistakes, wrong usage, a second gateway, the stop."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.api.client import GatewayClient
from gateway.simulate.server import ServerState
from tests.gateway.service_run import (
    COMPRESSOR_SHEET,
    HEAD,
    alarm_table,
    client_of,
    compressor_table,
    written,
)
from tests.gateway.simulate_peers import modbus_server, opcua_server
from tests.gateway.test_config import TAG_LIST, TEN_MISTAKES
from tests.gateway.test_service_bad_input import NODES, pumps_table

TIMEOUT_S = 40.0
STOP_S = 12.0
"""The configured time for the last delivery, that of the connectors, and a busy machine's."""
UPLINK = """
[uplinks.cloud]
type = "http"
url = "http://{address}"
token_file = "token"
timeout_s = 30
connect_timeout_s = 30
"""


async def started(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", *arguments, stdout=PIPE, stderr=PIPE
    )


async def ended(process: Process) -> tuple[int, str, str]:
    """Return code, output and complaints of a process that ends by itself."""
    async with asyncio.timeout(TIMEOUT_S):
        output, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), complaints.decode()


@pytest.mark.parametrize("command", [("check",), ("run", "-c")])
async def test_ten_mistakes_are_ten_lines_and_code_2(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "blower.csv").write_text(TAG_LIST, encoding="utf-8")
    path = tmp_path / "gateway.toml"
    path.write_text(TEN_MISTAKES, encoding="utf-8")
    code, output, complaints = await ended(await started(*command, str(path)))
    lines = complaints.splitlines()
    assert (code, output, len(lines)) == (2, "", 10)
    assert all(": " in line and "." in line.partition(": ")[0] for line in lines)
    assert any(line.startswith("connectors.blower.unit: ") for line in lines)


async def test_a_mistake_that_shows_only_at_the_start_is_one_line_and_code_2(
    tmp_path: Path,
) -> None:
    """No traceback, although all the other parts run already."""
    written(tmp_path, HEAD + compressor_table("127.0.0.1:1"), k01=COMPRESSOR_SHEET)
    (tmp_path / "api.sock").write_text("somebody's file", encoding="utf-8")
    code, _, complaints = await ended(await started("run", "-c", str(tmp_path / "gateway.toml")))
    assert code == 2, complaints
    assert complaints.splitlines()[-1].startswith("api.socket: ")
    assert "Traceback" not in complaints


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("check",), ("no-such-command",), ("run", "-c"), ("status", "--no-such-option")],
)
async def test_wrong_usage_is_code_2(arguments: tuple[str, ...]) -> None:
    code, output, complaints = await ended(await started(*arguments))
    assert (code, output) == (2, "")
    assert "Usage: " in complaints or "Error: " in complaints
    assert "Traceback" not in complaints


@asynccontextmanager
async def gateway_process(folder: Path) -> AsyncIterator[Process]:
    """Run a gateway as a process; yields once it is ready, and kills what is left of it."""
    process = await started("run", "-c", str(folder / "gateway.toml"), "--json")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            ready = await process.stdout.readline()
        assert ready, (await ended(process))[2]
        assert json.loads(ready)["ready"] is True
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_a_second_gateway_on_the_same_state_is_refused(tmp_path: Path) -> None:
    written(tmp_path, HEAD + compressor_table("127.0.0.1:1"), k01=COMPRESSOR_SHEET)
    async with gateway_process(tmp_path) as first:
        code, output, complaints = await ended(
            await started("run", "-c", str(tmp_path / "gateway.toml"), "--json")
        )
        assert (code, output) == (1, "")
        assert f"is being written by process {first.pid}" in complaints
        assert "Traceback" not in complaints
        first.terminate()
        assert (await ended(first))[0] == 0


@pytest.mark.slow
async def test_a_stop_keeps_its_deadline_whatever_hangs(tmp_path: Path) -> None:
    """Both devices hang, the cloud accepts and is silent, and a reader follows the stream."""
    (tmp_path / "opcua").mkdir()
    (tmp_path / "token").write_text("secret", encoding="ascii")
    async with (
        silent_server() as cloud,
        opcua_server(tmp_path / "opcua") as pumps,
        modbus_server(tmp_path) as compressor,
    ):
        written(
            tmp_path,
            HEAD
            + compressor_table(compressor.endpoint)
            + pumps_table(pumps.endpoint, name="pumps")
            + alarm_table()
            + UPLINK.format(address=cloud),
            k01=COMPRESSOR_SHEET,
            pumps=NODES,
        )
        async with gateway_process(tmp_path) as process, client_of(tmp_path) as client:
            await _all_deliver(client_of(tmp_path))
            stream = client.stream()
            await anext(stream)
            for server in (pumps, compressor):
                await server.fail(ServerState.HUNG)
            begun_s = time.monotonic()
            process.terminate()
            code, output, complaints = await ended(process)
            assert time.monotonic() - begun_s < STOP_S
            assert code == 0, complaints
            summary = json.loads(output.splitlines()[-1])
            assert summary["stopped"] is True
            assert summary["stored"] == summary["received"] > 0
            await stream.aclose()


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Accept connections and never answer; yields the address."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def _all_deliver(client: GatewayClient) -> None:
    async with asyncio.timeout(TIMEOUT_S), client:
        while not all(each.frame_count for each in (await client.devices()).devices):
            await asyncio.sleep(0.05)
