"""What the store accepts, and every attack that it must not."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from securesystemslib.signer import (  # type: ignore[attr-defined]  # re-exported, not marked so
    CryptoSigner,
)
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from cloud_sync.edge.models import ModelSourceConfig, Release, TufModelStore
from gateway.core.errors import ConfigError, ModelError, StoreError, UplinkError
from tests.cloud_sync.edge_repository import Place, path_of
from tests.cloud_sync.edge_server import certificate

NAME = "pump-anomaly"
BUNDLE = b"a bundle" * 1000


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    await place.server.start()
    yield place
    await place.server.stop()


def later() -> datetime:
    return (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)


async def test_a_release_is_listed_fetched_and_loaded_without_the_network(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    store = place.store()
    (release,) = await store.releases()
    assert (release.name, release.version, release.size_bytes) == (NAME, "1.0", len(BUNDLE))
    assert await store.fetch(NAME, "1.0") == BUNDLE
    await place.server.stop()
    assert await place.store().load(NAME, "1.0") == BUNDLE


async def test_a_new_release_is_seen_with_the_next_look(place: Place) -> None:
    store = place.store()
    assert await store.releases() == ()
    place.repository.add(NAME, "1.0", BUNDLE)
    place.repository.add(NAME, "1.1", BUNDLE)
    assert {release.version for release in await store.releases()} == {"1.0", "1.1"}


async def test_a_bundle_that_is_here_is_not_downloaded_again(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    await place.store().fetch(NAME, "1.0")
    await place.store().fetch(NAME, "1.0")
    downloads = [each for each in place.server.requests if "/targets/" in each.path]
    assert len(downloads) == 1


async def test_only_the_kept_bundles_stay(place: Place) -> None:
    for version in ("1.0", "1.1"):
        place.repository.add(NAME, version, BUNDLE)
        await place.store().fetch(NAME, version)
    await place.store().keep_only([(NAME, "1.1")])
    assert [path.name for path in place.bundles.iterdir()] == [f"{NAME}-1.1.ewm"]


# Attacks on the way.


async def test_a_tampered_bundle_is_refused(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    (path,) = [path for path in place.repository.files if path.startswith("targets/")]
    place.repository.files[path] = BUNDLE[:-1] + b"!"
    with pytest.raises(ModelError, match="LengthOrHashMismatchError"):
        await place.store().fetch(NAME, "1.0")
    assert list(place.bundles.iterdir()) == []


async def test_endless_data_is_cut_off(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    place.repository.is_endless = True
    with pytest.raises(ModelError, match="more than it announced"):
        await place.store().fetch(NAME, "1.0")
    assert list(place.bundles.iterdir()) == []


async def test_a_bundle_that_is_announced_too_large_is_not_downloaded(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    place.repository.targets[path_of(NAME, "1.0")].length = 1 << 40
    place.repository.publish()
    with pytest.raises(ModelError, match="at most"):
        await place.store().fetch(NAME, "1.0")
    assert not any("/targets/" in each.path for each in place.server.requests)


async def test_metadata_of_an_older_version_is_refused(place: Place) -> None:
    """Rollback: an attacker plays back what was right once."""
    place.repository.add(NAME, "1.0", BUNDLE)
    old = dict(place.repository.files)
    place.repository.add(NAME, "1.1", BUNDLE)
    store = place.store()
    await store.releases()
    place.repository.files = old
    with pytest.raises(ModelError, match="BadVersionNumberError"):
        await store.releases()


async def test_a_key_that_is_not_the_roles_key_is_refused(place: Place) -> None:
    """An attacker with the keys of timestamp and snapshot cannot add a model."""
    repository = place.repository
    repository.add(NAME, "1.0", BUNDLE)
    await place.store().releases()
    repository.keys["models"] = CryptoSigner.generate_ed25519()
    genuine = {
        path: data for path, data in repository.files.items() if path.endswith(".targets.json")
    }
    repository.add(NAME, "6.6", b"evil")
    repository.files[f"metadata/{repository.versions['targets']}.targets.json"] = genuine[
        f"metadata/{repository.versions['targets'] - 1}.targets.json"
    ]
    version = repository.versions["snapshot"]
    meta = {"targets.json": MetaFile(version - 1), "models.json": MetaFile(version)}
    repository.sign("snapshot", Snapshot(version, expires=later(), meta=meta))
    with pytest.raises(ModelError, match="UnsignedMetadataError"):
        await place.store().releases()
    with pytest.raises(ModelError):
        await place.store().fetch(NAME, "6.6")


async def test_an_unsigned_timestamp_is_refused(place: Place) -> None:
    signer = CryptoSigner.generate_ed25519()
    place.repository.sign(
        "timestamp",
        Timestamp(9, expires=later(), snapshot_meta=MetaFile(1)),
        by=[signer],
    )
    with pytest.raises(ModelError, match="UnsignedMetadataError"):
        await place.store().releases()


async def test_a_role_cannot_sign_outside_its_paths(place: Place) -> None:
    """The role `models` lists a file for which it has no say."""
    place.repository.add(NAME, "1.0", BUNDLE, path="firmware/gateway.bin")
    store = place.store()
    assert await store.releases() == ()


@pytest.mark.parametrize(
    "path",
    [
        "models/pump-anomaly/other-1.0.ewm",
        "models/../evil-1.0.ewm",
        "models/pump-anomaly/pump-anomaly-1.0.zip",
        "models/pump-anomaly/pump-anomaly-2.0.ewm",
    ],
)
async def test_a_target_that_contradicts_its_own_name_is_no_release(
    place: Place, path: str
) -> None:
    place.repository.add(NAME, "1.0", BUNDLE, path=path)
    assert await place.store().releases() == ()


async def test_held_back_metadata_runs_out(place: Place) -> None:
    """Freeze: somebody keeps serving what was right; it is refused once it has expired."""
    place.repository.days = -0.01
    place.repository.add(NAME, "1.0", BUNDLE)
    with pytest.raises(ModelError, match="has run out"):
        await place.store().releases()


async def test_a_root_that_the_old_one_did_not_sign_is_refused(place: Place) -> None:
    await place.store().releases()
    stranger = CryptoSigner.generate_ed25519()
    root = Root(2, expires=later())
    for role in ("root", "targets", "snapshot", "timestamp"):
        root.add_key(stranger.public_key, role)
    place.repository.sign("root", root, by=[stranger])
    with pytest.raises(ModelError, match="UnsignedMetadataError"):
        await place.store().releases()


async def test_keys_can_be_renewed_by_the_old_root(place: Place) -> None:
    """Also without the network: the chain of roots is on disk."""
    repository = place.repository
    repository.add(NAME, "1.0", BUNDLE)
    await place.store().fetch(NAME, "1.0")
    old = repository.keys["root"]
    repository.keys |= {role: CryptoSigner.generate_ed25519() for role in ("root", "targets")}
    root = Root(2, expires=later())
    for role in ("root", "targets", "snapshot", "timestamp"):
        root.add_key(repository.keys[role].public_key, role)
    repository.sign("root", root, by=[old, repository.keys["root"]])
    repository.add(NAME, "1.1", BUNDLE)
    assert await place.store().fetch(NAME, "1.1") == BUNDLE
    await place.server.stop()
    assert await place.store().load(NAME, "1.1") == BUNDLE


# Trouble on the way.


async def test_nobody_there_is_no_question_of_trust(place: Place) -> None:
    await place.server.stop()
    with pytest.raises(UplinkError, match="cannot be reached"):
        await place.store().releases()


@pytest.mark.parametrize("status", [301, 403, 404, 500, 503])
async def test_a_server_without_the_repository_is_unreachable(place: Place, status: int) -> None:
    """For a root, 403 and 404 say that there is no newer one; for a timestamp they do not."""

    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    place.server.handler = refuse
    with pytest.raises(UplinkError, match="cannot be reached"):
        await place.store().releases()


async def test_a_server_that_hangs_is_given_up(place: Place) -> None:
    place.repository.is_hanging = True
    with pytest.raises(UplinkError, match="cannot be reached"):
        await place.store(timeout_s=0.2).releases()


async def test_a_server_that_drips_is_given_up_at_the_deadline(place: Place) -> None:
    """Every byte comes within the timeout, but the whole never would."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    place.server.handler = drip
    with pytest.raises(UplinkError, match="deadline"):
        await place.store(timeout_s=5.0, deadline_s=0.3).releases()


async def test_a_download_ends_soon_after_nobody_waits_for_it(place: Place) -> None:
    """Otherwise the worker thread would hold up the stop of the service."""
    is_asked = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            is_asked.set()
            await response.write(b" ")
            await asyncio.sleep(0.02)

    place.server.handler = drip
    store = place.store(timeout_s=5.0, deadline_s=3600.0)
    looking = asyncio.create_task(store.releases())
    await is_asked.wait()
    looking.cancel()
    begun = time.monotonic()
    with pytest.raises(ModelError):  # this waits for the lock that the first look holds
        await store.load(NAME, "1.0")
    assert time.monotonic() - begun < 2.0


async def test_tls_is_checked_against_the_configured_authority(place: Place) -> None:
    await place.server.stop()
    cert, context = certificate(place.folder)
    place.server.port = 0
    await place.server.start(context)
    url = f"https://127.0.0.1:{place.server.port}/tuf"
    config = ModelSourceConfig(url=url, root_file=place.root_file, ca_file=cert, timeout_s=2.0)
    assert await TufModelStore(config, folder=place.folder / "one").releases() == ()
    wary = TufModelStore(config.model_copy(update={"ca_file": None}), folder=place.folder / "two")
    with pytest.raises(UplinkError, match="cannot be reached"):
        await wary.releases()


# Trouble and attacks on the disk.


async def test_a_full_disk_leaves_nothing_half_done(place: Place) -> None:
    """`/dev/full` is a disk that is full: the kernel refuses every write with ENOSPC."""
    place.repository.add(NAME, "1.0", BUNDLE)
    store = place.store()
    await store.releases()
    part = place.bundles / f"{NAME}-1.0.ewm.part"
    part.symlink_to("/dev/full")
    with pytest.raises(StoreError, match="No space left"):
        await store.fetch(NAME, "1.0")
    assert list(place.bundles.iterdir()) == []
    assert await store.fetch(NAME, "1.0") == BUNDLE


async def test_a_power_cut_in_a_download_is_repaired_by_the_next(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    await place.store().releases()
    (place.bundles / f"{NAME}-1.0.ewm.part").write_bytes(BUNDLE[:100])
    with pytest.raises(ModelError, match="not on this gateway"):
        await place.store().load(NAME, "1.0")
    assert await place.store().fetch(NAME, "1.0") == BUNDLE


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json", "models.json"])
async def test_damaged_metadata_is_fetched_anew(place: Place, name: str) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    await place.store().fetch(NAME, "1.0")
    (place.metadata / name).write_bytes(b"")
    assert await place.store().fetch(NAME, "1.0") == BUNDLE
    assert await place.store().load(NAME, "1.0") == BUNDLE


async def test_a_bundle_changed_on_disk_never_loads(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    await place.store().fetch(NAME, "1.0")
    for data in (BUNDLE[:-1], BUNDLE + b"!", BUNDLE[:-1] + b"!", b""):
        (place.bundles / f"{NAME}-1.0.ewm").write_bytes(data)
        with pytest.raises(ModelError, match="LengthOrHashMismatchError"):
            await place.store().load(NAME, "1.0")


async def test_a_bundle_put_there_by_hand_never_loads(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    await place.store().fetch(NAME, "1.0")
    shutil.copy(place.bundles / f"{NAME}-1.0.ewm", place.bundles / f"{NAME}-9.9.ewm")
    with pytest.raises(ModelError, match=r"no signature vouches for pump-anomaly 9\.9"):
        await place.store().load(NAME, "9.9")


async def test_expiry_does_not_stop_a_model_in_force(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    await place.store().fetch(NAME, "1.0")
    for name in ("targets", "models"):
        metadata = Metadata[Targets].from_file(str(place.metadata / f"{name}.json"))
        metadata.signed.expires = datetime(2020, 1, 1, tzinfo=UTC)
        metadata.sign(place.repository.keys[name])
        metadata.to_file(str(place.metadata / f"{name}.json"))
    (place.metadata / "timestamp.json").unlink()
    await place.server.stop()
    assert await place.store().load(NAME, "1.0") == BUNDLE


@pytest.mark.parametrize("name", ["targets.json", "models.json"])
async def test_metadata_on_disk_with_a_wrong_signature_vouches_for_nothing(
    place: Place, name: str
) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    await place.store().fetch(NAME, "1.0")
    metadata = Metadata[Targets].from_file(str(place.metadata / name))
    metadata.sign(CryptoSigner.generate_ed25519())
    metadata.to_file(str(place.metadata / name))
    with pytest.raises(ModelError, match="signatures on disk are not valid"):
        await place.store().load(NAME, "1.0")


async def test_another_root_of_trust_vouches_for_nothing_that_is_here(place: Place) -> None:
    place.repository.add(NAME, "1.0", BUNDLE)
    await place.store().fetch(NAME, "1.0")
    place.root_file.write_bytes(Place(place.folder).repository.root_bytes)
    with pytest.raises(ModelError, match="signatures on disk are not valid"):
        await place.store().load(NAME, "1.0")


async def test_before_the_first_look_nothing_is_vouched_for(place: Place) -> None:
    with pytest.raises(ModelError, match="has not seen the model repository yet"):
        await place.store().load(NAME, "1.0")


async def test_a_missing_root_of_trust_is_a_mistake_of_the_configuration(place: Place) -> None:
    place.root_file.unlink()
    with pytest.raises(ConfigError, match=r"root\.json"):
        place.store()


def test_a_release_knows_its_path() -> None:
    release = Release(name=NAME, version="1.0", size_bytes=1, sha256="0" * 64)
    assert release.target == path_of(NAME, "1.0")
