"""`edgewright browse` as a person uses it, against the simulated plant's own server."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.connectors.browsing import free_port
from tests.gateway.init_run import ROOT, Ran, edgewright
from tests.gateway.simulate_peers import opcua_server


async def browse(*arguments: str, folder: Path) -> Ran:
    return await edgewright("browse", *arguments, folder=folder)


@pytest.mark.slow
async def test_what_is_shown_and_how(tmp_path: Path) -> None:
    """Levels with their headings; paths where it is narrowed; objects for programs."""
    async with opcua_server(tmp_path) as server:
        plain = ("--security", "None")
        top = await browse(server.endpoint, *plain, "--depth", "2", folder=tmp_path)
        assert top.code == 0
        assert "  Plant/   " in top.out
        assert "\nPlant/\n  P101/  ns=2;s=P101\n" in top.out
        assert "Flow" not in top.out

        pump = await browse(
            *(server.endpoint, *plain, "--filter", "**/P101/F*", "--values"), folder=tmp_path
        )
        lines = [line.split() for line in pump.out.splitlines()]
        assert [line[0] for line in lines] == [
            f"Plant/P101/{name}" for name in ("Flow", "FilterDp", "FluidTemperature")
        ]
        assert lines[0][1:5] == ["ns=2;s=P101.Flow", "2000", "m³/h", "Double"]

        found = await browse(
            *(server.endpoint, *plain, "--search", "SETPOINT", "--json", "--values"),
            folder=tmp_path,
        )
        records = [json.loads(line) for line in found.out.splitlines()]
        assert [record["path"] for record in records] == [
            f"Plant/{pump}/SpeedSetpoint" for pump in ("P101", "P102")
        ]
        assert records[0]["node"] == "nsu=urn:edgewright:plant;s=P101.SpeedSetpoint"
        assert (records[0]["low"], records[0]["high"]) == (1500.0, 3000.0)
        assert records[0]["writable"]

        few = await browse(server.endpoint, *plain, "--limit", "3", "--json", folder=tmp_path)
        assert len(few.out.splitlines()) == 3
        assert "stopped at --limit 3" in few.err


@pytest.mark.slow
async def test_what_a_newcomer_does_wrong(tmp_path: Path) -> None:
    """Each mistake has a message that says what to do."""
    async with opcua_server(tmp_path) as server:
        how = await browse(server.endpoint, folder=tmp_path)
        assert (how.code, how.out) == (1, "")
        assert "needs --security" in how.err
        assert "Basic256Sha256 (SignAndEncrypt)     users: anonymous" in how.err

        secure = (server.endpoint, "--security", "Basic256Sha256", "--state", "keys")
        refused = await browse(*secure, folder=tmp_path)
        assert refused.code == 1
        assert "add --trust-first-use" in refused.err
        assert "keeps trying" not in refused.err
        advice = re.search(r"edgewright (certs trust \w+ --state keys)", refused.err)
        assert advice is not None
        assert (await edgewright(*advice[1].split(), folder=tmp_path)).code == 0
        admitted = await browse(*secure, "--depth", "1", folder=tmp_path)
        assert admitted.code == 0

        plain = (server.endpoint, "--security", "None")
        nothing = await browse(*plain, "--filter", "**/P999/*", folder=tmp_path)
        assert nothing.code == 1
        assert "Paths of variables here are such as Plant/P101/" in nothing.err
        unknown = await browse(*plain, "--node", "ns=2;s=P999", folder=tmp_path)
        assert "has no node ns=2;s=P999" in unknown.err
        late = await browse(*plain, "--within", "0.01", folder=tmp_path)
        assert (late.code, "raise --within" in late.err) == (1, True)
    gone = await browse(f"opc.tcp://127.0.0.1:{free_port()}", folder=tmp_path)
    assert "nobody listens at 127.0.0.1:" in gone.err
    for wrong, code in (("10.0.0.1:4840", 2), ("opc.tcp://nowhere.invalid:4840", 1)):
        assert (await browse(wrong, folder=tmp_path)).code == code


async def test_what_is_no_opcua_server_is_said_to_be_none(tmp_path: Path) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        ran = await browse(f"opc.tcp://127.0.0.1:{port}", "--timeout", "1", folder=tmp_path)
    assert ran.code == 1
    assert "Check the port" in ran.err
    assert "Traceback" not in ran.err


async def test_an_interrupt_ends_it_cleanly(tmp_path: Path) -> None:
    """Against a server that hangs: no traceback, and it does not wait for the deadline."""

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started.set()
        await reader.read()
        writer.close()
        closed.set()

    started, closed = asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "browse", f"opc.tcp://127.0.0.1:{port}"),
            *("--timeout", "50"),
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(40):
            await started.wait()
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
            await closed.wait()
    assert process.returncode == 1
    assert b"Traceback" not in err
