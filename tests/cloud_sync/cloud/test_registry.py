"""What the registry publishes, as the reference client of TUF sees it, attacks included."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    UnsignedMetadataError,
)
from tuf.ngclient import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    FetcherInterface,
    Updater,
)

from cloud_sync.cloud.registry import Registry, next_version, version_order
from cloud_sync.cloud.signing import RegistrySettings, create_repository
from gateway.core.errors import ConfigError, ModelError, StoreError
from tests.cloud_sync.cloud.bundles import bundle_bytes
from tests.cloud_sync.cloud.clocks import DAY_NS, StandingClock

BASE = "https://registry.invalid/"


class FolderFetcher(FetcherInterface):
    """Serves a repository's folder as a web server would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self.folder / url.removeprefix(BASE)
        if not path.is_file():
            raise DownloadHTTPError(f"{url} is not there", 404)
        return iter([path.read_bytes()])


class Site:
    """A registry and one gateway that follows it."""

    def __init__(self, folder: Path) -> None:
        self.clock = StandingClock()
        self.repository = folder / "tuf"
        self.keys = folder / "keys"
        self.client = folder / "client"
        self.settings = RegistrySettings()
        self.root = create_repository(
            self.repository, self.keys, settings=self.settings, now_ns=self.clock.now_ns()
        )
        self.registry = self.open()

    def open(self) -> Registry:
        return Registry(self.repository, self.keys, settings=self.settings, clock=self.clock)

    def updater(self) -> Updater:
        self.client.mkdir(exist_ok=True)
        return Updater(
            str(self.client),
            BASE + "metadata",
            str(self.client),
            BASE + "targets",
            FolderFetcher(self.repository),
            bootstrap=self.root,
        )

    def install(self, target: str) -> bytes:
        updater = self.updater()
        info = updater.get_targetinfo(target)
        assert info is not None
        return Path(updater.download_target(info)).read_bytes()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_client_installs_and_updates(site: Site) -> None:
    first = site.registry.release(bundle_bytes(version="1.0"))
    assert bundle_bytes(version="1.0") == site.install(first.target)
    second = site.registry.release(bundle_bytes(version="1.1"))
    assert second.target == "models/pump-anomaly/pump-anomaly-1.1.ewm"
    assert bundle_bytes(version="1.1") == site.install(second.target)


def test_target_says_what_it_is(site: Site) -> None:
    release = site.registry.release(bundle_bytes())
    info = site.updater().get_targetinfo(release.target)
    assert info is not None
    expected = {"name": "pump-anomaly", "version": "1.0", "sha256": release.sha256}
    assert expected == info.custom


def test_versions_only_grow(site: Site) -> None:
    site.registry.release(bundle_bytes(version="1.9"))
    site.registry.release(bundle_bytes(version="1.10"))
    for version in ("1.10", "1.9", "0.99"):
        with pytest.raises(ModelError, match="not above"):
            site.registry.release(bundle_bytes(version=version, model=b"b"))
    newest = site.registry.newest("pump-anomaly")
    assert newest is not None
    assert newest.version == "1.10"
    assert [release.version for release in site.registry.releases()] == ["1.10", "1.9"]
    assert bundle_bytes(version="1.10") == site.registry.read(newest)


def test_damaged_bundle_is_refused(site: Site) -> None:
    with pytest.raises(ModelError):
        site.registry.release(bundle_bytes()[:-40])
    assert site.registry.releases() == ()


def test_rollback_is_refused(site: Site) -> None:
    """An attacker who replays an older, once valid timestamp gets nowhere."""
    site.registry.release(bundle_bytes(version="1.0"))
    timestamp = site.repository / "metadata" / "timestamp.json"
    old = timestamp.read_bytes()
    second = site.registry.release(bundle_bytes(version="1.1"))
    site.install(second.target)
    timestamp.write_bytes(old)
    # python-tuf takes the equal-version case as "nothing new"; an older one is an attack.
    with pytest.raises(BadVersionNumberError):
        site.updater().refresh()


def test_tampered_target_is_refused(site: Site) -> None:
    release = site.registry.release(bundle_bytes())
    [path] = (site.repository / "targets").rglob("*.ewm")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(LengthOrHashMismatchError):
        site.install(release.target)
    with pytest.raises(StoreError, match="damaged"):
        site.registry.read(release)


def test_foreign_keys_are_refused(site: Site, tmp_path: Path) -> None:
    """A whole repository that is well-formed but signed by others does not replace ours."""
    site.updater().refresh()
    other = Site(tmp_path / "other")
    other.registry.release(bundle_bytes())
    site.repository = other.repository
    with pytest.raises(UnsignedMetadataError):
        site.updater().refresh()


def test_frozen_repository_runs_out_and_refresh_renews(site: Site) -> None:
    past = site.clock.wall_ns - (site.settings.timestamp_days + 1) * DAY_NS
    old = Site(site.repository.parent / "old")
    old.clock.wall_ns = past
    old.registry.release(bundle_bytes())
    with pytest.raises(ExpiredMetadataError):
        old.updater().refresh()
    assert old.registry.expiries()["timestamp"] > 0
    old.clock.wall_ns = site.clock.wall_ns
    assert old.registry.expiries()["timestamp"] < 0
    assert old.registry.refresh() == ("snapshot", "timestamp")
    assert old.registry.refresh() == ()
    old.updater().refresh()


def test_crash_before_the_timestamp_leaves_the_old_release(site: Site) -> None:
    """Files that no timestamp names are not there, and the next release overwrites them."""
    site.registry.release(bundle_bytes(version="1.0"))
    timestamp = site.repository / "metadata" / "timestamp.json"
    old = timestamp.read_bytes()
    site.registry.release(bundle_bytes(version="1.1", model=b"lost"))
    timestamp.write_bytes(old)
    registry = site.open()
    assert [release.version for release in registry.releases()] == ["1.0"]
    again = registry.release(bundle_bytes(version="1.1", model=b"again"))
    assert bundle_bytes(version="1.1", model=b"again") == site.install(again.target)


def test_service_needs_no_offline_key(site: Site) -> None:
    for role in ("root", "targets"):
        (site.keys / f"{role}.pem").unlink()
    assert site.open().release(bundle_bytes()).version == "1.0"


def test_offline_keys_renew_what_they_signed(site: Site, tmp_path: Path) -> None:
    """Gateways that know only the first root follow; foreign keys change nothing."""
    release = site.registry.release(bundle_bytes())
    before = site.registry.expiries()
    site.clock.wall_ns += 100 * DAY_NS
    with pytest.raises(ConfigError, match=r"root\.pem is not the key"):
        site.registry.renew(Site(tmp_path / "other").keys)
    site.registry.renew(site.keys)
    after = site.registry.expiries()
    assert (before["root"], before["targets"]) == (after["root"], after["targets"])
    assert bundle_bytes() == site.install(release.target)
    assert site.open().releases() == (release,)
    assert (site.client / "root_history" / "2.root.json").is_file()


def test_keys_are_private_and_never_replaced(site: Site) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in site.keys.iterdir()}
    assert len(modes) == 5
    assert set(modes.values()) == {0o600}
    with pytest.raises(ConfigError, match="never replaced"):
        create_repository(site.repository, site.keys, settings=site.settings, now_ns=1)


def test_wrong_key_is_noticed_at_start(site: Site, tmp_path: Path) -> None:
    other = Site(tmp_path / "other")
    (site.keys / "models.pem").write_bytes((other.keys / "models.pem").read_bytes())
    with pytest.raises(ConfigError, match="models"):
        site.open()


def test_failing_disk_keeps_the_release_in_force(site: Site) -> None:
    release = site.registry.release(bundle_bytes())
    blocked = site.repository / "targets" / "models" / "pump-anomaly"
    blocked.rename(blocked.with_name("aside"))
    blocked.write_text("not a folder")
    with pytest.raises(StoreError):
        site.registry.release(bundle_bytes(version="1.1"))
    assert site.registry.releases() == (release,)
    blocked.unlink()
    blocked.with_name("aside").rename(blocked)
    assert bundle_bytes() == site.install(release.target)


def test_versions_compare_by_number() -> None:
    assert version_order("1.10") > version_order("1.9")
    assert next_version("1.9") == "1.10"
