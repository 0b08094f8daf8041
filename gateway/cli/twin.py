"""`edgewright twin`: show the digital twins."""

from pathlib import Path

import click

from gateway.api.answers import AssetAnswer, AssetDetail, AssetList, SignalAnswer
from gateway.api.client import GatewayClient
from gateway.cli.local import ask, json_option, socket_option
from gateway.console.format import STALE_MARK, around, number, percent, remaining
from gateway.core.units import printed_unit


@click.group("twin")
def command() -> None:
    """Show the digital twins."""


@command.command("show")
@click.argument("asset", default="")
@socket_option
@json_option
def show(asset: str, socket: Path, *, as_json: bool) -> None:
    """Show every asset in a line, or ASSET with all its signals."""

    async def question(client: GatewayClient) -> AssetList | AssetDetail:
        return await client.asset(asset) if asset else await client.assets()

    answer = ask(socket, question)
    if as_json:
        click.echo(answer.model_dump_json(indent=1))
    elif isinstance(answer, AssetDetail):
        _print_detail(answer)
    else:
        for each in answer.assets:
            click.echo(_line(each))


def _print_detail(detail: AssetDetail) -> None:
    click.echo(_line(detail.summary))
    for signal in detail.signals:
        click.echo(_signal_line(signal).rstrip())
    if detail.summary.advice:
        click.echo(f"→ {detail.summary.advice}")


def _line(asset: AssetAnswer) -> str:
    left = remaining(asset.remaining_h, asset.remaining_low_h, asset.remaining_high_h)
    return (
        f"{asset.asset:<10}{asset.asset_type:<19}{asset.state:<10}"
        f"health {percent(asset.health):>5}  score {number(asset.score):>5}  left {left:<9}"
        f"{asset.worst_sign}"
    ).rstrip()


def _signal_line(signal: SignalAnswer) -> str:
    mark = STALE_MARK if signal.is_stale or signal.quality == "bad" else " "
    shown = f"{number(signal.value):>9} {printed_unit(signal.unit):<6}"
    expected = "" if signal.expected is None else around(signal.expected, signal.tolerance)
    share = "" if signal.share is None else percent(signal.share)
    return f"  {signal.name:<30}{mark}{shown}{signal.quality:<11}{expected:<16}{share:>5}"
