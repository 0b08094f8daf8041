"""Cameras with their detectors, from the configuration."""

from collections.abc import Callable
from pathlib import Path

from analytics.vision import VisionDetector
from connectors.camera import FolderCamera
from gateway.config import CameraConfig, Config
from gateway.core.errors import ConfigError, ModelError
from gateway.core.events import Event
from gateway.core.manifest import VisionManifest
from gateway.core.rows import AssetId
from gateway.inspection import Inspection
from gateway.wire.bundle import read_bundle


def build_inspections(
    config: Config, folder: Path, *, note: Callable[[Event], None]
) -> dict[str, Inspection]:
    """Return one inspection for each camera, by name.

    Raises:
        ConfigError: a model cannot be read or is not a detector.
    """
    return {
        name: Inspection(
            FolderCamera(name, camera.model_copy(update={"folder": folder / camera.folder})),
            _detector(name, camera, folder),
            asset=AssetId(camera.asset),
            note=note,
        )
        for name, camera in config.cameras.items()
    }


def _detector(name: str, camera: CameraConfig, folder: Path) -> VisionDetector:
    path = folder / camera.model
    try:
        bundle = read_bundle(path.read_bytes())
        if not isinstance(bundle.manifest, VisionManifest):
            raise ConfigError(f"cameras.{name}.model: {path} is not a vision model")
        return VisionDetector(bundle.manifest, bundle.model)
    except OSError as error:
        raise ConfigError(f"cameras.{name}.model: {path}: {error.strerror}") from error
    except ModelError as error:
        raise ConfigError(f"cameras.{name}.model: {path}: {error}") from error
