"""Secrets from files and from systemd's credentials; never from the configuration itself."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from gateway.core.errors import ConfigError

SIZE_BYTES_MAX: Final = 16 * 1024


def read_credential(
    *,
    file: Path | None,
    credential: str | None,
    environment: Mapping[str, str] = os.environ,
) -> SecretStr:
    """Return a secret without the white space around it.

    Args:
        file: Where it is, or
        credential: its name among the credentials that systemd shows to this service.
        environment: Names the folder of the credentials, `CREDENTIALS_DIRECTORY`.
    Raises:
        ConfigError: it cannot be read, or is empty.
    """
    assert (file is None) != (credential is None), "a secret has one place"
    path = file or _credential_path(str(credential), environment)
    try:
        with path.open("rb") as opened:
            secret = opened.read(SIZE_BYTES_MAX).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the secret cannot be read: {error}") from error
    if not secret or "\n" in secret:
        raise ConfigError(f"{path}: holds {len(secret.splitlines())} lines; a secret is one")
    return SecretStr(secret)


def _credential_path(name: str, environment: Mapping[str, str]) -> Path:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise ConfigError(
            f"the credential {name} needs systemd (LoadCredential={name}:FILE); by hand, use a file"
        )
    if "/" in name or name in ("", ".", ".."):
        raise ConfigError(f"{name!r} is not the name of a credential")
    return Path(folder) / name
