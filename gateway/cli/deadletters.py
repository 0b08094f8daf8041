"""`edgewright deadletters`: what a far end will never take, and sending it again."""

from collections.abc import Sequence
from pathlib import Path

import click

from gateway.api.uplink_answers import DeadLetterAnswer
from gateway.cli.local import ask, json_option, socket_option
from gateway.console.format import plural, size

SINCE = "%Y-%m-%d %H:%M"


@click.group("deadletters")
def command() -> None:
    """List records that a far end refuses for good, and send them again.

    They are kept as files in the state folder; to drop one, delete its file.
    """


@command.command("list")
@click.argument("uplink")
@socket_option
@json_option
def list_letters(uplink: str, socket: Path, *, as_json: bool) -> None:
    """List what UPLINK will never take, and why."""
    answer = ask(socket, lambda client: client.dead_letters(uplink))
    if as_json:
        click.echo(answer.model_dump_json(indent=1))
        return
    _print(answer.letters)


@command.command("retry")
@click.argument("uplink")
@socket_option
@json_option
def retry(uplink: str, socket: Path, *, as_json: bool) -> None:
    """Send the oldest dead letters of UPLINK again, after its far end was mended."""
    answer = ask(socket, lambda client: client.send_dead_letters_again(uplink))
    if as_json:
        click.echo(answer.model_dump_json(indent=1))
        return
    click.echo(f"{plural(answer.taken, 'record')} taken, {len(answer.letters)} left")
    _print(answer.letters)


def _print(letters: Sequence[DeadLetterAnswer]) -> None:
    for letter in letters:
        click.echo(
            f"{letter.boot}/{letter.seq:<12}{letter.kind:<9}{size(letter.size_bytes):>9}  "
            f"{letter.time.astimezone():{SINCE}}  {letter.reason}"
        )
    if not letters:
        click.echo("no dead letters")
