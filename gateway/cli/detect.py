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
from gateway.wire.bundle import Bundle, read_bundle, write_bundle
from gateway.wire.settings_file import read_settings

SUFFIXES = (".jpg", ".jpeg", ".png")
PATH = click.Path(exists=True, path_type=Path)


@click.command("detect")
@click.option("--model", "model_path", type=PATH, required=True, help="A bundle (.ewm) or ONNX.")
@click.option("--images", "images_path", type=PATH, required=True, help="A picture or a folder.")
@click.option("--manifest", "manifest_path", type=PATH, help="What the ONNX model needs (JSON).")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="When all pictures went through, write the model as a bundle (.ewm), to be released.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, by picture.")
def command(
    model_path: Path,
    images_path: Path,
    manifest_path: Path | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Find objects on pictures with a vision model.

    A bundle describes itself. A bare ONNX file needs --manifest, unless it is one of the
    published models whose manifest comes with Edgewright.

    A gateway runs released bundles only: make one with --out, and release it with
    `edgewright cloud release`.
    """
    manifest, model = open_model(model_path, manifest_path)
    detector = VisionDetector(manifest, model)
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
    if out is not None:
        bundle = Bundle(manifest=manifest, model=model, canary=None)
        try:
            out.write_bytes(write_bundle(bundle))
        except OSError as error:
            raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error
        click.echo(f"{out}: {manifest.name} {manifest.version}", err=True)


def open_model(model_path: Path, manifest_path: Path | None) -> tuple[VisionManifest, bytes]:
    """Return manifest and graph from a bundle, or from an ONNX file and its manifest.

    Raises:
        ConfigError: a bare model has no manifest, or the manifest is wrong.
        ModelError: the bundle is damaged, or holds no vision model.
    """
    data = model_path.read_bytes()
    if model_path.suffix == ".ewm":
        bundle = read_bundle(data)
        if not isinstance(bundle.manifest, VisionManifest):
            raise ModelError(f"{model_path}: this is not a vision model")
        return bundle.manifest, bundle.model
    manifest = (
        read_settings(VisionManifest, manifest_path) if manifest_path else known_manifest(data)
    )
    if manifest is None:
        raise ConfigError(f"{model_path}: an ONNX file does not describe itself: add --manifest")
    return manifest, data


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
