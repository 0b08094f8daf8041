"""A person trusts a server: its certificate goes from the refused ones to the trusted ones."""

from pathlib import Path
from typing import Final

from connectors.opcua.certificate_store import trust_certificate
from connectors.opcua.security import CERTIFICATES_FOLDER
from gateway.core.errors import CommandError

TRUSTED: Final = "certificate_trusted"
"""Condition of the event."""
TRUSTED_SEVERITY: Final = 300


def trust_server(state_folder: Path, sha256: str) -> None:
    """Trust a certificate that was refused before; the next session with it is made. Blocks.

    Args:
        state_folder: Of the gateway.
        sha256: Of the whole certificate, in small hexadecimal digits.
    Raises:
        CommandError: no such certificate was refused, or the disk refuses.
    """
    try:
        trust_certificate(state_folder / CERTIFICATES_FOLDER, sha256)
    except LookupError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
