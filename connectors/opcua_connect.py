"""From an address to a session: endpoints, certificates, user.

Security is as configured or there is no session: it is never lowered because a server offers
less, and a password never goes over a channel that is not encrypted (`OpcuaConfig` sees to it).
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import SecretStr

from connectors.messages import device_error
from connectors.opcua_client import ColumnClient, Decode
from connectors.opcua_session import LIBRARY_FAILURES, UaLink, fault
from connectors.opcua_trust import Trust, UntrustedError, admit_server, own_identity
from gateway.core.errors import DeviceError
from gateway.core.ports import Clock

CONNECT_STEPS = 4
"""The whole of connecting may take so many times the limit of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How to reach a server."""

    device: str
    """Name and address, for messages."""
    name: str
    """Of the connector."""
    endpoint: str
    is_secure: bool
    """Basic256Sha256 with SignAndEncrypt; otherwise no security."""
    user: str
    """Empty is anonymous."""
    password: SecretStr
    trust: Trust
    folder: Path
    """Certificates; see `opcua_trust`."""
    timeout_s: float
    """Longest wait for each answer."""
    decode: Decode


async def open_link(settings: LinkSettings, clock: Clock) -> UaLink:
    """Connect, secure the channel as configured and never less, and activate a session.

    Raises:
        DeviceError: the server is away, refuses us, or is not to be trusted.
    """
    client = ColumnClient(
        settings.endpoint, timeout_s=settings.timeout_s, decode=settings.decode, clock=clock
    )
    link = None
    try:
        # One limit for the whole: each step of asyncua has only its own.
        async with asyncio.timeout(CONNECT_STEPS * settings.timeout_s):
            if settings.is_secure:
                await _secure(client, settings, clock)
            if settings.user:
                client.set_user(settings.user)
                client.set_password(settings.password.get_secret_value())
            await client.connect()
        link = UaLink(client, settings.device)
    except LIBRARY_FAILURES as error:
        raise fault(settings.device, "cannot be reached", error) from error
    finally:
        if link is None:
            await client.close()
    return link


async def _secure(client: ColumnClient, settings: LinkSettings, clock: Clock) -> None:
    """Set Basic256Sha256 with SignAndEncrypt, with a server certificate that is trusted.

    The list of endpoints comes over an open channel, so nothing in it is believed: whoever made
    it up cannot show a trusted certificate and then open the channel without its private key.
    """
    identity = await asyncio.to_thread(own_identity, settings.folder, now_ns=clock.now_ns())
    asker = Client(settings.endpoint, timeout=settings.timeout_s)
    endpoints = await asker.connect_and_get_server_endpoints()
    mode, policy = ua.MessageSecurityMode.SignAndEncrypt, SecurityPolicyBasic256Sha256
    certificates = [
        endpoint.ServerCertificate
        for endpoint in endpoints
        if endpoint.SecurityMode == mode and endpoint.SecurityPolicyUri == policy.URI
    ]
    if not certificates or not certificates[0]:
        offered = sorted({str(endpoint.SecurityPolicyUri) for endpoint in endpoints})
        raise device_error(
            settings.device,
            "does not offer Basic256Sha256 with SignAndEncrypt",
            check="Switch it on at the server; the gateway never uses less than configured.",
            expert=f"offered: {', '.join(offered)}",
        )
    certificate = _first_certificate(certificates[0])
    try:
        admit_server(
            certificate, folder=settings.folder, trust=settings.trust, pin_name=settings.name
        )
    except UntrustedError as error:
        raise _untrusted(settings.device, error) from error
    client.application_uri = identity.application_uri
    await client.set_security(
        policy,
        certificate=identity.certificate_path,
        private_key=identity.key_path,
        server_certificate=uacrypto.CertProperties(certificate, "der"),
        mode=mode,
    )


def _first_certificate(chain: bytes) -> bytes:
    """Return the server's own certificate, which stands before those that signed it."""
    first = uacrypto.x509_from_der(chain)  # type: ignore[no-untyped-call]  # asyncua's
    assert isinstance(first, x509.Certificate)
    return first.public_bytes(Encoding.DER)


def _untrusted(device: str, error: UntrustedError) -> DeviceError:
    """Return our error for a server that is not trusted."""
    what = "shows a certificate that is not trusted"
    if error.has_changed:
        what = "shows another certificate than the one trusted at its first use"
    return device_error(
        device,
        what,
        check=f"Compare its SHA-256 with the server's own display; if they are equal, move "
        f"{error.rejected_path} into the folder `trusted` beside it.",
        expert=str(error),
    )
