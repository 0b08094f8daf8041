"""How the commands get at an OPC UA server: the options they share, and a session.

Security is never guessed: without `--security` the commands say what the server offers and end.
"""

import asyncio
import functools
import gc
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import click
from pydantic import ValidationError

from connectors.messages import KEEPS_TRYING
from connectors.opcua.security import (
    CERTIFICATES_FOLDER,
    NO_SECURITY,
    SecuritySettings,
    read_credentials,
)
from gateway.core.errors import DeviceError
from gateway.wire.clock import SystemClock

if TYPE_CHECKING:
    from connectors.opcua.connect import LinkSettings
    from connectors.opcua.session import UaLink

ResultT = TypeVar("ResultT")

SECURITY = get_args(SecuritySettings.model_fields["security"].annotation)
MODES = get_args(SecuritySettings.model_fields["mode"].annotation)
TIMEOUT_S = 4.0
FILE = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.option(
        "--security",
        type=click.Choice(SECURITY),
        help="How to connect; without it, says what the server offers.",
    ),
    click.option(
        "--mode",
        type=click.Choice(MODES),
        default=MODES[0],
        show_default=True,
        help="Sign and encrypt, or only sign.",
    ),
    click.option("--user", default="", help="User name; anonymous without."),
    click.option("--password-file", type=FILE, help="Holds the password of --user."),
    click.option("--user-certificate", type=FILE, help="Logs in instead of a user name."),
    click.option("--user-key", type=FILE, help="Private key of --user-certificate."),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to get into a server, as given on the command line."""

    security: str | None
    """None: not said, so the server's offers are shown."""
    mode: str
    user: str
    password_file: Path | None
    user_certificate: Path | None
    user_key: Path | None
    trusts_first_use: bool
    timeout_s: float
    """Longest wait for each answer."""

    def settings(self) -> SecuritySettings:
        """Return the options of a connector for it.

        Raises:
            click.UsageError: they do not fit together.
        """
        given = {
            "security": self.security or NO_SECURITY,
            "mode": self.mode,
            "trust": "first_use" if self.trusts_first_use else "folder",
            "user": self.user,
            "password_file": self.password_file,
            "user_certificate": self.user_certificate,
            "user_key": self.user_key,
        }
        try:
            return SecuritySettings.model_validate(given)
        except ValidationError as error:
            texts = [each["msg"].removeprefix("Value error, ") for each in error.errors()]
            raise click.UsageError("; ".join(texts)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a server is and how to get in."""

    endpoint: str
    login: Login
    state_folder: Path
    """Of the gateway; the certificates are in a folder of their own in it."""


def access_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options for security and time to a command, which is handed a `login`."""

    @functools.wraps(function)
    def with_login(
        *,
        security: str | None,
        mode: str,
        user: str,
        password_file: Path | None,
        user_certificate: Path | None,
        user_key: Path | None,
        trust_first_use: bool,
        timeout_s: float,
        **others: object,
    ) -> None:
        login = Login(
            security=security,
            mode=mode,
            user=user,
            password_file=password_file,
            user_certificate=user_certificate,
            user_key=user_key,
            trusts_first_use=trust_first_use,
            timeout_s=timeout_s,
        )
        function(login=login, **others)

    for option in reversed(_OPTIONS):
        with_login = option(with_login)
    return with_login


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
        ConfigError: a file of the login cannot be read.
        DeviceError: no session; says what to do.
    """
    # asyncua takes half a second that every other command does without.
    from connectors.opcua.connect import open_link
    from connectors.opcua.discover import ask_offers, offers_text

    # What asyncua has to say about a failure stands in the error already.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    # What is here now stays: without going through it again and again, the collector never
    # holds the loop up for the tenths of a second that half a million objects take.
    gc.freeze()
    login = access.login
    settings = link_settings(access, name=name)
    offers = await ask_offers(access.endpoint, timeout_s=login.timeout_s)
    if login.security not in {offer.policy for offer in offers}:
        what = f"does not offer {login.security}" if login.security else "needs --security"
        raise DeviceError(
            f"{access.endpoint} {what}. It offers:\n{offers_text(offers)}\n"
            "Choose one of these with --security, or switch another on at the server."
        )
    try:
        link = await open_link(settings, SystemClock())
    except DeviceError as error:
        raise DeviceError(_advice(error, access)) from error
    try:
        yield link
    except DeviceError as error:
        raise DeviceError(str(error).replace(KEEPS_TRYING, "")) from error
    finally:
        await link.close()


def link_settings(access: Access, *, name: str) -> "LinkSettings":
    """Return the settings of a session; security is as asked for or there is none.

    Raises:
        ConfigError: a file of the login cannot be read.
    """
    from connectors.opcua.certificates import CertificateWatch
    from connectors.opcua.client import Decode
    from connectors.opcua.connect import LinkSettings
    from connectors.opcua.trust import Trust

    security = access.login.settings()
    folder = access.state_folder / CERTIFICATES_FOLDER
    return LinkSettings(
        device=access.endpoint,
        name=name,
        endpoint=access.endpoint,
        security=security.security,
        mode=security.mode,
        credentials=read_credentials(security, folder=Path(), name=name),
        trust=Trust(security.trust),
        certificates=CertificateWatch(
            name,
            folder=folder,
            warning_days=security.certificate_warning_days,
            clock=SystemClock(),
        ),
        folder=folder,
        timeout_s=access.login.timeout_s,
        decode=Decode.COLUMNS,
    )


def _advice(error: DeviceError, access: Access) -> str:
    """Return an error for a person who is setting the gateway up."""
    from connectors.opcua.trust import UntrustedError, grouped

    cause = error.__cause__
    if not isinstance(cause, UntrustedError):
        return str(error).replace(KEEPS_TRYING, "")
    what = "another certificate than before" if cause.has_changed else "an unknown certificate"
    text = (
        f"{access.endpoint} shows {what}. Compare its SHA-256 with the server's own display:\n"
        f"  {grouped(cause.fingerprint)}\nIf they are equal:\n"
        f"  edgewright certs trust {cause.fingerprint[:16]} --state {access.state_folder}"
    )
    if cause.has_changed:
        return text
    return f"{text}\nIf nobody else can be on this network: add --trust-first-use"
