"""The model registry: a repository of The Update Framework (TUF) that gateways trust.

Five roles sign, each with an ed25519 key of its own. `root` names the keys of the others,
`targets` delegates `models/*/*` to the role `models`, `models` lists the hash of every released
bundle, `snapshot` names the version of `models` in force, and `timestamp` names the snapshot.

Snapshots are consistent: every file but `timestamp.json` carries its version or hash in its name
and is never changed. A release writes the bundle, then `models`, then `snapshot`, and last replaces
`timestamp.json`, atomically: a power cut before that leaves the old release in force, and the
orphans are overwritten by the next one, for nothing names them. One process writes at a time.

Running needs the keys of `models`, `snapshot` and `timestamp` only; those of `root` and `targets`
belong offline after `create_repository`. Expiry bounds how long an attacker who cuts a gateway
off can hold back a release; it must be longer than the longest outage of the cloud, since
gateways refuse metadata that has run out. Models that already run are not touched by it.

Source: TUF specification 1.0.x, sections 4 and 6; the metadata classes are python-tuf's.
"""

import threading
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from cloud_sync.cloud.messages import ModelRelease
from cloud_sync.cloud.signing import (
    MODELS_ROLE,
    ONLINE_ROLES,
    ROLES,
    RegistrySettings,
    SignedT,
    expiry_after,
    load_signer,
    moment_of,
    sign_and_write,
)
from gateway.core.errors import ConfigError, ModelError, StoreError
from gateway.core.ports import Clock
from gateway.wire.bundle import read_bundle
from gateway.wire.files import write_durably


def version_order(version: str) -> tuple[int, int]:
    """Return what `major.minor` versions compare by."""
    major, minor = version.split(".")
    return int(major), int(minor)


def next_version(version: str) -> str:
    """Return the version after this one: the next minor."""
    major, minor = version_order(version)
    return f"{major}.{minor + 1}"


class Registry:
    """The repository of a running service; safe to be called from several threads."""

    def __init__(
        self, folder: Path, keys: Path, *, settings: RegistrySettings, clock: Clock
    ) -> None:
        """Load the online keys and check that what is in force was signed with them.

        Raises:
            ConfigError: there is no repository, or the keys are not its keys.
        """
        self.folder = folder
        self._metadata = folder / "metadata"
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._signers = {role: load_signer(keys / f"{role}.pem") for role in ONLINE_ROLES}
        try:
            self._check_chain()
        except (OSError, RepositoryError) as error:
            raise ConfigError(
                f"{folder}: the registry cannot be used: {error}; "
                "make one with `edgewright cloud init`"
            ) from error

    def release(self, data: bytes) -> ModelRelease:
        """Publish a bundle; gateways see it with their next look.

        Raises:
            ModelError: the bundle is damaged, or its version is not above the last one.
            StoreError: the disk refuses; the former release stays in force.
        """
        manifest = read_bundle(data).manifest
        digest = sha256(data).hexdigest()
        target = f"models/{manifest.name}/{manifest.name}-{manifest.version}.ewm"
        with self._lock, _store_errors():
            models = self._models()
            last = _newest(models.signed.targets, manifest.name)
            if last and version_order(manifest.version) <= version_order(last.version):
                raise ModelError(
                    f"{manifest.name} {manifest.version} is not above the released {last.version}; "
                    f"give it version {next_version(last.version)} or higher"
                )
            file = TargetFile.from_data(target, data, ["sha256"])
            file.unrecognized_fields["custom"] = {
                "name": manifest.name,
                "version": manifest.version,
                "sha256": digest,
            }
            models.signed.targets[target] = file
            self._write_target(target, digest, data)
            self._publish(models)
        return _release_of(target, file)

    def releases(self) -> tuple[ModelRelease, ...]:
        """Return all releases, by name, the newest version first.

        Raises:
            StoreError: the metadata cannot be read.
        """
        with self._lock, _store_errors():
            targets = self._models().signed.targets
        releases = [_release_of(path, file) for path, file in targets.items()]
        releases.sort(key=lambda one: version_order(one.version), reverse=True)
        return tuple(sorted(releases, key=lambda one: one.name))

    def newest(self, name: str) -> ModelRelease | None:
        """Return the newest release of a model; None when it has none.

        Raises:
            StoreError: the metadata cannot be read.
        """
        with self._lock, _store_errors():
            return _newest(self._models().signed.targets, name)

    def read(self, release: ModelRelease) -> bytes:
        """Return the bundle of a release.

        Raises:
            StoreError: the file is not there, or not what was released.
        """
        with _store_errors():
            data = self._target_path(release.target, release.sha256).read_bytes()
        if sha256(data).hexdigest() != release.sha256:
            raise StoreError(f"{release.target} is damaged on disk; restore it from a backup")
        return data

    def refresh(self) -> tuple[str, ...]:
        """Sign anew what has lived half of its time, and return the names of those roles.

        Raises:
            StoreError: the disk refuses; what was in force stays so.
        """
        with self._lock, _store_errors():
            models, snapshot, timestamp = self._models(), self._snapshot(), self._timestamp()
            if self._is_old(models, self._settings.models_days):
                self._publish(models)
                return ONLINE_ROLES
            if self._is_old(snapshot, self._settings.timestamp_days):
                self._publish_snapshot(snapshot)
                return ONLINE_ROLES[1:]
            if self._is_old(timestamp, self._settings.timestamp_days):
                self._publish_timestamp(timestamp)
                return ONLINE_ROLES[2:]
            return ()

    def renew(self, keys: Path) -> None:
        """Sign root and targets anew with the offline keys; their content stays.

        Args:
            keys: The folder with `root.pem` and `targets.pem`.
        Raises:
            ConfigError: the keys are not there, or not this registry's.
            StoreError: the disk refuses; what was in force stays so.
        """
        root_signer, targets_signer = (
            load_signer(keys / f"{role}.pem") for role in (Root.type, Targets.type)
        )
        expires = expiry_after(self._clock.now_ns(), self._settings.root_days)
        with self._lock, _store_errors():
            root, targets, snapshot = self._root(), self._targets(), self._snapshot()
            for role, signer in ((Root.type, root_signer), (Targets.type, targets_signer)):
                if signer.public_key.keyid not in root.signed.roles[role].keyids:
                    raise ConfigError(f"{keys}/{role}.pem is not the key of this registry's {role}")
            root.signed.version += 1
            root.signed.expires = expires
            sign_and_write(self._metadata, Root.type, root, root_signer)
            targets.signed.version += 1
            targets.signed.expires = expires
            sign_and_write(self._metadata, Targets.type, targets, targets_signer)
            snapshot.signed.meta[f"{Targets.type}.json"] = MetaFile(targets.signed.version)
            self._publish_snapshot(snapshot)

    def expiries(self) -> Mapping[str, float]:
        """Return the seconds that each role's signature still holds; negative once it ran out.

        Raises:
            StoreError: the metadata cannot be read.
        """
        with self._lock, _store_errors():
            roles: tuple[Signed, ...] = (
                self._root().signed,
                self._targets().signed,
                self._models().signed,
                self._snapshot().signed,
                self._timestamp().signed,
            )
        now = moment_of(self._clock.now_ns())
        return {
            role: (signed.expires - now).total_seconds()
            for role, signed in zip(ROLES, roles, strict=True)
        }

    def _check_chain(self) -> None:
        """Check each role's signature by the keys that the role before names.

        Raises:
            RepositoryError: one is not signed as it should.
            ConfigError: a key is not the one that signs here.
        """
        root, targets, models = self._root().signed, self._targets(), self._models()
        snapshot, timestamp = self._snapshot(), self._timestamp()
        root.verify_delegate(Targets.type, targets.signed_bytes, targets.signatures)
        root.verify_delegate(Snapshot.type, snapshot.signed_bytes, snapshot.signatures)
        root.verify_delegate(Timestamp.type, timestamp.signed_bytes, timestamp.signatures)
        targets.signed.verify_delegate(MODELS_ROLE, models.signed_bytes, models.signatures)
        signatures = (models.signatures, snapshot.signatures, timestamp.signatures)
        for role, signed_by in zip(ONLINE_ROLES, signatures, strict=True):
            if self._signers[role].public_key.keyid not in signed_by:
                raise ConfigError(f"the key {role}.pem is not the key of this registry's {role}")

    def _publish(self, models: Metadata[Targets]) -> None:
        """Put a new list of models in force."""
        models.signed.version += 1
        models.signed.expires = expiry_after(self._clock.now_ns(), self._settings.models_days)
        self._write(MODELS_ROLE, models)
        snapshot = self._snapshot()
        snapshot.signed.meta[f"{MODELS_ROLE}.json"] = MetaFile(models.signed.version)
        self._publish_snapshot(snapshot)

    def _publish_snapshot(self, snapshot: Metadata[Snapshot]) -> None:
        snapshot.signed.version += 1
        snapshot.signed.expires = expiry_after(self._clock.now_ns(), self._settings.timestamp_days)
        self._write(Snapshot.type, snapshot)
        timestamp = self._timestamp()
        timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        self._publish_timestamp(timestamp)

    def _publish_timestamp(self, timestamp: Metadata[Timestamp]) -> None:
        timestamp.signed.version += 1
        timestamp.signed.expires = expiry_after(self._clock.now_ns(), self._settings.timestamp_days)
        self._write(Timestamp.type, timestamp)

    def _write(self, role: str, metadata: Metadata[SignedT]) -> None:
        sign_and_write(self._metadata, role, metadata, self._signers[role])

    def _write_target(self, target: str, digest: str, data: bytes) -> None:
        path = self._target_path(target, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)

    def _target_path(self, target: str, digest: str) -> Path:
        """Return where a consistent snapshot keeps it: the hash opens the file's name."""
        path = self.folder / "targets" / target
        return path.with_name(f"{digest}.{path.name}")

    def _root(self) -> Metadata[Root]:
        versions = [int(path.name.split(".")[0]) for path in self._metadata.glob("*.root.json")]
        path = self._metadata / f"{max(versions, default=1)}.root.json"
        return Metadata[Root].from_bytes(path.read_bytes())

    def _timestamp(self) -> Metadata[Timestamp]:
        path = self._metadata / "timestamp.json"
        return Metadata[Timestamp].from_bytes(path.read_bytes())

    def _snapshot(self) -> Metadata[Snapshot]:
        version = self._timestamp().signed.snapshot_meta.version
        path = self._metadata / f"{version}.snapshot.json"
        return Metadata[Snapshot].from_bytes(path.read_bytes())

    def _targets(self) -> Metadata[Targets]:
        return self._listed(Targets.type)

    def _models(self) -> Metadata[Targets]:
        return self._listed(MODELS_ROLE)

    def _listed(self, role: str) -> Metadata[Targets]:
        version = self._snapshot().signed.meta[f"{role}.json"].version
        path = self._metadata / f"{version}.{role}.json"
        return Metadata[Targets].from_bytes(path.read_bytes())

    def _is_old(self, metadata: Metadata[SignedT], days: int) -> bool:
        left = metadata.signed.expires - moment_of(self._clock.now_ns())
        return left < timedelta(days=days) / 2


class _store_errors:  # noqa: N801  # reads as the context it is
    """Turn what the disk or damaged metadata raises into a `StoreError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError | RepositoryError):
            raise StoreError(f"the model registry failed: {error}") from error


def _newest(targets: Mapping[str, TargetFile], name: str) -> ModelRelease | None:
    releases = (_release_of(path, file) for path, file in targets.items())
    named = [release for release in releases if release.name == name]
    return max(named, key=lambda release: version_order(release.version), default=None)


def _release_of(path: str, file: TargetFile) -> ModelRelease:
    return ModelRelease(
        name=str(file.custom["name"]),
        version=str(file.custom["version"]),
        target=path,
        sha256=file.hashes["sha256"],
        size_bytes=file.length,
    )
