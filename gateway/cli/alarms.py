"""`edgewright alarms`: list alarms, deal with them, and see whether there are too many."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path

import click

from gateway.api.alarm_answers import AlarmAnswer, AlarmList, AlarmMetricsAnswer
from gateway.api.answers import EventAnswer
from gateway.api.client import GatewayClient
from gateway.cli.local import ask, json_option, socket_option
from gateway.console.alarm_rate import alarm_rate
from gateway.console.format import (
    ALARM_WORDS,
    age,
    duration,
    parse_duration,
    percent,
    plural,
)

SHOWN_MAX = 10
"""Most alarms that a line of the figures names."""


@click.group("alarms", invoke_without_command=True)
@socket_option
@json_option
@click.pass_context
def command(context: click.Context, socket: Path, *, as_json: bool) -> None:
    """List alarms, deal with them, and see whether there are too many. By itself it lists them.

    Your system user name is kept with what you do.
    """
    context.obj = socket
    if context.invoked_subcommand is None:
        _print_list(socket, as_json=as_json)


@command.command("list")
@json_option
@click.pass_obj
def list_alarms(socket: Path, *, as_json: bool) -> None:
    """List the alarms that are not normal, the worst first."""
    _print_list(socket, as_json=as_json)


@command.command("acknowledge")
@click.argument("alarm")
@click.pass_obj
def acknowledge(socket: Path, alarm: str) -> None:
    """Say that you have seen ALARM, such as P-101/filter_clogged. `ack` is the same."""
    _act(socket, alarm, "acknowledged", lambda client: client.acknowledge(alarm))


command.add_command(acknowledge, "ack")


@command.command("reset")
@click.argument("alarm")
@click.pass_obj
def reset(socket: Path, alarm: str) -> None:
    """Let a latched ALARM go, once it is acknowledged and its condition is gone."""
    _act(socket, alarm, "reset", lambda client: client.reset(alarm))


@command.command("shelve")
@click.argument("alarm")
@click.option("--for", "length", default="8h", show_default=True, help="Such as 30min, 8h.")
@click.option("--reason", default="", help="Why, for those who come after you.")
@click.pass_obj
def shelve(socket: Path, alarm: str, length: str, reason: str) -> None:
    """Silence ALARM for a time; it comes back by itself."""
    for_s = parse_duration(length)
    if for_s is None:
        raise click.BadParameter(f"{length!r} is not a duration such as 30min, 8h")
    done = f"shelved for {duration(for_s)}"
    _act(socket, alarm, done, lambda client: client.shelve(alarm, for_s=for_s, reason=reason))


@command.command("unshelve")
@click.argument("alarm")
@click.pass_obj
def unshelve(socket: Path, alarm: str) -> None:
    """Let a shelved ALARM speak again before its time."""
    _act(socket, alarm, "no longer shelved", lambda client: client.unshelve(alarm))


@command.command("out-of-service")
@click.argument("alarm")
@click.option("--reason", required=True, help="Why, for those who come after you.")
@click.pass_obj
def out_of_service(socket: Path, alarm: str, reason: str) -> None:
    """Silence ALARM until a person puts it back with `return`."""
    done = "taken out of service"
    _act(socket, alarm, done, lambda client: client.take_out(alarm, reason=reason))


@command.command("return")
@click.argument("alarm")
@click.pass_obj
def return_to_service(socket: Path, alarm: str) -> None:
    """Put ALARM into service again."""
    _act(socket, alarm, "put into service again", lambda client: client.put_back(alarm))


@command.command("metrics")
@json_option
@click.pass_obj
def metrics(socket: Path, *, as_json: bool) -> None:
    """Show how many alarms asked for a person, against the target of IEC 62682."""
    found = ask(socket, lambda client: client.alarm_metrics())
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    for line in _metric_lines(found):
        click.echo(line)


def _act(
    socket: Path, alarm: str, done: str, action: Callable[[GatewayClient], Awaitable[EventAnswer]]
) -> None:
    event = ask(socket, action)
    click.echo(f"{alarm} {done} by {event.operator}")


def _print_list(socket: Path, *, as_json: bool) -> None:
    alarms, now = ask(socket, _list)
    if as_json:
        click.echo(alarms.model_dump_json(indent=1))
        return
    for alarm in alarms.alarms:
        since = age(alarm.raised, now)
        click.echo(
            f"{alarm.severity:>4}  {ALARM_WORDS[alarm.state]:<14}  {since:>6}  "
            f"{alarm.id}  {alarm.text}{_remark(alarm)}"
        )
    if not alarms.alarms:
        click.echo("no alarms")


def _remark(alarm: AlarmAnswer) -> str:
    """Return what else there is to know of an alarm, behind its text."""
    remarks = []
    if alarm.group_order:
        remarks.append(f"{alarm.group}: number {alarm.group_order}")
    if alarm.is_chattering:
        remarks.append("chatters")
    if alarm.is_quiet:
        remarks.append("came in a flood")
    if alarm.silenced_by or alarm.silenced_reason:
        remarks.append(" ".join(filter(None, (alarm.silenced_reason, _by(alarm.silenced_by)))))
    return f"  [{'; '.join(remarks)}]" if remarks else ""


def _by(operator: str) -> str:
    return f"by {operator}" if operator else ""


def _metric_lines(found: AlarmMetricsAnswer) -> Iterator[str]:
    verdict = "within" if found.is_within_target else "above"
    days = duration((found.until - found.since).total_seconds())
    yield f"{'now':<12}{alarm_rate(found)}"
    yield (
        f"{'average':<12}{found.per_hour:.1f} an hour, {found.per_day:.0f} a day; {verdict} the "
        f"target of {found.target_per_hour:g} an hour, over {days}"
    )
    yield (
        f"{'peak':<12}{found.peak_per_10min} announced in 10 min, "
        f"{found.peak_raised_per_10min} raised"
    )
    yield (
        f"{'floods':<12}{found.flood_count}, {found.flood_share:.2%} of the time; "
        f"{found.raised} raised, {found.announced} announced"
    )
    yield f"{'severity':<12}high {found.high}, medium {found.medium}, low {found.low}"
    yield f"{'chattering':<12}{plural(found.chattering, 'time')}{_named(found.chattering_now)}"
    yield f"{'fleeting':<12}{plural(found.fleeting, 'alarm')}"
    yield f"{'stale':<12}{plural(len(found.stale), 'alarm')}{_named(found.stale)}"
    for place, each in enumerate(found.most_frequent, start=1):
        yield f"{f'worst {place}':<12}{each.alarm}  {each.count} times, {percent(each.share)}"


def _named(alarms: tuple[str, ...]) -> str:
    """Return the names of alarms that are so now, as many as fit."""
    if not alarms:
        return ""
    more = f" and {len(alarms) - SHOWN_MAX} more" if len(alarms) > SHOWN_MAX else ""
    return f"; now {', '.join(alarms[:SHOWN_MAX])}{more}"


async def _list(client: GatewayClient) -> tuple[AlarmList, datetime]:
    return await client.alarms(), (await client.status()).now
