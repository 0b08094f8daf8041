"""`edgewright simulate` as a process: endpoints, control, faults at run time, a clean stop."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest
from asyncua.client.client import Client
from click.testing import CliRunner
from pymodbus.client import AsyncModbusTcpClient

from gateway.cli.simulate import command
from gateway.core.errors import ConfigError
from gateway.simulate.points import setpoint_tag
from gateway.simulate.simulation import Simulation, SimulatorSettings, ticks
from gateway.wire.clock import SystemClock
from tests.gateway.simulate_peers import DEADLINE_S, Subscriber, offered, until

SCENARIO = """
[[faults]]
kind = "clogged_filter"
asset = "P-101"

[[faults]]
kind = "server_refuses"
asset = "modbus"
onset_s = 20
duration_s = 40
"""


Running: TypeAlias = tuple[asyncio.subprocess.Process, dict[str, str]]


@asynccontextmanager
async def simulator(
    *arguments: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """Run the command; yields the process and the first line that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.cli",
        "simulate",
        *("--opcua", "127.0.0.1:0", "--modbus", "127.0.0.1:0", "--json"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            line = await process.stdout.readline()
        yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Control:
    """Talks to the control socket."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str) -> dict[str, object]:
        async with self._session.get(f"http://simulator{path}") as response:
            assert response.status == 200
            return dict(await response.json())

    async def post(self, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        async with self._session.post(f"http://simulator{path}", json=body) as response:
            return response.status, dict(await response.json())

    async def delete(self, path: str) -> None:
        async with self._session.delete(f"http://simulator{path}") as response:
            assert response.status == 200


@asynccontextmanager
async def control(path: str) -> AsyncIterator[Control]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        yield Control(session)


@pytest.mark.slow
async def test_both_servers_serve_and_the_books_match(tmp_path: Path) -> None:
    """The whole command with real clients, faults at run time, and SIGTERM."""
    state = tmp_path / "s"
    async with simulator("--state", str(state), "--period", "100ms") as (process, where):
        host, _, port = where["modbus"].partition(":")
        modbus = AsyncModbusTcpClient(host, port=int(port))
        subscriber = Subscriber()
        async with control(where["control"]) as plant:
            async with Client(where["opcua"]) as opcua:
                await subscriber.subscribe(opcua)
                await until(lambda: subscriber.received.total() > 150, what="changes")
                assert await modbus.connect()
                for _ in range(3):
                    registers = await modbus.read_holding_registers(0, count=103, device_id=1)
                    assert not registers.isError()
                status, _ = await plant.post(
                    "/faults", {"kind": "sensor_frozen", "asset": "P-101", "signal": "flow_m3h"}
                )
                assert status == 201
                await opcua.get_node("ns=2;s=P101.SpeedSetpoint").write_value(2500.0)
                await until(
                    lambda: subscriber.values.get(setpoint_tag("P-101")) == 2500.0,
                    what="the setpoint",
                )
                status, answer = await plant.post("/servers/modbus/kill")
                assert (status, answer["state"]) == (200, "dead")
            report = await plant.get("/offered")
            counts = report["compressor"]
            assert isinstance(counts, dict)
            assert counts["tags"]["compressor.K01.PollCount"] == 3
            assert counts["count"] == 33
            now = await plant.get("/status")
            assert now["servers"] == {"opcua": "serving", "modbus": "dead"}
            await plant.delete("/faults")
            now = await plant.get("/status")
            assert now["servers"] == {"opcua": "serving", "modbus": "serving"}
            assert now["faults"] == []
        modbus.close()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            assert await process.wait() == 0
    book = offered(state / "offered-pumps.book")
    assert subscriber.received - book == {}, "nothing is received that was not offered"
    missed = book - subscriber.received
    newest = max(time_ns for _, time_ns in subscriber.received)
    assert all(time_ns >= newest for _, time_ns in missed), "missed are those after the end only"
    assert not (state / "control.sock").exists()


async def test_wrong_control_requests_are_refused_with_a_remedy(tmp_path: Path) -> None:
    async with (
        simulator("--state", str(tmp_path / "s")) as (_, where),
        control(where["control"]) as plant,
    ):
        for path, body in (
            ("/faults", {"kind": "rust", "asset": "P-101"}),
            ("/faults", {"kind": "cavitation", "asset": "K-01"}),
            ("/servers/modbus/explode", None),
            ("/servers/profinet/kill", None),
        ):
            status, answer = await plant.post(path, body)
            assert status == 400
            assert set(answer) == {"error", "remedy"}


async def test_a_scenario_breaks_machines_and_servers_in_time(tmp_path: Path) -> None:
    """At speed 100 the server refuses from 20 to 60 s of the plant's time: for 0.4 s."""
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    arguments = ("--state", str(tmp_path / "s"), "--scenario", str(path), "--speed", "100")
    async with simulator(*arguments, "--period", "50ms") as (_, where):
        seen: list[object] = []
        end = time.monotonic() + DEADLINE_S
        async with control(where["control"]) as plant:
            while time.monotonic() < end:
                now = await plant.get("/status")
                servers, elapsed_s = now["servers"], now["elapsed_s"]
                assert isinstance(servers, dict)
                assert isinstance(elapsed_s, float)
                seen.append(servers["modbus"])
                if elapsed_s > 100.0:
                    break
                await asyncio.sleep(0.02)
            values = now["values"]
        assert isinstance(values, dict)
        assert values["P-101.filter_dp_bar"] > 0.3
        assert "refusing" in seen
        assert seen[-1] == "serving"


def test_mistakes_exit_before_anything_is_served(tmp_path: Path) -> None:
    runner = CliRunner()
    for arguments in (
        ["--opcua", "nowhere", "--state", str(tmp_path / "s")],
        ["--scenario", str(tmp_path / "missing.toml")],
        ["--replay", str(tmp_path / "missing.csv")],
        ["--period", "10ms", "--state", str(tmp_path / "s")],
    ):
        answer = runner.invoke(command, arguments)
        assert isinstance(answer.exception, ConfigError), (arguments, answer.output)
    for arguments in (["--out", "a.csv"], ["--user", "otto"], ["--period", "soon"]):
        answer = runner.invoke(command, arguments)
        assert answer.exit_code == 2


def test_a_healthy_recording_is_written(tmp_path: Path) -> None:
    out = tmp_path / "healthy.csv"
    arguments = ["--healthy-hours", "0.05", "--out", str(out), "--seed", "7", "--json"]
    answer = CliRunner().invoke(command, arguments)
    assert answer.exit_code == 0
    assert json.loads(answer.output) == {"out": str(out), "rows": 180, "seed": 7}
    lines = out.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 181
    assert lines[0].startswith("time,P-101.speed_rpm,P-101.flow_m3h,")


async def test_a_state_folder_of_another_plant_is_refused(tmp_path: Path) -> None:
    (tmp_path / "offered-pumps.book").write_text("no book\n", encoding="utf-8")
    settings = SimulatorSettings(opcua="127.0.0.1:0", modbus="127.0.0.1:0", state=tmp_path)
    with pytest.raises(Exception, match="is no book"):
        Simulation(settings, clock=SystemClock())


class SlowClock:
    """A clock that jumps ahead by a given time at every look."""

    def __init__(self, jump_ns: int) -> None:
        self._jump_ns = jump_ns
        self._now_ns = 0

    def now_ns(self) -> int:
        return 1_000_000_000_000_000_000 + self._now_ns

    def monotonic_ns(self) -> int:
        self._now_ns += self._jump_ns
        return self._now_ns

    @property
    def is_trusted(self) -> bool:
        return True


async def test_late_ticks_are_counted_and_stay_on_the_grid() -> None:
    """Whatever happens, periods counted and time stamped go together."""
    period_ns = 100_000_000
    times, counts = [], []
    async for count, time_ns in ticks(0.1, SlowClock(170_000_000)):
        times.append(time_ns)
        counts.append(count)
        if len(times) == 6:
            break
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert steps == [count * period_ns for count in counts[1:]]
    assert max(counts) > 1
