"""A person trusts a server: its certificate goes from the refused ones to the trusted ones."""

from pathlib import Path
from typing import Final

from connectors.opcua_trust import fingerprint_of
from gateway.core.errors import CommandError

TRUSTED: Final = "certificate_trusted"
"""Condition of the event."""
TRUSTED_SEVERITY: Final = 300


def certificates_folder(state_folder: Path) -> Path:
    """Return where OPC UA connectors keep certificates."""
    return state_folder / "opcua"


def trust_certificate(folder: Path, sha256: str) -> None:
    """Trust a certificate that was refused before; the next session with it is made. Blocks.

    Args:
        folder: See `connectors.opcua_trust`.
        sha256: Of the whole certificate, in small hexadecimal digits.
    Raises:
        CommandError: no such certificate was refused, or the disk refuses.
    """
    rejected, trusted = folder / "rejected", folder / "trusted"
    try:
        for path in sorted(rejected.glob("*.der")):
            if fingerprint_of(path.read_bytes()) == sha256:
                trusted.mkdir(parents=True, exist_ok=True)
                path.rename(trusted / path.name)
                return
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    raise CommandError(f"no certificate with SHA-256 {sha256} was refused")
