"""Remaining life from whole lives in a file to a figure on the gateway, and its judgement."""

import asyncio
import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click import Command
from click.testing import CliRunner

from cloud_sync.cloud.setup import OPERATOR_TOKEN
from gateway.api.answers import ModelAnswer, TagAnswer
from gateway.api.client import GatewayClient
from gateway.api.metrics import render_metrics
from gateway.cli.cloud import command as cloud_command
from gateway.cli.models import command as models_command
from gateway.cli.train import command as train_command
from gateway.core.arrays import FloatArray
from gateway.core.cases import Verdict
from gateway.simulate.modbus import ModbusServer
from tests.analytics.lives import COLUMNS, life
from tests.cloud_sync.cloud.processes import CloudFolder
from tests.cloud_sync.cloud.processes import running as cloud_running
from tests.gateway.service_run import HEAD, client_of, compressor_table, running, tags_of, written
from tests.gateway.simulate_peers import modbus_server

STEP_S = 0.1
"""One row of a life; a real machine takes hours."""
T0 = datetime(2026, 3, 9, tzinfo=UTC)
SHEET = "tag,address,type\nLoad,0,float32\nHeat,2,float32\nShake,4,float32\n"
TOO_HOT = 200.0
MILL = """
[twins.M-7]
type = "generic"
period_s = 0.1
tags = { load = "mill.Load", heat = "mill.Heat", shake = "mill.Shake" }
[twins.M-7.alarms.burnt]
when = "heat > 200"
severity = 800
"""


def write_runs(path: Path) -> Path:
    """Whole lives with dates, a row each tenth of a second."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["unit", "time", *COLUMNS])
        for seed in range(8):
            whole = life(seed)
            for time, row in zip(whole.time, whole.value, strict=True):
                moment = T0 + timedelta(seconds=STEP_S * float(time))
                writer.writerow([whole.unit, moment.isoformat(), *map(repr, row.tolist())])
    return path


async def invoke(command: Command, *arguments: object) -> str:
    """Run a command as a person does, and return what it prints."""
    words = [str(argument) for argument in arguments]
    result = await asyncio.to_thread(CliRunner().invoke, command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


async def play(server: ModbusServer, rows: FloatArray) -> None:
    """Let the machine live through these rows, columns as in `COLUMNS`."""
    for row in rows:
        load, _, heat, shake, _ = row.tolist()
        await server.show([load, heat, shake, *[0.0] * 7], 0)
        await asyncio.sleep(STEP_S)


async def shown(folder: Path, tag: str) -> TagAnswer:
    return (await tags_of(folder))[tag]


async def life_model(client: GatewayClient) -> ModelAnswer | None:
    models = (await client.models()).models
    return next((each for each in models if each.name == "generic-life"), None)


@pytest.mark.slow
async def test_a_released_life_is_told_on_the_gateway_and_judged_by_a_verdict(
    tmp_path: Path,
) -> None:
    """Trained by the command, signed and released by a real cloud, run on a real device's rows."""
    model = tmp_path / "life.ewm"
    data = write_runs(tmp_path / "runs.csv")
    columns = ("--unit", "unit", "--time", "time", "--tags", "load,heat,shake")
    await invoke(train_command, "rul", "--data", data, *columns, "--out", model, "--cap", "0.001")
    site = CloudFolder(tmp_path / "cloud")
    (tmp_path / "root.json").write_bytes(site.root)
    async with cloud_running(site) as cloud, modbus_server(tmp_path) as server:
        token = site.folder / OPERATOR_TOKEN
        await invoke(cloud_command, "release", model, "--url", cloud.url, "--token-file", token)
        models = f'\n[models]\nurl = "{cloud.url}/tuf"\nroot_file = "root.json"\nperiod_s = 1\n'
        text = HEAD + compressor_table(server.endpoint, name="mill") + MILL + models
        config = written(tmp_path, text, k01=SHEET)
        whole = life(100).value
        await play(server, whole[:1])
        async with (
            running(config, tmp_path) as gateway,
            client_of(tmp_path) as client,
            asyncio.timeout(50),
        ):
            while (found := await life_model(client)) is None or found.stage != "active":
                await asyncio.sleep(STEP_S)
            assert "gives numbers, in" in found.reason
            assert found.coverage is not None
            assert (found.coverage.told, found.coverage.judged) == (0.9, 0)
            await play(server, whole[-60:])
            while (left := await shown(tmp_path, "M-7.rul_h")).quality != "good":
                await play(server, whole[-1:])
            assert left.value is not None
            assert 0 <= left.value < 0.001
            (asset,) = (await client.assets()).assets
            assert asset.remaining_h is not None
            assert asset.remaining_h < 0.001
            # It burns out; somebody looks at it, and puts a new one in.
            burnt = whole[-1:].copy()
            burnt[0, COLUMNS.index("heat")] = 2 * TOO_HOT
            while not (cases := (await client.cases()).cases):
                await play(server, burnt)
            await client.decide(cases[0].id, Verdict.CONFIRMED)
            while found.coverage is None or found.coverage.judged == 0:
                await play(server, whole[:1])
                found = await life_model(client)
                assert found is not None
            (event,) = [
                each
                for each in (await client.events(limit=200)).events
                if each.condition == "life_judged"
            ]
            assert event.source == "M-7"
            assert "generic-life 1.0 had told M-7" in event.text
            metrics = render_metrics(gateway.view).decode()
            assert 'model_judged_lives{model="generic-life",version="1.0"} 1.0' in metrics
            # The new machine has no end in sight.
            while (await shown(tmp_path, "M-7.rul_h")).quality == "good":
                await play(server, whole[:1])
            socket = ("--socket", str(tmp_path / "api.sock"))
            listed = await invoke(models_command, "list", *socket)
            assert "of 1 lives (90% promised)" in listed
