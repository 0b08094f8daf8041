"""`edgewright modbus` against servers made with libmodbus and with pymodbus."""

import asyncio
import json
import os
import re
import shutil
import signal
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.modbus import command
from tests.connectors.pty_wire import PtyWire
from tests.connectors.refusing import Device, serving
from tests.connectors.wire import within
from tests.interop.peers import compiled, running_peer

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "edgewright"),
        "modbus",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )


async def ended(*arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, output and complaints."""
    process = await started(*arguments)
    async with asyncio.timeout(40):
        output, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), complaints.decode()


async def printed(*arguments: str) -> str:
    """Run the command in a thread of this process, which is faster; return its output."""
    async with asyncio.timeout(40):
        result = await asyncio.to_thread(CliRunner().invoke, command, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
async def device() -> AsyncIterator[Device]:
    async with serving(Device()) as device:
        await device.set_registers(68, struct.unpack(">2H", struct.pack("<f", 2960.5)))
        await device.set_registers(80, [0x5055, 0x4D50, 0x2037, 0x0000])
        yield device


async def test_the_plausible_order_is_marked(device: Device) -> None:
    """Three in the morning: one line to copy into the register map."""
    code, output, complaints = await ended(
        "read", f"127.0.0.1:{device.port}", "40069", "--type", "float32"
    )
    assert (code, complaints) == (0, "")
    first, *lines = output.splitlines()
    assert re.fullmatch(r"20\d\d-.* UTC   holding 68 to 69: 0008 3945", first)
    assert [line.split()[0] for line in lines] == ["ABCD", "DCBA", "BADC", "CDAB"]
    [marked] = [line for line in lines if "plausible" in line]
    assert marked.split()[:2] == ["DCBA", "2960.5"]


async def test_values_side_by_side_with_a_known_order(device: Device) -> None:
    address = f"127.0.0.1:{device.port}"
    answer = json.loads(await printed("read", address, "input:10", "--count", "3", "--json"))
    assert answer["address"] == "input 10 to 12"
    assert (answer["raw"], answer["values"]) == ("000a000b000c", [10.0, 11.0, 12.0])
    assert "'PUMP 7'" in await printed("read", address, "80", "--type", "string8")
    float32 = ("read", address, "68", "--type", "float32")
    output = await printed(*float32, "--order", "dcba")
    assert output.splitlines()[1].split() == ["holding", "68", "float32", "2960.5"]
    answer = json.loads(await printed(*float32, "--json", "--low", "0", "--high", "3600"))
    assert answer["best"] == "DCBA"
    assert answer["orders"]["DCBA"] == {"values": [2960.5], "is_plausible": True}


async def test_a_watch_goes_on_until_it_is_stopped(device: Device) -> None:
    process = await started(
        "read", f"127.0.0.1:{device.port}", "20", "--watch", "--every", "0.05", "--json"
    )
    assert process.stdout is not None
    async with asyncio.timeout(40):
        for expected in (20.0, 77.0):
            await device.set_registers(20, [int(expected)])
            while json.loads(await process.stdout.readline())["values"] != [expected]:
                pass
    process.send_signal(signal.SIGINT)
    await within(process.communicate(), what="the command after Ctrl-C")
    assert process.returncode == 0


async def test_a_refusal_names_the_remedy(device: Device) -> None:
    device.refused[2] = {9}
    code, output, complaints = await ended("read", f"127.0.0.1:{device.port}", "9")
    assert (code, output) == (1, "")
    assert "refuses to read holding 9" in complaints
    assert "maps often count from 1" in complaints
    assert "exception 2, illegal data address" in complaints


async def test_nobody_there_is_a_message(device: Device) -> None:
    code, _, complaints = await ended("read", "127.0.0.1:1", "9", "--timeout", "5")
    assert code == 1
    assert "cannot be reached" in complaints
    assert "keeps trying" not in complaints
    assert "Traceback" not in complaints


@pytest.mark.parametrize(
    "arguments",
    [
        ("read", "a b", "9"),
        ("read", "127.0.0.1", "70000"),
        ("read", "127.0.0.1", "9", "--type", "float"),
        ("read", "127.0.0.1", "9", "--type", "float32", "--count", "63"),
        ("scan", "127.0.0.1", "--units", "5-300"),
    ],
)
def test_wrong_usage_is_code_2(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "Error: " in result.output


@needs_compiler
async def test_units_and_addresses_are_found(tmp_path: Path) -> None:
    """Libmodbus has 33 coils, no discrete input, and 50 registers of each kind."""
    program = compiled("modbus_short_map.c", tmp_path, "modbus")
    async with running_peer([str(program)]) as [port]:
        output = await printed(
            "scan", f"127.0.0.1:{port}", "--units", "1", "--last", "199", "--pause", "0"
        )
        found = {line.split()[0]: line.split(maxsplit=1)[1] for line in output.splitlines()}
        assert found == {
            "unit": "1 answers",
            "coil": "0 to 32",
            "discrete": "none found",
            "holding": "0 to 49",
            "input": "0 to 49",
        }


async def answer_as_unit_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve 51 holding registers, no other function, and no other unit: not even a refusal."""
    while len(adu := await reader.read(12)) == 12:
        transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", adu)
        if unit != 1:
            continue
        pdu = bytes([function | 0x80, 1])
        if function == 3:
            is_there = start + count <= 51
            pdu = bytes([3, 2 * count]) + bytes(2 * count) if is_there else bytes([0x83, 2])
        writer.write(struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu)
        await writer.drain()
    writer.close()


async def test_a_scan_says_which_units_answer() -> None:
    server = await asyncio.start_server(answer_as_unit_one, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    common = ("scan", address, "--last", "99", "--pause", "0", "--units")
    async with server:
        [unit] = json.loads(await printed(*common, "1,3", "--json"))["units"]
        assert unit["unit"] == 1
        assert unit["areas"]["holding"] == {
            "addresses": [[0, 50]],
            "exception": 0,
            "is_complete": True,
        }
        assert unit["areas"]["input"]["exception"] == 1
        code, _, complaints = await ended(*common, "9")
        assert code == 1
        assert "No unit of 9 answers" in complaints
        assert "does not answer within 0.5 s" in complaints


@needs_compiler
async def test_a_serial_port_is_read_and_scanned(tmp_path: Path) -> None:
    """Against libmodbus as unit 11; register i reads i + 11,000."""
    program = compiled("modbus_server.c", tmp_path, "modbus")
    async with PtyWire(tmp_path) as wire:
        line = ("--parity", "none", "--baud", "19200")
        async with running_peer([str(program), "rtu", wire.far_path, "19200", "50", "11"]):
            port = str(wire.near_path)
            output = await printed(
                "read", port, "7", "--count", "2", "--unit", "11", "--json", *line
            )
            assert json.loads(output)["values"] == [11_007.0, 11_008.0]
            output = await printed(
                "scan", port, "--units", "9,11", "--last", "99", "--pause", "0", "--json", *line
            )
            [unit] = json.loads(output)["units"]
            assert unit["unit"] == 11
            assert unit["areas"]["coil"]["addresses"] == [[0, 15]]
            assert unit["areas"]["holding"]["addresses"] == [[0, 99]]
    code, _, complaints = await ended("read", "127.0.0.1", "7", "--baud", "9600")
    assert code == 2
    assert "baud_bd is for a serial port" in complaints
