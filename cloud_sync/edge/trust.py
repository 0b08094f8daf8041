"""What the metadata on disk vouches for, without a network.

TUF's metadata answers two questions. *Is it authentic?* root names the keys of `targets`, which
names the keys of the delegated roles, which list length and hash of every file: this chain is
checked here, from the root that the configuration names to the bytes of the file. *Is it fresh?*
timestamp and snapshot answer that to a client that asks the repository; a gateway that starts
without a network cannot ask, and a model that was in force must not fail it because of that. So
neither they nor any expiry play a part here, and nothing new is ever accepted on this path.

Source: TUF specification 1.0.x, 5.3 (root), 5.6 (targets) and 4.5 (delegations).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    Delegations,
    Metadata,
    Root,
    TargetFile,
    Targets,
)

from gateway.core.errors import ModelError

SignedT = TypeVar("SignedT", Root, Targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedTargets:
    """The files that the signatures on disk vouch for."""

    targets: Targets
    """The top role."""
    delegated: Mapping[str, Targets]
    """The roles it delegates to, as far as they are on disk; their own delegations do not count."""

    def find(self, path: str) -> TargetFile | None:
        """Return what is vouched for under a path, by the first role that has a say in it."""
        if path in self.targets.targets:
            return self.targets.targets[path]
        delegations = self.targets.delegations or Delegations({}, {})
        for name, is_terminating in delegations.get_roles_for_target(path):
            role = self.delegated.get(name)
            if role is not None and path in role.targets:
                return role.targets[path]
            if is_terminating:
                return None
        return None

    def paths(self) -> Iterator[str]:
        """Yield every path that any role lists; `find` says whether it may."""
        yield from self.targets.targets
        for role in self.delegated.values():
            yield from role.targets


def load_trusted(folder: Path, *, bootstrap: bytes) -> TrustedTargets:
    """Return what the metadata in a folder of python-tuf's updater vouches for.

    Args:
        folder: The updater's `metadata_dir`.
        bootstrap: The root that the gateway was given by hand.
    Raises:
        ModelError: there is none, or a signature is missing or wrong.
    """
    try:
        root = _load_root(folder, bootstrap)
        metadata = _parse(Targets, (folder / "targets.json").read_bytes())
        root.verify_delegate(Targets.type, metadata.signed_bytes, metadata.signatures)
        return TrustedTargets(
            targets=metadata.signed, delegated=dict(_load_delegated(folder, metadata.signed))
        )
    except FileNotFoundError as error:
        raise ModelError("the gateway has not seen the model repository yet") from error
    except (OSError, RepositoryError) as error:
        raise ModelError(f"the signatures on disk are not valid: {error}") from error


def _load_root(folder: Path, bootstrap: bytes) -> Root:
    """Return the newest root that an unbroken chain of signatures leads to."""
    metadata = _parse(Root, bootstrap)
    root = metadata.signed
    root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    while (path := folder / "root_history" / f"{root.version + 1}.root.json").exists():
        following = _parse(Root, path.read_bytes())
        for judge in (root, following.signed):
            judge.verify_delegate(Root.type, following.signed_bytes, following.signatures)
        if following.signed.version != root.version + 1:
            raise RepositoryError(f"{path.name} is root version {following.signed.version}")
        root = following.signed
    return root


def _load_delegated(folder: Path, targets: Targets) -> Iterator[tuple[str, Targets]]:
    if targets.delegations is None:
        return
    for name in targets.delegations.roles or {}:
        path = folder / f"{quote(name, '')}.json"
        if path.exists():
            metadata = _parse(Targets, path.read_bytes())
            targets.verify_delegate(name, metadata.signed_bytes, metadata.signatures)
            yield name, metadata.signed


def _parse(kind: type[SignedT], data: bytes) -> Metadata[SignedT]:
    metadata = Metadata[SignedT].from_bytes(data)
    if not isinstance(metadata.signed, kind):
        raise RepositoryError(f"expected {kind.type} metadata, found {metadata.signed.type}")
    return metadata
