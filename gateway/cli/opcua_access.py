"""How the commands get at an OPC UA server: the options they share, and a session.

Security is never guessed: without `--security` the commands say what the server offers and end.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import click
from pydantic import SecretStr

from connectors.messages import KEEPS_TRYING
from connectors.opcua import OpcuaConfig
from gateway.core.errors import ConfigError, DeviceError
from gateway.wire.clock import SystemClock

if TYPE_CHECKING:
    from connectors.opcua_connect import LinkSettings
    from connectors.opcua_session import UaLink

ResultT = TypeVar("ResultT")
FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

SECURITY = get_args(OpcuaConfig.model_fields["security"].annotation)
TIMEOUT_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a server is and how to get in."""

    endpoint: str
    security: str | None
    """None: not said, so the server's offers are shown."""
    user: str
    password: SecretStr
    trusts_first_use: bool
    state_folder: Path
    """Keeps certificates."""
    timeout_s: float
    """Longest wait for each answer."""


def access_options(function: FunctionT) -> FunctionT:
    """Add the options for security and time to a command."""
    for option in reversed(
        (
            click.option(
                "--security",
                type=click.Choice(SECURITY),
                help="How to connect; without it, says what the server offers.",
            ),
            click.option("--user", default="", help="User name; anonymous without."),
            click.option(
                "--password-file",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Holds the password of --user.",
            ),
            click.option(
                "--trust-first-use",
                is_flag=True,
                help="Trust the certificate that the server shows now, and only that one later.",
            ),
            click.option(
                "--timeout",
                "timeout_s",
                type=click.FloatRange(0, 60, min_open=True),
                default=TIMEOUT_S,
                show_default=True,
                help="Seconds; longest wait for each answer.",
            ),
        )
    ):
        function = option(function)
    return function


def read_password(user: str, path: Path | None, security: str | None) -> SecretStr:
    """Return the password for a user; empty without one.

    Raises:
        ConfigError: there is no file, or it cannot be read.
        click.UsageError: only one of the two is given, or it would travel in the clear.
    """
    if bool(user) != (path is not None):
        raise click.UsageError("--user and --password-file belong together")
    if path is None:
        return SecretStr("")
    if security == "None":
        raise click.UsageError("a password would travel in the clear: choose another --security")
    try:
        return SecretStr(path.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


async def done_within(seconds: float, work: Coroutine[object, object, ResultT]) -> ResultT:
    """Return what comes of a piece of work, given so much time.

    Not `asyncio.timeout`: asyncua waits in ways of its own, whose cancellation that does not know.

    Raises:
        TimeoutError: it was not done.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        task.cancel()
        await asyncio.wait([task])
    if task.cancelled():
        raise TimeoutError
    return task.result()


@asynccontextmanager
async def opened(access: Access, *, name: str) -> AsyncIterator["UaLink"]:
    """Give a session with the server.

    Args:
        access: Where and how.
        name: Of the connector; a certificate that is trusted at its first use is kept under it.

    Raises:
        DeviceError: no session; says what to do.
    """
    # asyncua takes half a second that every other command does without.
    from connectors.opcua_connect import open_link
    from connectors.opcua_discover import ask_offers, offers_text

    # What asyncua has to say about a failure stands in the error already.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    # What is here now stays: without going through it again and again, the collector never
    # holds the loop up for the tenths of a second that half a million objects take.
    gc.freeze()
    offers = await ask_offers(access.endpoint, timeout_s=access.timeout_s)
    if access.security not in {offer.policy for offer in offers}:
        what = f"does not offer {access.security}" if access.security else "needs --security"
        raise DeviceError(
            f"{access.endpoint} {what}. It offers:\n{offers_text(offers)}\n"
            "Choose one of these with --security, or switch another on at the server."
        )
    try:
        link = await open_link(link_settings(access, name=name), SystemClock())
    except DeviceError as error:
        raise DeviceError(_advice(error, name)) from error
    try:
        yield link
    except DeviceError as error:
        raise DeviceError(str(error).replace(KEEPS_TRYING, "")) from error
    finally:
        await link.close()


def link_settings(access: Access, *, name: str) -> "LinkSettings":
    """Return the settings of a session; security is as asked for or there is none."""
    from connectors.opcua_client import Decode
    from connectors.opcua_connect import LinkSettings
    from connectors.opcua_trust import Trust

    return LinkSettings(
        device=access.endpoint,
        name=name,
        endpoint=access.endpoint,
        is_secure=access.security == "Basic256Sha256",
        user=access.user,
        password=access.password,
        trust=Trust.FIRST_USE if access.trusts_first_use else Trust.FOLDER,
        folder=access.state_folder,
        timeout_s=access.timeout_s,
        decode=Decode.COLUMNS,
    )


def _advice(error: DeviceError, name: str) -> str:
    """Return an error for a person who is setting the gateway up."""
    from connectors.opcua_trust import UntrustedError

    text = str(error).replace(KEEPS_TRYING, "")
    cause = error.__cause__
    if not isinstance(cause, UntrustedError):
        return text
    trusted = cause.rejected_path.parent.parent / "trusted"
    again = f"rm {trusted / f'first-use-{name}.der'}" if cause.has_changed else "--trust-first-use"
    return (
        f"{text}\nOnce they are equal:  mv {cause.rejected_path} {trusted}/\n"
        f"If nobody else can be on this network:  {again}"
    )
