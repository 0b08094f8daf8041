"""`edgewright tail`: follow values and events as they come."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.api.answers import EventAnswer, StreamLine, TagAnswer
from gateway.api.client import GatewayClient
from gateway.cli.local import json_option, socket_option
from gateway.console.format import STALE_MARK, number
from gateway.core.units import printed_unit


@click.command("tail")
@click.argument("prefix", default="")
@click.option("--events-only", is_flag=True, help="Leave values out.")
@socket_option
@json_option
def command(prefix: str, socket: Path, *, events_only: bool, as_json: bool) -> None:
    """Follow values and events as they come, until Ctrl-C.

    PREFIX keeps to tags whose id opens with it, such as `pumps.P101.`; events always come. With
    --json each line is one document, also for a program that is slower than the plant.
    """
    try:
        asyncio.run(follow(socket, prefix, events_only=events_only, as_json=as_json))
    except KeyboardInterrupt:
        return


async def follow(socket: Path, prefix: str, *, events_only: bool, as_json: bool) -> None:
    """Print what becomes new until cancelled."""
    async with GatewayClient(socket) as client:
        async for line in client.stream(prefix=prefix):
            shown = line.model_copy(update={"values": ()}) if events_only else line
            if as_json:
                click.echo(shown.model_dump_json())
            else:
                for text in _texts(shown):
                    click.echo(text)


def _texts(line: StreamLine) -> Iterator[str]:
    if line.missed_events:
        yield f"{STALE_MARK} {line.missed_events} events missed: this reader was too slow"
    for event in line.events:
        yield _event_text(event)
    for value in line.values:
        yield _value_text(value)


def _value_text(value: TagAnswer) -> str:
    time = f"{value.time.astimezone():%H:%M:%S.%f}"[:-3] if value.time else ""
    shown = f"{number(value.value)} {printed_unit(value.unit)}"
    return f"{time:<13}{value.tag:<34}{shown:<18}{value.quality}"


def _event_text(event: EventAnswer) -> str:
    time = f"{event.time.astimezone():%H:%M:%S.%f}"[:-3]
    who = f" ({event.operator})" if event.operator else ""
    return f"{time:<13}{event.source:<34}{event.transition:<18}{event.text}{who}"
