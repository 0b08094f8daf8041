"""`edgewright cases`: what is wrong with the assets, and what a technician found."""

from datetime import datetime
from pathlib import Path

import click

from gateway.api.case_answers import CaseAnswer, CaseList
from gateway.api.client import GatewayClient
from gateway.cli.local import ask, json_option, socket_option
from gateway.console.format import age, label, number, percent, plural
from gateway.core.cases import Verdict
from gateway.core.units import printed_unit

VERDICTS = {verdict.replace("_", "-"): verdict for verdict in Verdict}
CLOSED_SHOWN = 5


@click.group("cases", invoke_without_command=True)
@socket_option
@json_option
@click.pass_context
def command(context: click.Context, socket: Path, *, as_json: bool) -> None:
    """List the cases: what is wrong with which asset. Without a subcommand, list them.

    All alarms of an asset that belong together are one case, with the reasons, what is likely the
    matter, and what to check.
    """
    context.obj = socket
    if context.invoked_subcommand is not None:
        return
    cases, now = ask(socket, _list)
    if as_json:
        click.echo(cases.model_dump_json(indent=1))
        return
    standing = [case for case in cases.cases if case.is_open]
    over = [case for case in cases.cases if not case.is_open]
    for case in (*standing, *over[:CLOSED_SHOWN]):
        click.echo(_summary(case, now))
    if not standing:
        click.echo("no open case")
    if len(over) > CLOSED_SHOWN:
        click.echo(f"and {len(over) - CLOSED_SHOWN} closed ones more: --json has them all")


@command.command("verdict")
@click.argument("case")
@click.argument("verdict", type=click.Choice(list(VERDICTS)))
@click.option("--note", default="", help="What you found, in your words.")
@click.pass_obj
def verdict(socket: Path, case: str, verdict: str, note: str) -> None:
    """Say what was behind CASE: its id, or the asset if it has an open one.

    confirmed: the machine was at fault. false: nothing was wrong. planned-work: somebody worked
    on the machine. The models learn from it. A later verdict replaces an earlier one.
    """
    answer = ask(socket, lambda client: _decide(client, case, VERDICTS[verdict], note))
    state = "stays open until its alarms are gone" if answer.active else "is closed"
    click.echo(f"{answer.asset} {answer.id}: {verdict} by {answer.operator}; the case {state}")


async def _list(client: GatewayClient) -> tuple[CaseList, datetime]:
    return await client.cases(), (await client.status()).now


async def _decide(client: GatewayClient, name: str, verdict: Verdict, note: str) -> CaseAnswer:
    cases = (await client.cases()).cases
    found = next((case for case in cases if name == case.id), None) or next(
        (case for case in cases if name == case.asset and case.is_open), None
    )
    if found is None:
        raise click.ClickException(f"there is no case {name!r}: `edgewright cases` lists them")
    return await client.decide(found.id, verdict, note=note)


def _summary(case: CaseAnswer, now: datetime) -> str:
    state = f"open {age(case.opened, now)}" if case.is_open else f"closed {age(case.closed, now)}"
    lines = [f"{case.asset}  {case.id}  {state}  {plural(len(case.conditions), 'alarm')}: "]
    lines[0] += ", ".join(label(name) for name in case.conditions)
    if case.cause:
        lines.append(f"  {case.cause}: {case.check}")
    for reason in case.evidence[:3]:
        share = "" if reason.share is None else f"  {percent(reason.share)}"
        value = f"{number(reason.value)} {printed_unit(reason.unit)}".rstrip()
        lines.append(f"  {reason.name}  {value}{share}")
    if case.verdict:
        note = f": {case.note}" if case.note else ""
        lines.append(f"  {case.verdict.replace('_', ' ')} ({case.operator}){note}")
    return "\n".join(lines)
