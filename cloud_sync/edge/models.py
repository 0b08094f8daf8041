"""Models from the cloud: what TUF vouches for, and nothing else.

The store keeps python-tuf's trusted metadata and the bundles it fetched under one folder:

    metadata/                       the updater's own; synced after each refresh
    bundles/<name>-<version>.ewm    verified before they got this name; verified again when read

A file is downloaded under another name and renamed once its length and hash are right and it is
on disk, so a power cut or a full disk leaves the old state. Everything handed out was verified in
memory, in the bytes that are handed out. Each operation runs in a worker thread with an updater
of its own, one at a time; it ends at its deadline, or soon after whoever waits for it is gone.

A gateway whose clock stands in the past takes expired metadata for fresh: keep the clock set.
"""

import asyncio
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import urllib3
from pydantic import Field, field_validator
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    TargetFile,
)
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from cloud_sync.edge.addresses import checked_url
from cloud_sync.edge.trust import load_trusted
from gateway.core.errors import ConfigError, ModelError, StoreError, UplinkError
from gateway.core.settings import Settings
from gateway.wire.bundle import BUNDLE_SIZE_BYTES_MAX
from gateway.wire.files import PART_SUFFIX, sync_file, sync_folder

_TARGET: Final = re.compile(
    r"models/(?P<name>[a-z0-9][a-z0-9-]{0,62})/(?P=name)-(?P<version>\d{1,6}\.\d{1,6})\.ewm"
)
_LIMITS: Final = UpdaterConfig(
    max_root_rotations=64,
    max_delegations=16,
    root_max_length=256 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=512 * 1024,
    targets_max_length=4 * 1024 * 1024,
    app_user_agent="edgewright",
)
_CHUNK_SIZE_BYTES: Final = 64 * 1024

ResultT = TypeVar("ResultT")


class ModelSourceConfig(Settings):
    """Where this gateway gets its models from."""

    url: str
    """Address of the model repository, such as `https://sync.example.com/tuf`."""
    root_file: Path
    """The repository's root of trust (JSON), brought to the gateway by hand."""
    ca_file: Path | None = None
    """Certificates (PEM) that may vouch for the server; without it, the system's."""
    period_s: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    """Time between two looks for new releases."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """For the connection, and for each piece of an answer."""
    deadline_s: Annotated[float, Field(gt=0, le=86_400)] = 900.0
    """For one look or one download as a whole."""

    @field_validator("url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        return checked_url(url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version of a model that the cloud has released."""

    name: str
    version: str
    """`major.minor`."""
    size_bytes: int
    sha256: str
    """Digest of the bundle, hexadecimal."""

    @property
    def target(self) -> str:
        """Its path in the repository."""
        return target_path(self.name, self.version)


def target_path(name: str, version: str) -> str:
    """Return the path of a version in the repository."""
    return f"models/{name}/{name}-{version}.ewm"


class TufModelStore:
    """Implements `ModelStore` with a TUF repository."""

    def __init__(self, config: ModelSourceConfig, *, folder: Path) -> None:
        """Check everything that can be checked without connecting.

        Raises:
            ConfigError: the root of trust or the certificates cannot be read.
        """
        self._config = config
        self._metadata = folder / "metadata"
        self._bundles = folder / "bundles"
        self._lock = threading.Lock()
        try:
            self._bootstrap = config.root_file.read_bytes()
        except OSError as error:
            raise ConfigError(f"models.root_file: {config.root_file}: {error.strerror}") from error
        try:
            self._context = ssl.create_default_context(cafile=config.ca_file)
        except OSError as error:
            raise ConfigError(f"models.ca_file: {config.ca_file}: {error}") from error

    async def releases(self) -> tuple[Release, ...]:
        """Return what the cloud offers now.

        Raises:
            UplinkError: the repository cannot be reached.
            ModelError: it is not to be trusted: signatures, versions or dates are wrong.
            StoreError: our disk refuses.
        """
        return await self._work(self._list)

    async def fetch(self, name: str, version: str) -> bytes:
        """Return a released bundle, downloaded unless it is here already.

        Raises:
            UplinkError: the repository cannot be reached.
            ModelError: TUF does not vouch for it, or the bytes are not what it vouches for.
            StoreError: our disk refuses.
        """
        return await self._work(lambda stop: self._download(name, version, stop))

    async def load(self, name: str, version: str) -> bytes:
        """Return a bundle that was fetched before, without the network.

        Raises:
            ModelError: it is not here, or the metadata here does not vouch for these bytes.
        """
        return await self._work(lambda _stop: self._read_trusted(name, version))

    async def held(self) -> tuple[Release, ...]:
        """Return the releases that `load` can give without the network: vouched for, and here.

        Raises:
            ModelError: the gateway has not seen the repository yet, or a signature is wrong.
        """
        return await self._work(lambda _stop: self._list_held())

    async def keep_only(self, versions: Iterable[tuple[str, str]]) -> None:
        """Remove all bundles but those of these names and versions."""
        kept = {self._bundle_path(name, version) for name, version in versions}
        await self._work(lambda _stop: self._remove_others(kept))

    async def _work(self, work: Callable[[threading.Event], ResultT]) -> ResultT:
        """Run one operation in a thread, which hears of it when nobody waits any more."""
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._locked, work, stop)
        finally:
            stop.set()

    def _locked(self, work: Callable[[threading.Event], ResultT], stop: threading.Event) -> ResultT:
        with self._lock:
            try:
                return work(stop)
            except DownloadLengthMismatchError as error:
                raise ModelError(
                    f"{self._config.url} sends more than it announced: refused ({error})"
                ) from error
            except DownloadError as error:
                raise UplinkError(
                    f"the model repository {self._config.url} cannot be reached",
                    detail=f"{type(error).__name__}: {error.__cause__ or error}",
                ) from error
            except ExpiredMetadataError as error:
                raise ModelError(
                    f"the list of models of {self._config.url} has run out: is the clock right,"
                    f" does the cloud renew it, does somebody hold it back? ({error})"
                ) from error
            except RepositoryError as error:
                raise ModelError(
                    f"the list of models of {self._config.url} is not to be trusted"
                    f" ({type(error).__name__}: {error})"
                ) from error
            except OSError as error:
                raise StoreError(f"models cannot be kept in {self._bundles}: {error}") from error

    def _updater(self, stop: threading.Event) -> Updater:
        for folder in (self._metadata, self._bundles):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fetcher = _Fetcher(self._config, self._context, stop=stop)
        return Updater(
            metadata_dir=str(self._metadata),
            metadata_base_url=f"{self._config.url}/metadata/",
            target_base_url=f"{self._config.url}/targets/",
            fetcher=fetcher,
            config=_LIMITS,
            bootstrap=self._bootstrap,
        )

    def _list(self, stop: threading.Event) -> tuple[Release, ...]:
        updater = self._updater(stop)
        updater.refresh()
        # The updater fetches a delegated role when it is asked for a file of that role.
        top = load_trusted(self._metadata, bootstrap=self._bootstrap).targets
        roles = top.delegations.roles if top.delegations is not None else None
        for role in (roles or {}).values():
            for pattern in role.paths or ():
                updater.get_targetinfo(re.sub(r"[*?\[\]]", "-", pattern))
        self._sync_metadata()
        return self._vouched_releases()

    def _list_held(self) -> tuple[Release, ...]:
        return tuple(
            release
            for release in self._vouched_releases()
            if self._bundle_path(release.name, release.version).exists()
        )

    def _vouched_releases(self) -> tuple[Release, ...]:
        trusted = load_trusted(self._metadata, bootstrap=self._bootstrap)
        found = (_release_of(path, trusted.find(path)) for path in trusted.paths())
        return tuple(release for release in found if release is not None)

    def _download(self, name: str, version: str, stop: threading.Event) -> bytes:
        updater = self._updater(stop)
        info = updater.get_targetinfo(target_path(name, version))
        self._sync_metadata()
        info = _vouched(info, name, version)
        path = self._bundle_path(name, version)
        if updater.find_cached_target(info, str(path)) is None:
            part = path.with_name(path.name + PART_SUFFIX)
            try:
                updater.download_target(info, str(part))
                sync_file(part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            sync_folder(path.parent)
        return _read_verified(path, info)

    def _read_trusted(self, name: str, version: str) -> bytes:
        trusted = load_trusted(self._metadata, bootstrap=self._bootstrap)
        info = _vouched(trusted.find(target_path(name, version)), name, version)
        return _read_verified(self._bundle_path(name, version), info)

    def _bundle_path(self, name: str, version: str) -> Path:
        assert _TARGET.fullmatch(target_path(name, version)), (name, version)
        return self._bundles / f"{name}-{version}.ewm"

    def _remove_others(self, kept: set[Path]) -> None:
        for path in self._bundles.glob("*") if self._bundles.is_dir() else ():
            if path not in kept:
                path.unlink()

    def _sync_metadata(self) -> None:
        """Make durable what the updater renamed into place."""
        for folder in (self._metadata, self._metadata / "root_history"):
            for path in folder.glob("*.json"):
                sync_file(path)
            sync_folder(folder)


class _Fetcher(FetcherInterface):
    """Downloads over HTTP(S): own certificates, no redirects, no retries, a deadline, a stop.

    python-tuf's own fetcher knows a gap between two bytes, no deadline: a server that sends a byte
    now and then would hold it for ever.
    """

    def __init__(
        self, config: ModelSourceConfig, context: ssl.SSLContext, *, stop: threading.Event
    ) -> None:
        self._timeout = urllib3.Timeout(connect=config.timeout_s, read=config.timeout_s)
        self._pool = urllib3.PoolManager(ssl_context=context)
        self._end_s = time.monotonic() + config.deadline_s
        self._stop = stop

    def _fetch(self, url: str) -> Iterator[bytes]:
        self._check()
        response = self._pool.request(
            "GET",
            url,
            preload_content=False,
            decode_content=False,
            redirect=False,
            retries=False,
            timeout=self._timeout,
        )
        if response.status != 200:
            response.close()
            raise DownloadHTTPError(f"{url} answers {response.status}", response.status)
        return self._chunks(response)

    def _chunks(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            while chunk := response.read1(_CHUNK_SIZE_BYTES):
                self._check()
                yield chunk
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"{response.url} broke off") from error
        finally:
            response.close()

    def _check(self) -> None:
        if self._stop.is_set():
            raise DownloadError("the gateway stops")
        if time.monotonic() > self._end_s:
            raise DownloadError("the deadline is over")


def _vouched(info: TargetFile | None, name: str, version: str) -> TargetFile:
    """Return what TUF says of a version, if it says something that can be used."""
    if info is None or _release_of(target_path(name, version), info) is None:
        raise ModelError(f"no signature vouches for {name} {version}")
    if info.length > BUNDLE_SIZE_BYTES_MAX:
        raise ModelError(
            f"{name} {version} has {info.length} bytes; at most {BUNDLE_SIZE_BYTES_MAX} are taken"
        )
    return info


def _release_of(path: str, info: TargetFile | None) -> Release | None:
    """Return the release that a target is; None for what is none, or contradicts itself."""
    match = _TARGET.fullmatch(path)
    if match is None or info is None or "sha256" not in info.hashes:
        return None
    name, version, sha256 = match["name"], match["version"], info.hashes["sha256"]
    custom = info.custom
    if not isinstance(custom, Mapping):
        return None
    if (custom.get("name"), custom.get("version"), custom.get("sha256")) != (name, version, sha256):
        return None
    return Release(name=name, version=version, size_bytes=info.length, sha256=sha256)


def _read_verified(path: Path, info: TargetFile) -> bytes:
    """Return the file's bytes, which are what the metadata vouches for."""
    try:
        with path.open("rb") as file:
            data = file.read(info.length + 1)
    except FileNotFoundError as error:
        raise ModelError(f"{path.name} is not on this gateway") from error
    info.verify_length_and_hashes(data)
    return data
