"""What an OPC UA server offers, before anything is agreed: for a person who sets a gateway up.

The answer comes over an open channel, so it is advice and nothing to rely on; connecting
(`connect`) checks for itself.
"""

import asyncio
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client

from connectors.opcua.session import LIBRARY_FAILURES
from gateway.core.errors import DeviceError

DISCOVERY_STEPS = 3
"""Connecting, asking and closing may take so many times the limit of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way to connect to a server."""

    policy: str
    """Such as `None` or `Basic256Sha256`."""
    mode: str
    """`None_`, `Sign` or `SignAndEncrypt`."""
    users: frozenset[str]
    """How a user may log in: `anonymous`, `password`, `certificate`, `token`."""


async def ask_offers(endpoint: str, *, timeout_s: float) -> tuple[Offer, ...]:
    """Return the ways to connect that a server offers, without doubles.

    Raises:
        DeviceError: it cannot be reached; says in plain words why.
    """
    client = Client(endpoint, timeout=timeout_s)
    try:
        async with asyncio.timeout(DISCOVERY_STEPS * timeout_s):
            found = await client.connect_and_get_server_endpoints()
    except LIBRARY_FAILURES as error:
        raise DeviceError(f"{endpoint}: {_reason(endpoint, error, timeout_s)}") from error
    finally:
        client.disconnect_socket()
    return tuple(dict.fromkeys(_offer(each) for each in found))


def offers_text(offers: tuple[Offer, ...]) -> str:
    """Return what a server offers, a way a line, for a person."""
    lines = []
    for offer in offers:
        way = "None" if offer.policy == "None" else f"{offer.policy} ({offer.mode})"
        lines.append(f"  {way:35} users: {', '.join(sorted(offer.users)) or 'none'}")
    return "\n".join(lines)


def _offer(found: ua.EndpointDescription) -> Offer:
    kinds = {
        ua.UserTokenType.Anonymous: "anonymous",
        ua.UserTokenType.UserName: "password",
        ua.UserTokenType.Certificate: "certificate",
        ua.UserTokenType.IssuedToken: "token",
    }
    return Offer(
        policy=str(found.SecurityPolicyUri or "").rpartition("#")[2] or "None",
        mode=found.SecurityMode.name,
        users=frozenset(kinds[token.TokenType] for token in found.UserIdentityTokens or ()),
    )


def _reason(endpoint: str, error: Exception, timeout_s: float) -> str:
    """Return in plain words why nobody answers, and what to check."""
    parts = urlsplit(endpoint)
    where = f"{parts.hostname}:{parts.port}"
    match error:
        case socket.gaierror():
            text = f"there is no host {parts.hostname!r}. Check the spelling, or write its address"
        case ConnectionRefusedError():
            text = f"nobody listens at {where}. Check that the server runs, and its port"
        case TimeoutError():
            text = (
                f"no answer from {where} within {timeout_s:g} s. Check the address, the cable "
                "and firewalls"
            )
        case ConnectionError():
            text = f"{where} hangs up: it is no OPC UA server, or it refuses us. Check the port"
        case OSError():
            text = f"cannot be reached. Check the network to {where}"
        case _:
            text = f"what listens at {where} does not speak OPC UA. Check the port"
    return f"{text}.\n{error!r}"
