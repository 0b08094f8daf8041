"""A TUF repository that can also misbehave: everything is signed and kept in memory.

It stands for the cloud and for whoever attacks it; files are bytes by their path in the
repository, so that a test can change, withhold or repeat any of them.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from aiohttp import web
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
    TargetFile,
    Targets,
    Timestamp,
)

from cloud_sync.edge.models import ModelSourceConfig, TufModelStore
from tests.cloud_sync.edge_server import Server

SignedT = TypeVar("SignedT", Root, Targets, Snapshot, Timestamp)

ROLES = ("root", "targets", "models", "snapshot", "timestamp")


def path_of(name: str, version: str) -> str:
    return f"models/{name}/{name}-{version}.ewm"


class Repository:
    """Keys, metadata and files of a repository; `publish` signs everything anew."""

    def __init__(self) -> None:
        self.keys = {role: CryptoSigner.generate_ed25519() for role in ROLES}
        self.files: dict[str, bytes] = {}
        self.targets: dict[str, TargetFile] = {}
        self.versions = dict.fromkeys(ROLES, 0)
        self.days = 1.0
        self.is_hanging = self.is_endless = False
        self.publish()
        self.root_bytes = self.files["metadata/1.root.json"]

    def add(self, name: str, version: str, data: bytes, *, path: str | None = None) -> None:
        """Release a bundle."""
        digest = sha256(data).hexdigest()
        path = path or path_of(name, version)
        target = TargetFile.from_data(path, data, ["sha256"])
        target.unrecognized_fields["custom"] = {
            "name": name,
            "version": version,
            "sha256": digest,
        }
        self.targets[path] = target
        folder, _, file = path.rpartition("/")
        self.files[f"targets/{folder}/{digest}.{file}"] = data
        self.publish()

    def publish(self) -> None:
        """Sign a new version of every role, expiring `days` from now."""
        expires = (datetime.now(UTC) + timedelta(days=self.days)).replace(microsecond=0)
        for role in ROLES:
            self.versions[role] += 1
        if self.versions["root"] == 1:
            root = Root(expires=expires)
            for role in ("root", "targets", "snapshot", "timestamp"):
                root.add_key(self.keys[role].public_key, role)
            self.sign("root", root, version=1)
        key = self.keys["models"].public_key
        delegated = DelegatedRole("models", [key.keyid], 1, True, paths=["models/*/*"])
        delegations = Delegations({key.keyid: key}, {"models": delegated})
        version = self.versions["targets"]
        meta = {"targets.json": MetaFile(version), "models.json": MetaFile(version)}
        self.sign("targets", Targets(version, expires=expires, delegations=delegations))
        self.sign("models", Targets(version, expires=expires, targets=dict(self.targets)))
        self.sign("snapshot", Snapshot(version, expires=expires, meta=meta))
        self.sign("timestamp", Timestamp(version, expires=expires, snapshot_meta=MetaFile(version)))

    def sign(
        self,
        role: str,
        signed: SignedT,
        *,
        version: int | None = None,
        by: Iterable[CryptoSigner] | None = None,
    ) -> None:
        """Put one role's metadata in place, signed by its own key or by others."""
        metadata = Metadata(signed)
        for signer in by or (self.keys[role],):
            metadata.sign(signer, append=True)
        prefix = "" if role == "timestamp" else f"{version or signed.version}."
        self.files[f"metadata/{prefix}{role}.json"] = metadata.to_bytes()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve the files under `/tuf`."""
        path = request.path.removeprefix("/tuf/")
        if self.is_hanging:
            await asyncio.sleep(30)
        if path not in self.files:
            return web.Response(status=404)
        if self.is_endless and path.startswith("targets/"):
            return await endless(request)
        return web.Response(body=self.files[path])


async def endless(request: web.Request) -> web.StreamResponse:
    """Send zeros until the other side has had enough."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(65536))


class Place:
    """A repository on a real server and a gateway's store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository()
        self.server = Server(self.repository.handle)
        self.root_file = folder / "root.json"
        self.root_file.write_bytes(self.repository.root_bytes)

    def store(self, *, timeout_s: float = 2.0, deadline_s: float = 20.0) -> TufModelStore:
        """Return a store as after a start of the gateway."""
        config = ModelSourceConfig(
            url=f"http://127.0.0.1:{self.server.port}/tuf",
            root_file=self.root_file,
            timeout_s=timeout_s,
            deadline_s=deadline_s,
        )
        return TufModelStore(config, folder=self.folder / "models")

    @property
    def metadata(self) -> Path:
        return self.folder / "models" / "metadata"

    @property
    def bundles(self) -> Path:
        return self.folder / "models" / "bundles"
