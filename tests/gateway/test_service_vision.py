"""Cameras and released detectors: a real TUF repository, real folders, real inference."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud_sync.cloud.registry import Registry
from cloud_sync.cloud.setup import STATE, create_cloud
from cloud_sync.cloud.signing import RegistrySettings
from gateway.cli.detect import command as detect_command
from gateway.config import Config
from gateway.core.errors import ConfigError
from gateway.core.events import Event
from gateway.service.build import build_parts
from gateway.service.vision import Vision
from gateway.wire.bundle import Bundle, write_bundle
from gateway.wire.clock import SystemClock
from tests.cloud_sync.edge_doubles import until
from tests.cloud_sync.edge_models import bundle_of
from tests.cloud_sync.edge_repository import Place
from tests.gateway.tiny_detector import picture, put, tiny_bundle, tiny_manifest, tiny_model

NAME = "lamp-finder"


class Site:
    """A repository of releases, a folder of pictures, and one gateway's cameras."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.place = place
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        self.state = folder / "state"
        self.events: list[Event] = []

    def config(self, *, model: str = NAME) -> Config:
        cameras = {
            "gate": {
                "type": "folder",
                "folder": self.pictures,
                "period_s": 0.05,
                "asset": "M-7",
                "model": model,
            }
        }
        models = {
            "url": f"http://127.0.0.1:{self.place.server.port}/tuf",
            "root_file": self.place.root_file,
            "period_s": 1,
            "timeout_s": 2,
        }
        gateway = {"id": "test", "state_folder": self.state}
        return Config.model_validate({"gateway": gateway, "cameras": cameras, "models": models})

    def vision(self) -> Vision:
        """Return the cameras as after a start of the gateway."""
        return Vision(self.config(), clock=SystemClock(), note=self.events.append)

    def conditions(self) -> list[str]:
        return [event.condition for event in self.events]

    def versions(self, vision: Vision) -> list[str]:
        return [model.version for model in vision.models()]

    @property
    def held(self) -> list[str]:
        return sorted(path.name for path in (self.state / "vision" / "bundles").iterdir())


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    place = Place(tmp_path)
    await place.server.start()
    yield Site(tmp_path, place)
    await place.server.stop()


async def test_what_the_released_model_sees_becomes_an_event_on_the_asset(site: Site) -> None:
    site.place.repository.add(NAME, "1.0", tiny_bundle(NAME, "1.0"))
    task = asyncio.create_task(site.vision().run())
    await until(lambda: "model_in_force" in site.conditions())
    put(site.pictures, "one.png", [(2, 3), (5, 5)])
    await until(lambda: "seen_lamp" in site.conditions())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    seen = site.events[-1]
    assert (seen.source, len(seen.evidence)) == ("M-7", 2)
    assert seen.text == f"2 × lamp (100%) on one.png of camera gate, by {NAME} 1.0"
    assert seen.evidence[0].name == "lamp at 16,24 24,32"


async def test_a_newer_release_is_taken_and_the_older_one_removed(site: Site) -> None:
    site.place.repository.add(NAME, "1.9", tiny_bundle(NAME, "1.9"))
    vision = site.vision()
    await vision.look()
    site.place.repository.add(NAME, "1.10", tiny_bundle(NAME, "1.10"))
    await vision.look()
    assert site.versions(vision) == ["1.10"]
    assert site.conditions() == ["model_in_force", "model_in_force"]
    assert site.held == [f"{NAME}-1.10.ewm"]
    await vision.look()
    assert len(site.events) == 2


@pytest.mark.parametrize(
    "broken",
    [
        b"no bundle",
        bundle_of("1.1", name=NAME),
        tiny_bundle(NAME, "1.2"),
        write_bundle(Bundle(manifest=tiny_manifest(NAME, "1.1"), model=b"no graph", canary=None)),
        write_bundle(
            Bundle(
                manifest=tiny_manifest(NAME, "1.1").model_copy(update={"input_name": "x"}),
                model=tiny_model(),
                canary=None,
            )
        ),
        write_bundle(
            Bundle(
                manifest=tiny_manifest(NAME, "1.1").model_copy(update={"decoder": "ultraface"}),
                model=tiny_model(),
                canary=None,
            )
        ),
    ],
    ids=["no bundle", "anomaly model", "other version", "no graph", "other input", "other outputs"],
)
async def test_a_broken_release_keeps_the_old_and_is_told_once(site: Site, broken: bytes) -> None:
    site.place.repository.add(NAME, "1.0", tiny_bundle(NAME, "1.0"))
    vision = site.vision()
    await vision.look()
    site.place.repository.add(NAME, "1.1", broken)
    await vision.look()
    await vision.look()
    assert site.versions(vision) == ["1.0"]
    assert site.conditions() == ["model_in_force", "model_refused"]
    restarted = site.vision()
    await restarted.restore()
    assert site.versions(restarted) == ["1.0"]


async def test_a_restart_without_the_network_uses_what_is_here(site: Site) -> None:
    site.place.repository.add(NAME, "1.0", tiny_bundle(NAME, "1.0"))
    await site.vision().look()
    await site.place.server.stop()
    restarted = site.vision()
    await restarted.restore()
    assert site.versions(restarted) == ["1.0"]
    await restarted.look()
    assert site.versions(restarted) == ["1.0"]


async def test_what_tuf_does_not_vouch_for_never_loads(site: Site) -> None:
    """A good bundle put in the cache, or in place of the vouched one, is left alone."""
    repository = site.place.repository
    repository.add(NAME, "1.0", tiny_bundle(NAME, "1.0"))
    await site.vision().look()
    bundles = site.state / "vision" / "bundles"
    (bundles / f"{NAME}-2.0.ewm").write_bytes(tiny_bundle(NAME, "2.0"))
    (bundles / f"{NAME}-1.0.ewm").write_bytes(tiny_bundle(NAME, "1.0", multiplications=1))
    await site.place.server.stop()
    restarted = site.vision()
    await restarted.restore()
    assert restarted.models() == ()
    assert site.conditions()[1:] == ["model_refused"]


async def test_bytes_changed_on_the_way_never_load(site: Site) -> None:
    repository = site.place.repository
    repository.add(NAME, "1.0", tiny_bundle(NAME, "1.0"))
    (target,) = (path for path in repository.files if path.startswith("targets/"))
    repository.files[target] = tiny_bundle(NAME, "1.0", multiplications=1)
    vision = site.vision()
    await vision.look()
    assert vision.models() == ()
    assert site.conditions() == ["model_refused"]


async def test_pictures_before_the_first_release_are_passed_over(site: Site) -> None:
    vision = site.vision()
    [inspection] = vision._cameras.values()
    task = asyncio.create_task(vision.run())
    put(site.pictures, "early.png")
    await until(lambda: inspection.unseen_count == 1)
    site.place.repository.add(NAME, "1.0", tiny_bundle(NAME, "1.0"))
    await until(lambda: "model_in_force" in site.conditions())
    put(site.pictures, "late.png")
    await until(lambda: "seen_lamp" in site.conditions())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "late.png" in site.events[-1].text


def test_a_camera_without_models_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    camera = {"type": "folder", "folder": "pictures", "asset": "M-7", "model": NAME}
    config = Config.model_validate({"gateway": {"id": "test"}, "cameras": {"gate": camera}})
    with pytest.raises(ConfigError) as caught:
        build_parts(config, folder=tmp_path, clock=SystemClock())
    assert list(caught.value.mistakes) == [
        "cameras.gate.asset: there is no twin 'M-7'",
        f"cameras.gate.model: only released models are loaded, so '{NAME}' needs a [models] table "
        "that says where they come from",
    ]


def test_detect_makes_a_bundle_that_the_cloud_releases(tmp_path: Path) -> None:
    """From an ONNX file and its manifest, tried on a picture, to a release."""
    (tmp_path / "one.png").write_bytes(picture((1, 1)))
    (tmp_path / "lamp.onnx").write_bytes(tiny_model())
    (tmp_path / "lamp.json").write_text(tiny_manifest(NAME, "1.0").model_dump_json())
    out = tmp_path / "lamp.ewm"
    arguments = ["--model", str(tmp_path / "lamp.onnx"), "--images", str(tmp_path / "one.png")]
    arguments += ["--manifest", str(tmp_path / "lamp.json"), "--out", str(out)]
    CliRunner().invoke(detect_command, arguments, catch_exceptions=False)
    cloud = tmp_path / "cloud"
    create_cloud(cloud, gateways=["g"], host="127.0.0.1", port=0, clock=SystemClock())
    registry = Registry(
        cloud / STATE / "registry",
        cloud / STATE / "keys",
        settings=RegistrySettings(),
        clock=SystemClock(),
    )
    released = registry.release(out.read_bytes())
    assert (released.name, released.version) == (NAME, "1.0")
