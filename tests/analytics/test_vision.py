"""Vision against known pictures, naive decoding, and bytes that are no picture."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from analytics.vision.decoders import Boxes, decode_yolox, without_overlaps
from analytics.vision.images import decode_image, model_input
from gateway.cli.detect import command
from gateway.core.errors import ModelError
from gateway.core.manifest import VisionManifest

SHARED = Path(__file__).parents[2].parent / "shared"
MODELS = ("yolox_nano_coco_416", "ultraface_slim_320x240")
SCORE_TOLERANCE = 0.02
BOX_TOLERANCE_PX = 3.0
"""Resize filters differ between libraries by this much."""

MANIFEST = VisionManifest(
    name="square",
    version="1.0",
    labels=("square",),
    input_name="images",
    width_px=64,
    height_px=32,
    colour_order="bgr",
    resize="letterbox",
    decoder="yolox",
)


@pytest.mark.realdata
@pytest.mark.parametrize("model", MODELS)
def test_the_command_reproduces_the_reference_detections(model: str) -> None:
    """Published weights on pictures with known results, score by score and box by box."""
    if not (SHARED / "models").is_dir():
        pytest.skip("the published models and pictures are not part of the project")
    arguments = ["--model", str(SHARED / "models" / f"{model}.onnx")]
    arguments += ["--images", str(SHARED / "images"), "--json"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    report = json.loads(result.output)
    expected = json.loads((SHARED / "images" / "expected.json").read_text(encoding="utf-8"))
    compared = 0
    for name, picture in expected.items():
        assert report[name]["size"] == picture["size"]
        assert report[name]["sha256"] == picture["sha256"]
        if model in picture:
            assert_same(picture[model], report[name][model])
            compared += 1
    assert compared >= 7


def assert_same(expected: list[dict[str, Any]], actual: list[dict[str, Any]]) -> None:
    assert [each["label"] for each in expected] == [each["label"] for each in actual]
    for one, other in zip(expected, actual, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=SCORE_TOLERANCE)
        assert one["box_xyxy"] == pytest.approx(other["box_xyxy"], abs=BOX_TOLERANCE_PX)


def test_a_yolox_row_decodes_to_the_box_it_was_made_from() -> None:
    """One cell of each stride, worked out by hand from the paper's formula."""
    rows = np.zeros((1, 8 * 4 + 4 * 2 + 2 * 1, 6), dtype=np.float32)
    # Stride 8, grid cell (x 3, y 1), which is row 1 * 8 + 3; centre (28, 12), size 16 by 8.
    rows[0, 11] = [0.5, 0.5, np.log(2.0), 0.0, 0.9, 1.0]
    # Stride 32, the right one of two cells; centre (48, 16), size 32 by 32.
    rows[0, 41] = [0.5, 0.5, 0.0, 0.0, 0.5, 1.0]
    boxes = decode_yolox(rows, width_px=64, height_px=32)
    assert boxes.corners[11].tolist() == pytest.approx([20, 8, 36, 16], abs=1e-5)
    assert boxes.corners[41].tolist() == pytest.approx([32, 0, 64, 32], abs=1e-5)
    assert boxes.score[[11, 41]].tolist() == pytest.approx([0.9, 0.5], abs=1e-6)


def test_rows_that_do_not_fit_the_input_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        decode_yolox(np.zeros((1, 3, 6), dtype=np.float32), width_px=64, height_px=32)


def test_the_weaker_of_two_overlapping_boxes_of_one_label_is_left_out() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 1, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]], float)
    boxes = Boxes(
        corners=corners,
        score=np.array([0.5, 0.9, 0.4, 0.6]),
        label_index=np.array([0, 0, 1, 0], dtype=np.int32),
    )
    kept = without_overlaps(boxes, overlap_max=0.45)
    assert kept.score.tolist() == [0.9, 0.6, 0.4]


def test_a_letterbox_keeps_the_aspect_and_fills_the_rest() -> None:
    pixels = np.full((100, 100, 3), 7, dtype=np.uint8)
    planes, x_factor, y_factor = model_input(pixels, MANIFEST)
    assert planes.shape == (1, 3, 32, 64)
    assert (x_factor, y_factor) == (0.32, 0.32)
    assert set(planes[0, 0, :, :32].ravel()) == {7.0}
    assert set(planes[0, 0, :, 32:].ravel()) == {114.0}


@pytest.mark.parametrize("encoded", [b"", b"no picture", b"\xff\xd8\xff\xe0" + b"\0" * 64])
def test_bytes_that_are_no_picture_are_refused(encoded: bytes) -> None:
    with pytest.raises(ModelError):
        decode_image(encoded)


def test_an_onnx_file_without_a_manifest_says_what_to_add(tmp_path: Path) -> None:
    model = tmp_path / "unknown.onnx"
    model.write_bytes(hashlib.sha256(b"unknown").digest())
    result = CliRunner().invoke(command, ["--model", str(model), "--images", str(tmp_path)])
    assert "add --manifest" in str(result.exception)
