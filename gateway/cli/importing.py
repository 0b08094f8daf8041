"""`edgewright import`: a recording becomes history, as if the gateway had been there."""

import asyncio
import json
from pathlib import Path

import click

from gateway.config import read_config
from gateway.recordings import read_recording
from gateway.service.importing import import_recording
from gateway.wire.messages import set_up_messages


@click.command("import")
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    help="Configuration file (TOML).",
)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Recording (CSV).")
@click.option("--time", "time_column", help="Name of its time column; found by itself if usual.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(path: Path, data: Path, time_column: str | None, *, as_json: bool) -> None:
    """Take in a recording as history, while the gateway is not running.

    The twins learn their machines from it, and it goes to the cloud, where models are trained.
    Columns are named as tags (pumps.P101.Flow) or as signals of assets (P-101.flow_m3h). History
    changes states only; it never leads to an action.
    """
    config = read_config(path)
    recording = read_recording(data, time_column=time_column)
    set_up_messages()
    imported = asyncio.run(import_recording(config, recording, folder=path.resolve().parent))
    if as_json:
        click.echo(json.dumps({"samples": imported.samples, "ignored": list(imported.ignored)}))
        return
    click.echo(f"{data}: {imported.samples} samples are history now")
    if imported.ignored:
        click.echo(f"columns without a tag: {', '.join(imported.ignored)}")
