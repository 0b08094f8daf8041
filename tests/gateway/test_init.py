"""`edgewright init`: a first run, a second one after changes, and a person's edits between them."""

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import pytest

from gateway.cli import browse
from gateway.cli.init import command
from gateway.cli.init_questions import NEEDS
from gateway.core.errors import ConfigError
from tests.connectors.browsing import free_port
from tests.gateway.init_run import DEADLINE_S, ROOT, edgewright
from tests.gateway.simulate_peers import opcua_server
from tests.interop.peers import needs_node, node_script, running_peer

FIRST_CONFIG = """\
# Made by `edgewright init`. `edgewright check` proves it; sample.toml explains every option.
[gateway]
id = "pumphouse-1"
state_folder = "state"

[connectors.pumps]
type     = "opcua"
endpoint = "ENDPOINT"
security = "None"
tags     = "pumps.csv"
"""
NODES = "nsu=urn:interop:machines;s="
FIRST_LIST = f"""\
tag,node,unit,group,dead_band,low,high,writable
P101.Flow,{NODES}P101.Flow,m3/h,,,0,20,
P101.Temperature,{NODES}P101.Temperature,Cel,,,-20,120,
P101.Setpoint,{NODES}P101.Setpoint,{{rev}}/min,,,0,3600,no
P101.Odd,{NODES}P101.Odd,,,,0,1,
P101.Pressure,{NODES}P101.Pressure,bar,,,0,10,
P101.Running,{NODES}P101.Running,,,,,,
P102.Flow,{NODES}P102.Flow,m3/h,,,0,20,
P102.Temperature,{NODES}P102.Temperature,Cel,,,-20,120,
P102.Setpoint,{NODES}P102.Setpoint,{{rev}}/min,,,0,3600,no
P102.Odd,{NODES}P102.Odd,,,,0,1,
P102.Pressure,{NODES}P102.Pressure,bar,,,0,10,
P102.Running,{NODES}P102.Running,,,,,,
"""
EDITS = (
    ("P101.Flow,", "feed_flow,"),
    ("m3/h,,,0,20,\nP101.Temp", "m3/h,fast,0.5,0,20,\nP101.Temp"),
    ("Cel,,,-20,120,\nP102.Set", "Cel,,,0,100,yes\nP102.Set"),
    (f"P101.Odd,{NODES}P101.Odd,,,,0,1,\n", ""),
    ("P102.Pressure", "inlet"),
)
"""A name, a group with a dead band, a range, a line taken out, another name."""
PERSONS_CONFIG = """
[connectors.pumps.groups.fast]  # P101 is fast
sampling_ms = 100
publishing_ms = 100

[twins.P-101]
type = "generic"
tags = { flow_m3h = "pumps.feed_flow" }
"""
MAP = """\
Register;Bezeichnung;Datentyp;Einheit;Faktor
40001;Drehzahl;UINT16;1/min;1
40002;Netzdruck;INT16;bar;0,01
"""


@asynccontextmanager
async def plant(stage: str) -> AsyncIterator[str]:
    """Run the plant of node-opcua as it is at first, or after changes."""
    port = free_port()
    async with running_peer(node_script("opcua_plant.js", str(port), stage, "0", "110")):
        yield f"opc.tcp://127.0.0.1:{port}"


async def pumps(endpoint: str, folder: Path, *more: str) -> tuple[int, str, str]:
    """Run `init` for the pumps in a folder."""
    ran = await edgewright(
        *("init", "--opcua", endpoint, "--name", "pumps", "--filter", "Plant/**"),
        *("--security", "None", *more),
        folder=folder,
    )
    return ran.code, ran.out, ran.err


async def passes_the_check(folder: Path) -> bool:
    return (await edgewright("check", "gateway.toml", folder=folder)).code == 0


@needs_node
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_two_runs_and_a_person_between_them(tmp_path: Path) -> None:
    """The second run shows what changed, keeps every edit, and writes only when told to."""
    config, tags = tmp_path / "gateway.toml", tmp_path / "pumps.csv"
    async with plant("first") as endpoint:
        code, _, err = await pumps(endpoint, tmp_path, "--id", "pumphouse-1")
        assert code == 0
        assert "units that we do not know are left empty: l/blink" in err
        assert config.read_text() == FIRST_CONFIG.replace("ENDPOINT", endpoint)
        assert tags.read_text() == FIRST_LIST
        assert await passes_the_check(tmp_path)
        assert (await pumps(endpoint, tmp_path))[:2] == (0, "nothing has changed\n")

    edited = FIRST_LIST
    for before, after in EDITS:
        assert before in edited
        edited = edited.replace(before, after, 1)
    tags.write_text(f"# mine\n{edited}", encoding="utf-8")
    config.write_text(config.read_text() + PERSONS_CONFIG)
    assert await passes_the_check(tmp_path)
    kept = config.read_text(), tags.read_text()

    async with plant("second") as moved:
        code, out, err = await pumps(moved, tmp_path)
        assert (code, kept) == (1, (config.read_text(), tags.read_text()))
        assert "nothing is written: --apply writes it" in err
        assert f'-endpoint = "{endpoint}"\n+endpoint = "{moved}"\n' in out
        assert "pumps.csv: 1 added, 1 gone, 2 changed\n" in out
        assert (await pumps(moved, tmp_path, "--apply"))[0] == 0
        assert (await pumps(moved, tmp_path))[:2] == (0, "nothing has changed\n")
    gone = f"inlet,{NODES}P102.Pressure"
    expected = (
        kept[1]
        .replace("m3/h,fast,0.5,0,20,", "m3/h,fast,0.5,0,30,")
        .replace("Cel,,,-20,120,", "K,,,-20,120,", 1)
        .replace(gone, f"# gone: {gone}")
        + f"P101.Vibration,{NODES}P101.Vibration,mm/s,,,0,40,\n"
    )
    assert expected == tags.read_text()
    assert config.read_text() == kept[0].replace(endpoint, moved)
    assert await passes_the_check(tmp_path)


@pytest.mark.slow
async def test_the_first_run_is_trusted_by_the_gateway_too(tmp_path: Path) -> None:
    """A certificate that was trusted at its first use is the one that the gateway asks for."""
    async with opcua_server(tmp_path) as server:
        ran = await edgewright(
            *("init", "--id", "demo", "--opcua", server.endpoint, "--name", "pumps"),
            *("--security", "Basic256Sha256", "--trust-first-use", "--writable", "--out", "site"),
            folder=tmp_path,
        )
        assert ran.code == 0, ran.err
    site = tmp_path / "site"
    assert 'trust    = "first_use"' in (site / "gateway.toml").read_text()
    assert (site / "state" / "opcua" / "trusted" / "first-use-pumps.der").is_file()
    assert (site / "pumps.csv").read_text().count(",yes\n") == 2
    assert await passes_the_check(site)


@pytest.mark.parametrize("asked", [browse.command, command])
def test_every_option_is_documented(asked: click.Command) -> None:
    text = (ROOT / "gateway" / "README.md").read_text(encoding="utf-8")
    names = [option for each in asked.params for option in each.opts if option.startswith("--")]
    assert names
    assert [name for name in names if f"`{name}" not in text] == []


async def test_without_a_terminal_it_says_what_it_needs(tmp_path: Path) -> None:
    nothing = await edgewright("init", folder=tmp_path)
    assert nothing.code == 2
    assert NEEDS.partition("{")[0] in nothing.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--modbus 10.0.4.17", "needs --map"),
        ("--modbus h --map v.csv --name k", "name the gateway with --id"),
        ("--modbus a:b --map v.csv --name k --id x", "no HOST:PORT"),
        ("--modbus /dev/ttyUSB9 --map v.csv --name k --id x", "there is no /dev/ttyUSB9"),
        ("--modbus h --map v.csv --id x", "would overwrite v.csv"),
        ("--modbus h --map v.csv --id x --column a=b", "ours are address"),
        ("--modbus h --map none.csv --name k --id x", "cannot be read"),
        ("--modbus h --map v.csv --id a/b --name k", "gateway.id"),
        ("--modbus h --map v.csv --id x --name k/1", "'k/1' is no name"),
        ("--opcua opc.tcp://h --security None --id x", "no endpoint such as"),
        ("--opcua opc.tcp://h:1 --modbus h --id x", "one machine at a time"),
        (
            "--opcua opc.tcp://h:1 --security Basic256Sha256 --user u --id x",
            "user and password_file belong together",
        ),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, message: str
) -> None:
    """`main` ends with 2 for these errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.csv").write_text(MAP, encoding="utf-8")
    with pytest.raises((ConfigError, click.UsageError), match=re.escape(message)):
        command.main(flags.split(), standalone_mode=False)
    assert [path.name for path in tmp_path.iterdir()] == ["v.csv"]


async def test_a_register_map_and_its_next_edition(tmp_path: Path) -> None:
    """Lines of the vendor's next edition are added; what a person renamed stays renamed."""
    path = tmp_path / "vendor.csv"
    path.write_text(MAP, encoding="utf-8")
    flags = ("init", "--modbus", "10.0.4.17", "--map", "vendor.csv", "--name", "k01")
    first = await edgewright(*flags, "--id", "x", folder=tmp_path)
    assert first.code == 0, first.err
    assert "address  <- 'Register'" in first.err
    tags = tmp_path / "k01.csv"
    assert tags.read_text() == (
        "tag,address,type,order,scale,offset,unit,group,low,high,writable\n"
        "Drehzahl,40001,uint16,,,,{rev}/min,,,,\n"
        "Netzdruck,40002,int16,,0.01,,bar,,,,\n"
    )
    tags.write_text(tags.read_text().replace("Netzdruck", "pressure_bar"))
    path.write_text(f"{MAP}40003;Netzdruck;INT16;bar;0,1\n".replace("40001;Drehzahl", "40009;n"))
    second = await edgewright(*flags, "--apply", folder=tmp_path)
    assert "k01.csv: 2 added, 1 gone\n" in second.out
    assert tags.read_text().splitlines()[1:] == [
        "# gone: Drehzahl,40001,uint16,,,,{rev}/min,,,,",
        "pressure_bar,40002,int16,,0.01,,bar,,,,",
        "n,40009,uint16,,,,{rev}/min,,,,",
        "Netzdruck_2,40003,int16,,0.1,,bar,,,,",
    ]
    assert await passes_the_check(tmp_path)


async def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    """What flags leave open is asked for; what the server offers is shown."""
    async with opcua_server(tmp_path) as server:
        near, far = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "init", "--out", "site"),
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=far,
            stdout=far,
            stderr=far,
        )
        os.close(far)
        answers = {
            "Name of the gateway": "pumphouse-7",
            "Machine (": server.endpoint,
            "What shall it be called": "pumps",
            "Security": "None",
        }
        seen = ""
        async with asyncio.timeout(DEADLINE_S):
            for question, answer in answers.items():
                while question not in seen:
                    seen += (await asyncio.to_thread(os.read, near, 4096)).decode()
                seen = ""
                os.write(near, f"{answer}\n".encode())
            while "next: edgewright check" not in seen:
                seen += (await asyncio.to_thread(os.read, near, 4096)).decode()
            assert await process.wait() == 0
        os.close(near)
    assert 'id = "pumphouse-7"' in (tmp_path / "site" / "gateway.toml").read_text()
    assert await passes_the_check(tmp_path / "site")
