"""A detector: one model, its manifest, and the way from an encoded picture to detections."""

import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import assert_never

import numpy as np

from analytics.runtime import Session
from analytics.vision.decoders import Boxes, decode_ultraface, decode_yolox, without_overlaps
from analytics.vision.images import decode_image, model_input
from gateway.core.arrays import Float32Array
from gateway.core.errors import ModelError
from gateway.core.manifest import VisionManifest
from gateway.core.pictures import Box, Detection


class VisionDetector:
    """Implements `PictureDetector`; not for two threads at once."""

    def __init__(self, manifest: VisionManifest, model: bytes) -> None:
        """Load a model.

        Raises:
            ModelError: the model does not load, or is not what the manifest says.
        """
        self.manifest = manifest
        self._session = Session(model)
        # What a graph declares may be missing or wrong; what it returns counts.
        self._candidates(np.zeros((1, 3, manifest.height_px, manifest.width_px), dtype=np.float32))

    @property
    def model_version(self) -> str:
        """Name and version of the model in force."""
        return f"{self.manifest.name} {self.manifest.version}"

    def detect(self, encoded: bytes) -> tuple[Detection, ...]:
        """Return what is on a JPEG or PNG, the surest first.

        Boxes are in pixels of the picture and may reach over its edge.

        Raises:
            ModelError: the bytes are no picture, or the outputs are not as the manifest says.
        """
        planes, x_factor, y_factor = model_input(decode_image(encoded), self.manifest)
        boxes = self._candidates(planes)
        boxes = boxes.where(boxes.score >= self.manifest.score_min)
        boxes = without_overlaps(boxes, overlap_max=self.manifest.overlap_max)
        corners = boxes.corners / [x_factor, y_factor, x_factor, y_factor]
        return tuple(
            Detection(
                label=self.manifest.labels[label],
                score=float(score),
                box=Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max),
            )
            for label, score, (x_min, y_min, x_max, y_max) in zip(
                boxes.label_index, boxes.score, corners.tolist(), strict=True
            )
        )

    def _candidates(self, planes: Float32Array) -> Boxes:
        """Return all boxes on an input of shape (1, 3, height_px, width_px)."""
        return self._decode(self._session.run({self.manifest.input_name: planes}))

    def _decode(self, outputs: dict[str, Float32Array]) -> Boxes:
        width_px, height_px = self.manifest.width_px, self.manifest.height_px
        try:
            match self.manifest.decoder:
                case "yolox":
                    (output,) = outputs.values()
                    boxes = decode_yolox(output, width_px=width_px, height_px=height_px)
                case "ultraface":
                    boxes = decode_ultraface(
                        outputs["scores"], outputs["boxes"], width_px=width_px, height_px=height_px
                    )
                case _:
                    assert_never(self.manifest.decoder)
        except (ValueError, KeyError, IndexError) as error:
            raise ModelError(
                f"{self.model_version}: its outputs are not those of {self.manifest.decoder}: "
                f"{error}"
            ) from error
        if len(boxes.label_index) and boxes.label_index.max() >= len(self.manifest.labels):
            raise ModelError(f"{self.model_version}: it knows more classes than it has labels")
        return boxes


def known_manifest(model: bytes) -> VisionManifest | None:
    """Return the manifest that ships with the product for a published model, by its digest."""
    digest = hashlib.sha256(model).hexdigest()
    return next((each for each in _known_manifests() if each.model_sha256 == digest), None)


def _known_manifests() -> Iterator[VisionManifest]:
    for path in (files("analytics.vision") / "manifests").iterdir():
        if path.name.endswith(".json"):
            yield VisionManifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
