"""`edgewright write` against a running gateway and the simulated plant's own setpoint."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.api.client import GatewayClient
from gateway.api.requests import TagsRequest
from gateway.core.commands import CommandState
from gateway.core.records import RecordKind
from gateway.simulate.plant_config import write_sheets
from gateway.store.reader import LogReader
from gateway.wire.child import Child
from gateway.wire.documents import decode_command

TAG = "pumps.P101.SpeedSetpoint"
DEADLINE_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Site:
    """A gateway in a folder, beside a plant."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "api.sock"

    async def write(self, *arguments: str, typed: str = "") -> Ran:
        """Run the command as a person would."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "write", *arguments),
            *("--socket", str(self.socket)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate(typed.encode())
        assert process.returncode is not None
        return Ran(code=process.returncode, out=out.decode(), err=err.decode())

    async def until_value(self, value: float) -> None:
        """Wait until the gateway's own polling shows a value."""
        async with GatewayClient(self.socket) as client, asyncio.timeout(DEADLINE_S):
            while (await client.tags(TagsRequest(prefix=TAG))).tags[0].value != value:
                await asyncio.sleep(0.1)

    async def now(self) -> float:
        """Return the setpoint as polled, once it is."""
        async with GatewayClient(self.socket) as client, asyncio.timeout(DEADLINE_S):
            while (found := (await client.tags(TagsRequest(prefix=TAG))).tags[0].value) is None:
                await asyncio.sleep(0.1)
        return found


@asynccontextmanager
async def running(folder: Path, *, writes: str) -> AsyncIterator[Site]:
    """Start a plant and a gateway that polls its pumps."""
    where = ["--opcua", "127.0.0.1:0", "--modbus", "127.0.0.1:0", "--state", str(folder / "plant")]
    plant = Child("plant", ["simulate", *where, "--json"], folder=folder)
    gateway = Child("gateway", ["run", "-c", str(folder / "gateway.toml"), "--json"], folder=folder)
    try:
        endpoint = (await plant.start())["opcua"]
        write_sheets(folder)
        text = f"""\
[gateway]
id = "test"
state_folder = "state"

[connectors.pumps]
type = "opcua"
endpoint = "{endpoint}"
security = "None"
tags = "pumps.csv"

[writes]
{writes}

[api]
socket = "api.sock"
"""
        (folder / "gateway.toml").write_text(text, encoding="utf-8")
        await gateway.start()
        site = Site(folder)
        await site.now()
        yield site
    finally:
        await gateway.kill()
        await plant.kill()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path, writes="enabled = true") as site:
        yield site


async def test_a_setpoint_is_shown_asked_for_written_and_read_back(site: Site) -> None:
    ran = await site.write(TAG, "2500.5", typed="y\n")
    assert ran.code == 0, ran.err
    assert "range 1500 1/min to 3000 1/min" in ran.err
    assert "write 2500.5 1/min?" in ran.err
    assert ran.out == f"{TAG} is 2500.5 1/min, read back\n"
    await site.until_value(2500.5)
    records = LogReader(site.folder / "state" / "log.db").records()
    bodies = [record.body for record in records if record.kind is RecordKind.COMMAND]
    states = [decode_command(body).state for body in bodies]
    assert states == [CommandState.EXECUTING, CommandState.SUCCESSFUL]


async def test_nothing_is_written_unless_the_person_says_yes(site: Site) -> None:
    before = await site.now()
    for typed in ("n\n", ""):
        ran = await site.write(TAG, "2600", typed=typed)
        assert (ran.code, ran.out) == (1, "")
    assert await site.now() == before


async def test_programs_get_one_json_object(site: Site) -> None:
    ran = await site.write(TAG, "2700", "--yes", "--json", "--within", "5")
    answer = json.loads(ran.out)
    assert ran.code == 0
    assert (answer["state"], answer["read_back"]) == ("successful", 2700.0)


async def test_every_refusal_says_why_and_writes_nothing(site: Site) -> None:
    before = await site.now()
    refusals = {
        (TAG, "9000"): (1, "is outside 1500.0 to 3000.0"),
        (TAG, "-5"): (1, "is outside 1500.0 to 3000.0"),
        ("pumps.P101.Flow", "1"): (1, "not declared writable"),
        ("pumps.P101.Nothing", "1"): (1, "there is no tag"),
        (TAG, "nan"): (2, "is no value for a machine"),
        (TAG, "fast"): (2, "is not a valid float"),
        (TAG, "2000", "--within", "0"): (2, "is not in the range"),
    }
    for arguments, (code, words) in refusals.items():
        ran = await site.write(*arguments, "--yes")
        assert (ran.code, ran.out) == (code, ""), arguments
        assert words in ran.err
    assert await site.now() == before


async def test_writing_is_off_unless_it_was_switched_on(tmp_path: Path) -> None:
    async with running(tmp_path, writes="") as site:
        ran = await site.write(TAG, "2000", "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert "set writes.enabled" in ran.err
