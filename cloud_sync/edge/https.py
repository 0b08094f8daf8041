"""What uplinks over HTTPS have in common: whom they trust, their token, and when to come back."""

import ssl
from pathlib import Path

from pydantic import SecretStr

from gateway.core.errors import ConfigError
from gateway.wire.credentials import read_credential


def tls_context(ca_file: Path | None, *, place: str) -> ssl.SSLContext:
    """Return how a connection is secured: TLS 1.2 or newer.

    Args:
        ca_file: Certificates (PEM) that may vouch for the far end; None is the system's.
        place: Of the option, for the message.
    Raises:
        ConfigError: the certificates cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{place}: {ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def read_token(*, file: Path | None, credential: str | None) -> SecretStr | None:
    """Return the token, or None where none is configured.

    Raises:
        ConfigError: it cannot be read.
    """
    if file is None and credential is None:
        return None
    return read_credential(file=file, credential=credential)


def retry_after_s(header: str) -> float | None:
    """Return the seconds of a `Retry-After` (RFC 9110, 10.2.3); its form as a date is ignored."""
    return float(header) if header.isdecimal() else None
