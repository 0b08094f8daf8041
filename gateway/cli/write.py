"""`edgewright write`: one value to one machine, in two steps."""

import math
from pathlib import Path

import click

from gateway.api.answers import CommandAnswer, TagAnswer
from gateway.api.client import GatewayClient
from gateway.api.errors import RefusedError
from gateway.api.requests import COMMAND_S_MAX, LIMIT_MAX, CommandRequest, TagsRequest
from gateway.cli import EXIT_FAILED
from gateway.cli.local import ask, json_option, socket_option
from gateway.core.units import printed_unit


# A negative value is no option.
@click.command("write", context_settings={"ignore_unknown_options": True})
@click.argument("tag")
@click.argument("value", type=float)
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0, COMMAND_S_MAX, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds; what cannot be written by then is not written at all.",
)
@socket_option
@json_option
def command(
    tag: str, value: float, within_s: float, socket: Path, *, yes: bool, as_json: bool
) -> None:
    """Write VALUE to TAG, and read it back.

    First it shows the tag's present value and range and asks; then it writes, once, and tells what
    the machine says. The gateway must allow it (writes.enabled), and so must the tag's list
    (writable). Your system user name is kept with it.

    Ends with 1 when the gateway refuses, or when the machine does not read back what was written.
    """
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no value for a machine", param_hint="VALUE")
    found = ask(socket, lambda client: _find(client, tag))
    if not found.is_writable:
        raise RefusedError(
            f"{tag} is not declared writable", "set `writable` in its tag list if it is meant to be"
        )
    # Beside the answer, so that a program reads nothing but the answer.
    click.echo(_present(found), err=True)
    if not yes:
        click.confirm(f"write {_quantity(value, found)}?", abort=True, err=True)
    request = CommandRequest(tag=tag, value=value, within_s=within_s)
    done = ask(socket, lambda client: client.submit(request))
    click.echo(done.model_dump_json(indent=1) if as_json else _outcome(done, found))
    if done.state != "successful":
        raise click.exceptions.Exit(EXIT_FAILED)


async def _find(client: GatewayClient, tag: str) -> TagAnswer:
    page = await client.tags(TagsRequest(prefix=tag, limit=LIMIT_MAX))
    for found in page.tags:
        if found.tag == tag:
            return found
    raise RefusedError(
        f"there is no tag {tag!r}", "`edgewright tail` shows the tags that there are"
    )


def _present(tag: TagAnswer) -> str:
    now = "unknown" if tag.value is None else _quantity(tag.value, tag)
    quality = "stale" if tag.is_stale else tag.quality
    low = "any" if tag.low is None else _quantity(tag.low, tag)
    high = "any" if tag.high is None else _quantity(tag.high, tag)
    return f"{tag.tag}   now {now} ({quality})   range {low} to {high}"


def _outcome(done: CommandAnswer, tag: TagAnswer) -> str:
    if done.state == "successful" and done.read_back is not None:
        return f"{done.tag} is {_quantity(done.read_back, tag)}, read back"
    return f"{done.tag}: writing {_quantity(done.value, tag)} failed: {done.reason}"


def _quantity(value: float, tag: TagAnswer) -> str:
    """Return a value with all its digits: what is written must not look rounded."""
    return f"{value:.12g} {printed_unit(tag.unit)}".rstrip()
