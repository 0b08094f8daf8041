"""`edgewright simulate`: a plant to try things on, live, recorded or replayed."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path

import click
import structlog
from pydantic import SecretStr

from gateway.core.errors import ConfigError
from gateway.simulate.plant import Plant
from gateway.simulate.recording import record
from gateway.simulate.replay import Play, read_play
from gateway.simulate.scenario import Scenario, read_scenario
from gateway.wire.clock import SystemClock

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
UNIT_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
PERIOD_S_MAX = 3600.0


class Duration(click.ParamType[float]):
    """A number with a unit: `500ms`, `1s`, `5min`, `2h`."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)", str(value))
        if match is None or float(match[1]) == 0.0:
            self.fail(f"{value!r} is no duration such as 500ms, 1s or 5min", param, ctx)
        return float(match[1]) * UNIT_S[match[2]]


@click.command("simulate")
@click.option("--seed", default=1, show_default=True, help="The same number is the same plant.")
@click.option("--scenario", type=FILE, help="What goes wrong and when (TOML).")
@click.option("--opcua", default="127.0.0.1:4840", show_default=True, help="Pumps: host:port.")
@click.option(
    "--modbus", default="127.0.0.1:5020", show_default=True, help="Compressor: host:port."
)
@click.option(
    "--state",
    type=FOLDER,
    default=Path("simulator-state"),
    show_default=True,
    help="Folder for the certificate, the books of what was offered, and the control socket.",
)
@click.option("--user", default="", help="OPC UA user; anonymous clients are let in without.")
@click.option("--password-file", type=FILE, help="Holds the password of --user.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.01, 1000),
    help="Seconds of the plant, or of the recording, in one real second.",
)
@click.option("--period", default="1s", show_default=True, type=Duration(), help="Between scans.")
@click.option(
    "--healthy-hours", type=click.FloatRange(0.01, 10_000), help="Record, without faults."
)
@click.option("--out", type=FILE, help="CSV file for the recording; .gz is compressed.")
@click.option("--replay", "replay_path", type=FILE, help="Serve a recording (CSV) by OPC UA.")
@click.option("--time", "time_column", help="Time column of the recording to replay.")
@click.option("--json", "as_json", is_flag=True, help="First line on stdout: where everything is.")
def command(
    *,
    seed: int,
    scenario: Path | None,
    opcua: str,
    modbus: str,
    state: Path,
    user: str,
    password_file: Path | None,
    speed: float,
    period: float,
    healthy_hours: float | None,
    out: Path | None,
    replay_path: Path | None,
    time_column: str | None,
    as_json: bool,
) -> None:
    """Simulate a plant: two feed pumps (OPC UA) and a compressor (Modbus TCP).

    Three ways to use it:

    \b
      edgewright simulate                                     live servers, until Ctrl-C
      edgewright simulate --healthy-hours 2 --out healthy.csv  hours in seconds, for training
      edgewright simulate --replay FILE.csv --speed 10         your own recording, by OPC UA

    A port 0 takes a free one; --json tells which.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    if (healthy_hours is None) != (out is None):
        raise click.UsageError("--healthy-hours and --out belong together")
    if healthy_hours is not None and out is not None:
        _record(seed, healthy_hours * 3600.0, period, out, as_json=as_json)
    elif replay_path is not None:
        recording = read_play(replay_path, time_column=time_column)
        _run(_replay(recording, opcua, state, speed, as_json=as_json))
    else:
        password = _read_password(user, password_file)
        plan = read_scenario(scenario) if scenario else Scenario()
        _run(
            _serve(
                {
                    "opcua": opcua,
                    "modbus": modbus,
                    "state": state,
                    "seed": seed,
                    "speed": speed,
                    "period_s": period,
                    "user": user,
                    "password": password,
                    "scenario": plan,
                },
                as_json=as_json,
            )
        )


def _record(seed: int, duration_s: float, period_s: float, out: Path, *, as_json: bool) -> None:
    if period_s > min(duration_s, PERIOD_S_MAX):
        raise click.UsageError("--period is longer than the recording")
    rows = record(Plant(seed), out, duration_s=duration_s, period_s=period_s)
    if as_json:
        click.echo(json.dumps({"out": str(out), "rows": rows, "seed": seed}))
    else:
        click.echo(f"{out}: {rows} rows of a healthy plant, seed {seed}")


async def _serve(options: dict[str, object], *, as_json: bool) -> None:
    # The servers bring asyncua and pymodbus, half a second that a recording need not wait for.
    from pydantic import ValidationError

    from gateway.simulate.service import endpoints_of, run
    from gateway.simulate.simulation import Simulation, SimulatorSettings
    from gateway.wire.settings_file import mistakes_of

    def tell(simulation: Simulation) -> None:
        where = endpoints_of(simulation)
        if as_json:
            click.echo(json.dumps(where))
        else:
            click.echo(f"pumps       {where['opcua']}   namespace urn:edgewright:plant")
            click.echo(f"compressor  {where['modbus']} unit 1   Modbus TCP")
            click.echo(f"control     {where['control']}")

    try:
        settings = SimulatorSettings.model_validate(options)
    except ValidationError as error:
        raise ConfigError(*mistakes_of(error)) from error
    await run(settings, clock=SystemClock(), on_ready=tell)


async def _replay(recording: Play, opcua: str, state: Path, speed: float, *, as_json: bool) -> None:
    from gateway.simulate.replay_service import Replay
    from gateway.simulate.simulation import book_path, make_state_folder, parse_address

    def tell(replay: Replay) -> None:
        nodes = {
            column: f"ns=2;s={node.identifier}"
            for column, node in zip(recording.columns, replay.nodes, strict=True)
        }
        if as_json:
            click.echo(json.dumps({"opcua": replay.server.endpoint, "nodes": nodes}))
            return
        duration_s = recording.time_s[-1] / speed
        click.echo(f"{replay.server.endpoint}   {len(recording.rows)} rows in {duration_s:.0f} s")
        for column, node in nodes.items():
            click.echo(f"   {node:40} {column}")

    address = parse_address("opcua", opcua)
    book = book_path(make_state_folder(state), "replay")
    replay = Replay(recording, address=address, book=book, clock=SystemClock())
    await replay.run(speed=speed, on_ready=tell)


def _run(work: Coroutine[object, object, None]) -> None:
    """Run until it is done, or a signal asks for a clean stop."""
    # Standard output belongs to the answer; what the service says goes beside it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    async def until_told() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    asyncio.run(until_told())


def _read_password(user: str, path: Path | None) -> SecretStr:
    if not user:
        return SecretStr("")
    if path is None:
        raise click.UsageError("--user needs --password-file")
    try:
        return SecretStr(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
