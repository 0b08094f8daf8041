"""Cameras with their detectors, and the releases that the detectors come from.

A detector is only ever made of a bundle that TUF vouches for. At a start the newest one that is on
the gateway is taken, with or without the network; then the cloud is asked for newer ones, at the
period of `[models]`. A release that cannot be used is told once, and what was in force goes on.

Vision keeps trusted metadata and bundles in a folder of its own, so that neither a large download
nor the clean-up of one kind of model touches the other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias

import structlog

from analytics.vision import VisionDetector
from cloud_sync.edge.lifecycle import version_order
from cloud_sync.edge.models import Release, TufModelStore
from connectors.camera import FolderCamera
from gateway.config import Config
from gateway.core.errors import GatewayError, ModelError, StoreError, UplinkError
from gateway.core.events import Event
from gateway.core.manifest import VisionManifest
from gateway.core.models import ModelStage, ModelStatus
from gateway.core.ports import Clock
from gateway.core.rows import AssetId
from gateway.inspection import Inspection
from gateway.wire.bundle import read_bundle

log = structlog.get_logger()

IN_FORCE_SEVERITY: Final = 200
REFUSED_SEVERITY: Final = 700

Get: TypeAlias = Callable[[str, str], Awaitable[bytes]]
"""Returns the verified bundle of a name and a version."""


class Vision:
    """Watches all cameras, each with the newest release of its model; implements `ModelReader`."""

    def __init__(self, config: Config, *, clock: Clock, note: Callable[[Event], None]) -> None:
        """Check what can be checked without connecting.

        Args:
            config: With a `[models]` table if it has cameras.
            clock: For the times of events.
            note: Takes the events, in order.
        Raises:
            ConfigError: the root of trust cannot be read.
        """
        self._clock = clock
        self._note = note
        self._cameras = {
            name: Inspection(FolderCamera(name, camera), asset=AssetId(camera.asset), note=note)
            for name, camera in config.cameras.items()
        }
        self._inspections: dict[str, list[Inspection]] = {}
        for name, camera in config.cameras.items():
            self._inspections.setdefault(camera.model, []).append(self._cameras[name])
        self._in_force: dict[str, ModelStatus] = {}
        self._refused: set[Release] = set()
        self._trouble = ""
        if self._cameras:
            assert config.models is not None, "the configuration was checked"
            folder = config.gateway.state_folder / "vision"
            self._store = TufModelStore(config.models, folder=folder)
            self._period_s = config.models.period_s

    async def run(self) -> None:
        """Watch until cancelled; without cameras there is nothing to do."""
        if not self._cameras:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_models(), name="vision[models]")
            for name, inspection in self._cameras.items():
                group.create_task(inspection.run(), name=f"camera[{name}]")

    def models(self) -> tuple[ModelStatus, ...]:
        """Return the version of each model that is in force, by name."""
        return tuple(self._in_force[name] for name in sorted(self._in_force))

    async def restore(self) -> None:
        """Take the newest versions that are on the gateway, without the network."""
        try:
            await self._renew(await self._store.held(), self._store.load)
        except (ModelError, StoreError) as error:
            log.info("vision_models_not_here", reason=str(error))

    async def look(self) -> None:
        """Take the newest versions that the cloud offers."""
        try:
            renewed = await self._renew(await self._store.releases(), self._store.fetch)
            if renewed:
                kept = [(each.name, each.version) for each in self._in_force.values()]
                await self._store.keep_only(kept)
        except (ModelError, StoreError, UplinkError) as error:
            self._report(str(error))
            return
        for name in renewed:
            status = self._in_force[name]
            text = f"{name} {status.version} looks at the pictures: {status.reason}"
            self._tell(name, "model_in_force", IN_FORCE_SEVERITY, text)
        self._report("")

    async def _keep_models(self) -> None:
        await self.restore()
        while True:
            await self.look()
            await asyncio.sleep(self._period_s)

    async def _renew(self, releases: Iterable[Release], get: Get) -> list[str]:
        """Put the newest usable version of each model in force; returns the names that changed."""
        newest_first = sorted(releases, key=lambda x: version_order(x.version), reverse=True)
        return [
            name
            for name in self._inspections
            if await self._renew_one([each for each in newest_first if each.name == name], get)
        ]

    async def _renew_one(self, newest_first: list[Release], get: Get) -> bool:
        for release in newest_first:
            in_force = self._in_force.get(release.name)
            if in_force is not None and in_force.version == release.version:
                return False
            try:
                await self._put_in_force(release, await get(release.name, release.version))
            except ModelError as error:
                self._refuse(release, error)
            else:
                return True
        return False

    async def _put_in_force(self, release: Release, bundle: bytes) -> None:
        # Each camera has a session of its own: they run in threads beside one another.
        inspections = self._inspections[release.name]
        detectors = [await asyncio.to_thread(_open_detector, bundle, release) for _ in inspections]
        for inspection, detector in zip(inspections, detectors, strict=True):
            inspection.use(detector)
        self._in_force[release.name] = ModelStatus(
            name=release.name,
            version=release.version,
            stage=ModelStage.ACTIVE,
            since_ns=self._clock.now_ns(),
            reason="the newest release that can be used",
        )
        log.info("vision_model_in_force", model=release.name, version=release.version)

    def _refuse(self, release: Release, error: GatewayError) -> None:
        if release in self._refused:
            return
        self._refused.add(release)
        text = f"{release.name} {release.version} is not used: {error}"
        log.warning("vision_model_refused", model=release.name, reason=text, stage="receiving")
        self._tell(release.name, "model_refused", REFUSED_SEVERITY, text)

    def _tell(self, model: str, condition: str, severity: int, text: str) -> None:
        self._note(
            Event(
                time_ns=self._clock.now_ns(),
                source=model,
                condition=condition,
                severity=severity,
                text=text,
            )
        )

    def _report(self, trouble: str) -> None:
        """Log trouble with the repository on its edges; the keeper of the others has the event."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            log.warning("vision_releases_not_usable", reason=trouble, stage="receiving")
        else:
            log.info("vision_releases_reached")


def _open_detector(bundle: bytes, release: Release) -> VisionDetector:
    """Return the detector in a bundle.

    Raises:
        ModelError: it is none, or not the one that the release names.
    """
    opened = read_bundle(bundle)
    manifest = opened.manifest
    if not isinstance(manifest, VisionManifest):
        raise ModelError(f"it is no vision model but one of kind {manifest.kind}")
    if (manifest.name, manifest.version) != (release.name, release.version):
        raise ModelError(f"it says of itself that it is {manifest.name} {manifest.version}")
    return VisionDetector(manifest, opened.model)
