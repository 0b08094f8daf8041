"""The first state of a cloud: configuration, tokens, signing keys, an empty registry.

cloud.toml              the configuration, with the digests of the tokens
operator.token          the operator's token, for the command; 0600
state/                  database, lake, registry, keys
hand-over/GATEWAY/      for each gateway: its token, and the root it begins its trust with
"""

import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from cloud_sync.cloud.signing import RegistrySettings, create_repository
from gateway.core.errors import ConfigError
from gateway.core.ports import Clock
from gateway.wire.files import write_durably

CONFIGURATION: Final = "cloud.toml"
OPERATOR_TOKEN: Final = "operator.token"  # noqa: S105  # the name of a file
STATE: Final = "state"
HAND_OVER: Final = "hand-over"
TOKEN: Final = "cloud.token"  # noqa: S105  # the name of a file
ROOT: Final = "root.json"

_TOKEN_BYTES: Final = 32


def create_cloud(
    folder: Path, *, gateways: Sequence[str], host: str, port: int, clock: Clock
) -> None:
    """Make everything that `run` needs.

    Raises:
        ConfigError: there is a cloud already, or the folder cannot be written.
    """
    if (folder / CONFIGURATION).exists() or (folder / STATE).exists():
        raise ConfigError(f"{folder}: there is a cloud already; its keys are never replaced")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STATE).mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
    root = create_repository(
        folder / STATE / "registry",
        folder / STATE / "keys",
        settings=RegistrySettings(),
        now_ns=clock.now_ns(),
    )
    try:
        operator_digest = _write_token(folder / OPERATOR_TOKEN)
        digests = {}
        for gateway in gateways:
            own = folder / HAND_OVER / gateway
            own.mkdir(parents=True, mode=0o700)
            digests[gateway] = _write_token(own / TOKEN)
            write_durably(own / ROOT, root)
        text = _configuration(operator_digest, digests, host=host, port=port)
        write_durably(folder / CONFIGURATION, text.encode())
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error


def _write_token(path: Path) -> str:
    """Write a new token and return its digest."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    write_durably(path, token.encode(), mode=0o600)
    return sha256(token.encode()).hexdigest()


def _configuration(
    operator_digest: str, digests: dict[str, str], *, host: str, port: int
) -> str:  # fmt: skip
    head = f"""\
state_folder = "{STATE}"
operator_token_sha256 = "{operator_digest}"

[server]
host = "{host}"
port = {port}
# tls_certificate_file = "cloud.pem"
# tls_key_file = "cloud.key"
"""
    tables = [
        f'\n[gateways."{gateway}"]\ntoken_sha256 = "{digest}"\n'
        for gateway, digest in digests.items()
    ]
    return head + "".join(tables)
