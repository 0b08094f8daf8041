"""From an address to a session: endpoints, certificates, user.

Security is as configured or there is no session: it is never lowered because a server offers
less. A password never travels in the clear: not over a channel without security (the settings see
to it), and not readable inside one that only signs (`login`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import uacrypto
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from connectors.messages import device_error
from connectors.opcua.certificates import CertificateWatch
from connectors.opcua.client import Decode
from connectors.opcua.control import ControlLink
from connectors.opcua.login import POLICIES, LoginClient, UnsafeLoginError, policy_name
from connectors.opcua.security import NO_SECURITY, Credentials
from connectors.opcua.session import LIBRARY_FAILURES, fault
from connectors.opcua.trust import (
    Trust,
    UntrustedError,
    admit_server,
    own_certificate,
    own_identity,
)
from gateway.core.errors import DeviceError
from gateway.core.ports import Clock

CONNECT_STEPS = 4
"""The whole of connecting may take so many times the limit of one answer."""
_NOT_LET_IN = frozenset(
    {
        StatusCodes.BadCertificateUntrusted,
        StatusCodes.BadCertificateInvalid,
        StatusCodes.BadCertificateChainIncomplete,
        StatusCodes.BadCertificateUseNotAllowed,
        StatusCodes.BadCertificateTimeInvalid,
        StatusCodes.BadCertificateUriInvalid,
        StatusCodes.BadSecurityChecksFailed,
    }
)
"""How servers say that they do not believe our certificate (OPC 10000-4, 6.1.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How to reach a server."""

    device: str
    """Name and address, for messages."""
    name: str
    """Of the connector."""
    endpoint: str
    security: str
    """Name of the policy, as in `SecuritySettings`."""
    mode: str
    """Name of the mode; means nothing without security."""
    credentials: Credentials
    trust: Trust
    certificates: CertificateWatch
    folder: Path
    """Certificates; see `trust`."""
    timeout_s: float
    """Longest wait for each answer."""
    decode: Decode


async def open_link(settings: LinkSettings, clock: Clock) -> ControlLink:
    """Connect, secure the channel as configured and never less, and activate a session.

    Raises:
        DeviceError: the server is away, refuses us, or is not to be trusted.
    """
    client = LoginClient(
        settings.endpoint, timeout_s=settings.timeout_s, decode=settings.decode, clock=clock
    )
    link = None
    is_secured = False
    try:
        # One limit for the whole: each step of asyncua has only its own.
        async with asyncio.timeout(CONNECT_STEPS * settings.timeout_s):
            if settings.security != NO_SECURITY:
                await _secure(client, settings, clock)
                is_secured = True
            _set_login(client, settings.credentials)
            await client.connect()
        link = ControlLink(client, settings.device)
    except UnsafeLoginError as error:
        raise device_error(
            settings.device,
            error.what,
            check="Set a user token policy at the server that is safe; the gateway never uses "
            "less.",
            expert=f"offered: {error.offered}",
        ) from error
    except LIBRARY_FAILURES as error:
        if is_secured and _is_about_us(error):
            raise _not_let_in(settings, error) from error
        raise fault(settings.device, "cannot be reached", error) from error
    finally:
        if link is None:
            await client.close()
    return link


async def _secure(client: LoginClient, settings: LinkSettings, clock: Clock) -> None:
    """Set the policy and the mode, with a server certificate that is trusted.

    The list of endpoints comes over an open channel, so nothing in it is believed: whoever made
    it up cannot show a trusted certificate and then open the channel without its private key.
    """
    identity = await asyncio.to_thread(own_identity, settings.folder, now_ns=clock.now_ns())
    settings.certificates.use_own(identity.certificate)
    if settings.credentials.certificate is not None:
        settings.certificates.use_user(settings.credentials.certificate)
    asker = Client(settings.endpoint, timeout=settings.timeout_s)
    endpoints = await asker.connect_and_get_server_endpoints()
    certificate = _certificate_of(endpoints, settings)
    try:
        is_pinned = admit_server(
            certificate, folder=settings.folder, trust=settings.trust, pin_name=settings.name
        )
    except UntrustedError as error:
        settings.certificates.refuse(error)
        raise _untrusted(settings.device, error) from error
    settings.certificates.admit(certificate, is_pinned=is_pinned)
    # Before connecting: an expired one may be why a server refuses.
    settings.certificates.check_dates()
    client.application_uri = identity.application_uri
    await client.set_security(
        POLICIES[settings.security],
        certificate=identity.certificate_path,
        private_key=identity.key_path,
        server_certificate=uacrypto.CertProperties(certificate, "der"),
        mode=ua.MessageSecurityMode[settings.mode],
    )


def _certificate_of(endpoints: Sequence[ua.EndpointDescription], settings: LinkSettings) -> bytes:
    """Return the certificate of the endpoint with exactly the configured security.

    Raises:
        DeviceError: there is none.
    """
    mode, policy = ua.MessageSecurityMode[settings.mode], POLICIES[settings.security]
    for endpoint in endpoints:
        is_ours = endpoint.SecurityMode == mode and endpoint.SecurityPolicyUri == policy.URI
        if is_ours and endpoint.ServerCertificate:
            return _first_certificate(endpoint.ServerCertificate)
    offered = {
        f"{policy_name(str(endpoint.SecurityPolicyUri))} with {endpoint.SecurityMode.name}"
        for endpoint in endpoints
    }
    raise device_error(
        settings.device,
        f"does not offer {settings.security} with {settings.mode}",
        check="Switch it on at the server; the gateway never uses less than configured.",
        expert=f"offered: {', '.join(sorted(offered)) or 'nothing'}",
    )


def _set_login(client: LoginClient, credentials: Credentials) -> None:
    if credentials.certificate is not None:
        client.user_certificate = credentials.certificate
        client.user_private_key = credentials.key
    elif credentials.user:
        client.set_user(credentials.user)
        client.set_password(credentials.password.get_secret_value())


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
        check=f"Compare its SHA-256 with the server's own display; if they are equal, trust it: "
        f"edgewright certs trust {error.fingerprint[:16]} (it is kept in {error.rejected_path}).",
        expert=str(error),
    )


def _is_about_us(error: Exception) -> bool:
    """Tell whether a server that has just answered in the open refuses our certificate.

    Some say so; others close the connection, or answer in a form that asyncua does not read.
    """
    if isinstance(error, UaStatusCodeError):
        return error.code in _NOT_LET_IN
    return isinstance(error, ConnectionError)


def _not_let_in(settings: LinkSettings, error: Exception) -> DeviceError:
    """Return our error for a server that does not trust us, as far as can be seen."""
    own = own_certificate(settings.folder)
    what = "does not trust the gateway's certificate"
    check = f"Give the file {own} to whoever runs the server, and let the server trust it."
    if not isinstance(error, UaStatusCodeError):
        what = "ends the connection instead of opening a secured channel"
        check = f"Most often it does not trust the gateway's certificate yet. {check}"
    return device_error(settings.device, what, check=check, expert=repr(error))
