"""What the commands that ask the running gateway share: the socket, and one question a run."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from gateway.api.client import GatewayClient
from gateway.api.server import DEFAULT_SOCKET

ResultT = TypeVar("ResultT")

socket_option = click.option(
    "--socket",
    type=click.Path(path_type=Path),
    envvar="EDGEWRIGHT_SOCKET",
    default=DEFAULT_SOCKET,
    show_default=True,
    show_envvar=True,
    help="Where the gateway listens.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs, instead of text."
)


def ask(socket: Path, question: Callable[[GatewayClient], Awaitable[ResultT]]) -> ResultT:
    """Return the gateway's answer to a question.

    Raises:
        GoneError: nobody answers.
        RefusedError: the gateway refuses.
    """
    return asyncio.run(_ask(socket, question))


async def _ask(socket: Path, question: Callable[[GatewayClient], Awaitable[ResultT]]) -> ResultT:
    async with GatewayClient(socket) as client:
        return await question(client)
