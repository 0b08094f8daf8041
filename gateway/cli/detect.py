"""`edgewright detect`: try a vision model on pictures, exactly as the gateway would run it."""

import hashlib
import json
from pathlib import Path

import click

from analytics.vision import VisionDetector, known_manifest
from analytics.vision.images import decode_image
from gateway.core.errors import ConfigError, ModelError
from gateway.core.manifest import VisionManifest
from gateway.core.pictures import Detection
from gateway.wire.bundle import read_bundle
from gateway.wire.settings_file import read_settings

SUFFIXES = (".jpg", ".jpeg", ".png")
PATH = click.Path(exists=True, path_type=Path)


@click.command("detect")
@click.option("--model", "model_path", type=PATH, required=True, help="A bundle (.ewm) or ONNX.")
@click.option("--images", "images_path", type=PATH, required=True, help="A picture or a folder.")
@click.option("--manifest", "manifest_path", type=PATH, help="What the ONNX model needs (JSON).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, by picture.")
def command(
    model_path: Path, images_path: Path, manifest_path: Path | None, *, as_json: bool
) -> None:
    """Find objects on pictures with a vision model.

    A bundle describes itself. A bare ONNX file needs --manifest, unless it is one of the
    published models whose manifest comes with Edgewright.
    """
    detector = open_detector(model_path, manifest_path)
    paths = sorted(images_path.iterdir()) if images_path.is_dir() else [images_path]
    paths = [path for path in paths if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise ConfigError(f"{images_path}: there is no picture (.jpg, .png) in it")
    report: dict[str, object] = {}
    for path in paths:
        encoded = path.read_bytes()
        try:
            height, width = decode_image(encoded).shape[:2]
            detections = detector.detect(encoded)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        report[path.name] = {
            "size": [width, height],
            "sha256": hashlib.sha256(encoded).hexdigest(),
            model_path.stem: [as_document(each) for each in detections],
        }
        if not as_json:
            print_picture(path.name, detections)
    if as_json:
        click.echo(json.dumps(report, indent=1))


def open_detector(model_path: Path, manifest_path: Path | None) -> VisionDetector:
    """Return a detector from a bundle, or from an ONNX file and its manifest.

    Raises:
        ConfigError: a bare model has no manifest, or the manifest is wrong.
        ModelError: the model is damaged or not a detector.
    """
    data = model_path.read_bytes()
    if model_path.suffix == ".ewm":
        bundle = read_bundle(data)
        if not isinstance(bundle.manifest, VisionManifest):
            raise ModelError(f"{model_path}: this is not a vision model")
        return VisionDetector(bundle.manifest, bundle.model)
    manifest = (
        read_settings(VisionManifest, manifest_path) if manifest_path else known_manifest(data)
    )
    if manifest is None:
        raise ConfigError(f"{model_path}: an ONNX file does not describe itself: add --manifest")
    return VisionDetector(manifest, data)


def as_document(detection: Detection) -> dict[str, object]:
    """Return a detection as it stands in the JSON answer."""
    box = detection.box
    return {
        "label": detection.label,
        "score": round(detection.score, 3),
        "box_xyxy": [round(edge, 1) for edge in (box.x_min, box.y_min, box.x_max, box.y_max)],
    }


def print_picture(name: str, detections: tuple[Detection, ...]) -> None:
    """Print one picture's detections for a person."""
    click.echo(name + ("" if detections else "   nothing found"))
    for each in detections:
        corners = as_document(each)["box_xyxy"]
        click.echo(f"   {each.label:16} {each.score:6.1%}   box {corners}")
