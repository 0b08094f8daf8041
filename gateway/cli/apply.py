"""`edgewright apply`: a new configuration on the running gateway, and how it went."""

import asyncio
import time
from pathlib import Path

import click

from gateway.api.answers import AppliedAnswer, ConfigurationAnswer
from gateway.api.client import GatewayClient
from gateway.api.errors import GoneError
from gateway.cli import EXIT_FAILED
from gateway.cli.local import ask, json_option, socket_option
from gateway.core.errors import ConfigError

GONE_S_MAX = 60.0
"""Longest time that the gateway may be silent while it changes over."""
PERIOD_S = 0.5
"""Time between two questions."""


@click.command("apply")
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--no-wait", "waits", flag_value=False, default=True, help="Return once it is on trial."
)
@socket_option
@json_option
def command(path: Path | None, socket: Path, *, waits: bool, as_json: bool) -> None:
    """Put FILE in force on the running gateway; without FILE, the one it was started with.

    Every mistake is told at once, and nothing changes then (exit 2). Otherwise the gateway changes
    over within seconds, loses nothing, and watches whether tags and devices are as well as before
    (`[apply]` in the configuration). If not, it returns to the last good one by itself (exit 1).
    """
    applied = ask(socket, lambda client: client.apply(path.absolute() if path else None))
    if applied.mistakes:
        raise ConfigError(*applied.mistakes)
    if applied.is_change and waits:
        if not as_json:
            click.echo(f"configuration {applied.digest} is on trial")
        decided = ask(socket, _decided)
        _tell(decided, applied, as_json=as_json)
        return
    if as_json:
        click.echo(applied.model_dump_json(indent=1))
    elif applied.is_change:
        click.echo(f"configuration {applied.digest} is on trial; edgewright status shows how it is")
    else:
        click.echo(f"configuration {applied.digest} is in force already")


async def _decided(client: GatewayClient) -> ConfigurationAnswer:
    """Return the configuration in force once the trial is over."""
    heard_s = time.monotonic()
    while True:
        try:
            configuration = (await client.status()).configuration
        except GoneError:
            if time.monotonic() - heard_s > GONE_S_MAX:
                raise
        else:
            heard_s = time.monotonic()
            if not configuration.is_on_trial:
                return configuration
        await asyncio.sleep(PERIOD_S)


def _tell(decided: ConfigurationAnswer, applied: AppliedAnswer, *, as_json: bool) -> None:
    stays = decided.digest == applied.digest
    if as_json:
        click.echo(decided.model_dump_json(indent=1))
    elif stays:
        click.echo(f"configuration {applied.digest} has proven itself and stays")
        if decided.file != decided.start_file:
            click.echo(
                f"the next start takes {decided.start_file}: put the new one there to keep it"
            )
    else:
        click.echo(f"returned to {decided.digest}: {decided.left_reason}", err=True)
    if not stays:
        raise click.exceptions.Exit(EXIT_FAILED)
