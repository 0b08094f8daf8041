"""Keys and signatures of the model registry: who signs what, and for how long it holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field
from securesystemslib.signer import (  # type: ignore[attr-defined]  # re-exported, not marked so
    CryptoSigner,
)
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from gateway.core.errors import ConfigError
from gateway.core.settings import Settings
from gateway.wire.files import write_durably

MODELS_ROLE: Final = "models"
"""Name of the delegated role; no other delegator may ever use it."""
ROLES: Final = (Root.type, Targets.type, MODELS_ROLE, Snapshot.type, Timestamp.type)
"""All roles, in the order in which one vouches for the next."""
ONLINE_ROLES: Final = (MODELS_ROLE, Snapshot.type, Timestamp.type)
"""Roles whose keys the running service needs."""

SignedT = TypeVar("SignedT", Root, Targets, Snapshot, Timestamp)
"""What one role signs."""


class RegistrySettings(Settings):
    """How long the registry's signatures hold."""

    root_days: Annotated[int, Field(ge=1, le=7300)] = 1825
    """Days until root and targets must be renewed with the offline keys."""
    models_days: Annotated[int, Field(ge=1, le=3650)] = 730
    """Days for which the list of models holds; renewed by the service at half of that."""
    timestamp_days: Annotated[int, Field(ge=1, le=3650)] = 180
    """Days for which snapshot and timestamp hold; longer than the longest outage of the cloud."""


def create_repository(
    folder: Path, keys: Path, *, settings: RegistrySettings, now_ns: int
) -> bytes:
    """Make keys and an empty repository, and return the root that gateways begin their trust with.

    Raises:
        ConfigError: there is a repository already, or the folder cannot be written.
    """
    if (folder / "metadata").exists() or keys.exists():
        raise ConfigError(f"{folder}: there is a registry already; its keys are never replaced")
    signers = {role: CryptoSigner.generate_ed25519() for role in ROLES}
    root = Root(expires=expiry_after(now_ns, settings.root_days))
    for role in (Root.type, Targets.type, Snapshot.type, Timestamp.type):
        root.add_key(signers[role].public_key, role)
    models_key = signers[MODELS_ROLE].public_key
    delegation = DelegatedRole(MODELS_ROLE, [models_key.keyid], 1, True, paths=["models/*/*"])
    targets = Targets(
        expires=expiry_after(now_ns, settings.root_days),
        delegations=Delegations({models_key.keyid: models_key}, {MODELS_ROLE: delegation}),
    )
    models = Targets(expires=expiry_after(now_ns, settings.models_days))
    snapshot = Snapshot(
        expires=expiry_after(now_ns, settings.timestamp_days),
        meta={"targets.json": MetaFile(1), f"{MODELS_ROLE}.json": MetaFile(1)},
    )
    timestamp = Timestamp(
        expires=expiry_after(now_ns, settings.timestamp_days), snapshot_meta=MetaFile(1)
    )
    try:
        for path in (folder / "metadata", folder / "targets"):
            path.mkdir(parents=True)
        keys.mkdir(parents=True, mode=0o700)
        for role, signer in signers.items():
            write_durably(keys / f"{role}.pem", signer.private_bytes, mode=0o600)
        metadata = folder / "metadata"
        sign_and_write(metadata, Root.type, Metadata(root), signers[Root.type])
        sign_and_write(metadata, Targets.type, Metadata(targets), signers[Targets.type])
        sign_and_write(metadata, MODELS_ROLE, Metadata(models), signers[MODELS_ROLE])
        sign_and_write(metadata, Snapshot.type, Metadata(snapshot), signers[Snapshot.type])
        sign_and_write(metadata, Timestamp.type, Metadata(timestamp), signers[Timestamp.type])
        return (metadata / "1.root.json").read_bytes()
    except OSError as error:
        raise ConfigError(f"{folder}: the registry cannot be written: {error}") from error


def sign_and_write(
    folder: Path, role: str, metadata: Metadata[SignedT], signer: CryptoSigner
) -> None:
    """Sign one role's metadata and write it under the name that a consistent snapshot gives it.

    Raises:
        OSError: the disk refuses.
    """
    metadata.sign(signer)
    version = "" if role == Timestamp.type else f"{metadata.signed.version}."
    write_durably(folder / f"{version}{role}.json", metadata.to_bytes())


def load_signer(path: Path) -> CryptoSigner:
    """Return what signs with the private key in a PEM file.

    Raises:
        ConfigError: the file is not there, or is no such key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
        return CryptoSigner(key)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: the signing key cannot be used: {error}") from error


def moment_of(now_ns: int) -> datetime:
    """Return a time in nanoseconds as TUF writes it, in whole seconds, UTC."""
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)


def expiry_after(now_ns: int, days: int) -> datetime:
    """Return when a signature made now and holding for these days runs out."""
    return moment_of(now_ns) + timedelta(days=days)
