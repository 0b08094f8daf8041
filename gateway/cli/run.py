"""`edgewright run`: the gateway itself, as systemd starts it."""

import asyncio
import json
from pathlib import Path

import click

from gateway.config import read_config
from gateway.service.life import run_gateway
from gateway.wire.messages import set_up_messages


@click.command("run")
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    help="Configuration file (TOML).",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line when ready and one at the end.")
def command(path: Path, *, as_json: bool) -> None:
    """Run the gateway until it is told to stop (SIGTERM, Ctrl-C).

    Check the configuration first: edgewright check FILE.
    """
    # A wrong file is told before anything else is said.
    read_config(path)
    set_up_messages()

    def say(what: dict[str, object]) -> None:
        if as_json:
            click.echo(json.dumps(what))

    asyncio.run(run_gateway(path, say=say))
