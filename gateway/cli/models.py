"""`edgewright models`: list, promote and roll back models."""

from pathlib import Path

import click

from gateway.api.answers import CoverageAnswer, ModelList
from gateway.cli.local import ask, json_option, socket_option

SINCE = "%Y-%m-%d %H:%M"


@click.group("models")
def command() -> None:
    """List, promote and roll back models.

    The gateway promotes and rolls back by its own rules; these commands are for the person who
    knows better. Both want the version, so that nobody acts on another one than they mean.
    """


@command.command("list")
@socket_option
@json_option
def list_models(socket: Path, *, as_json: bool) -> None:
    """List every version of every model, and why each stands where it stands."""
    _print(ask(socket, lambda client: client.models()), as_json=as_json)


@command.command("promote")
@click.argument("name")
@click.argument("version")
@socket_option
@json_option
def promote(name: str, version: str, socket: Path, *, as_json: bool) -> None:
    """Put VERSION of the model NAME, now in shadow, in force."""
    _print(ask(socket, lambda client: client.promote(name, version)), as_json=as_json)


@command.command("rollback")
@click.argument("name")
@click.argument("version")
@socket_option
@json_option
def rollback(name: str, version: str, socket: Path, *, as_json: bool) -> None:
    """Take VERSION of the model NAME out of force; the version before it comes back."""
    _print(ask(socket, lambda client: client.roll_back(name, version)), as_json=as_json)


def _print(models: ModelList, *, as_json: bool) -> None:
    if as_json:
        click.echo(models.model_dump_json(indent=1))
        return
    width = max((len(model.name) for model in models.models), default=0)
    for model in models.models:
        rows = f"{model.rows}/{model.rows_needed} rows" if model.rows_needed else ""
        click.echo(
            f"{model.name:<{width}}  {model.version:<9}{model.stage:<12}"
            f"{model.since.astimezone():{SINCE}}  {rows:<16}{model.reason}"
            f"{_judged(model.coverage)}"
        )
    if not models.models:
        click.echo("no models")


def _judged(coverage: CoverageAnswer | None) -> str:
    """Return how often the intervals of remaining life held; empty where it is not known."""
    if coverage is None or coverage.judged == 0:
        return ""
    return (
        f"; its intervals held {coverage.held} of {coverage.judged} lives"
        f" ({coverage.told:.0%} promised)"
    )
