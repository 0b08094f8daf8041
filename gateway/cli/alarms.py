"""`edgewright alarms`: list, acknowledge and shelve alarms."""

from datetime import datetime
from pathlib import Path

import click

from gateway.api.alarm_answers import AlarmList
from gateway.api.client import GatewayClient
from gateway.cli.local import ask, json_option, socket_option
from gateway.console.format import ALARM_WORDS, age, duration, parse_duration


@click.group("alarms", invoke_without_command=True)
@socket_option
@json_option
@click.pass_context
def command(context: click.Context, socket: Path, *, as_json: bool) -> None:
    """List, acknowledge and shelve alarms. Without a subcommand, list them.

    Your system user name is kept with what you acknowledge and shelve.
    """
    context.obj = socket
    if context.invoked_subcommand is not None:
        return
    alarms, now = ask(socket, _list)
    if as_json:
        click.echo(alarms.model_dump_json(indent=1))
        return
    for alarm in alarms.alarms:
        since = age(alarm.raised, now)
        click.echo(
            f"{alarm.severity:>4}  {ALARM_WORDS[alarm.state]:<12}  {since:>6}  "
            f"{alarm.id}  {alarm.text}"
        )
    if not alarms.alarms:
        click.echo("no alarms")


@command.command("acknowledge")
@click.argument("alarm")
@click.pass_obj
def acknowledge(socket: Path, alarm: str) -> None:
    """Say that you have seen ALARM, such as P-101/filter_clogged."""
    event = ask(socket, lambda client: client.acknowledge(alarm))
    click.echo(f"{alarm} acknowledged by {event.operator}")


@command.command("shelve")
@click.argument("alarm")
@click.option("--for", "length", default="8h", show_default=True, help="Such as 30min, 8h, 2d.")
@click.pass_obj
def shelve(socket: Path, alarm: str, length: str) -> None:
    """Silence ALARM for a time; it comes back by itself."""
    for_s = parse_duration(length)
    if for_s is None:
        raise click.BadParameter(f"{length!r} is not a duration such as 30min, 8h, 2d")
    event = ask(socket, lambda client: client.shelve(alarm, for_s=for_s))
    click.echo(f"{alarm} shelved for {duration(for_s)} by {event.operator}")


async def _list(client: GatewayClient) -> tuple[AlarmList, datetime]:
    return await client.alarms(), (await client.status()).now
