"""From a detector's raw outputs to boxes: one pure function a layout. All numpy."""

from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import BoolArray, Float32Array, FloatArray, IndexArray

YOLOX_STRIDES = (8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """Candidates before overlaps are removed."""

    corners: FloatArray
    """x_min, y_min, x_max, y_max in pixels of the model's input, shape (n, 4)."""
    score: FloatArray
    """Shape (n,), 0 to 1."""
    label_index: IndexArray
    """Position in the manifest's labels, shape (n,)."""

    def where(self, mask: BoolArray | IndexArray) -> "Boxes":
        """Return some of them, in the order of the mask or the positions."""
        return Boxes(
            corners=self.corners[mask], score=self.score[mask], label_index=self.label_index[mask]
        )


def decode_yolox(output: Float32Array, *, width_px: int, height_px: int) -> Boxes:
    """Return the boxes of a YOLOX head.

    Each row is (cx, cy, w, h, objectness, class scores …); centre and size are relative to a
    grid cell, the size as a logarithm. Rows stand in the order of strides 8, 16, 32, row-major.

    Args:
        output: Shape (1, rows, 5 + labels), scores already sigmoid.
        width_px: Width of the model's input, a multiple of 32.
        height_px: Height of the model's input, a multiple of 32.
    Raises:
        ValueError: the number of rows does not fit the input's size.
    Source:
        Ge et al. (2021), YOLOX: Exceeding YOLO Series in 2021, section 2.1 (anchor-free head).
    """
    rows = output[0].astype(np.float64)
    grids, strides = [], []
    for stride in YOLOX_STRIDES:
        y, x = np.mgrid[0 : height_px // stride, 0 : width_px // stride]
        grids.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(x.size, stride))
    grid, stride_px = np.concatenate(grids), np.concatenate(strides)[:, np.newaxis]
    if len(grid) != len(rows):
        raise ValueError(f"{len(rows)} rows do not fit an input of {width_px}x{height_px} pixels")
    centre = (rows[:, 0:2] + grid) * stride_px
    half = np.exp(rows[:, 2:4]) * stride_px / 2
    class_score = rows[:, 4:5] * rows[:, 5:]
    label_index = class_score.argmax(axis=1).astype(np.int32)
    return Boxes(
        corners=np.concatenate([centre - half, centre + half], axis=1),
        score=class_score[np.arange(len(rows)), label_index],
        label_index=label_index,
    )


def decode_ultraface(
    scores: Float32Array, boxes: Float32Array, *, width_px: int, height_px: int
) -> Boxes:
    """Return the boxes of an UltraFace head.

    Args:
        scores: Background and face, shape (1, rows, 2).
        boxes: Corners in parts of the input, shape (1, rows, 4).
        width_px: Width of the model's input.
        height_px: Height of the model's input.
    """
    size = np.array([width_px, height_px, width_px, height_px], dtype=np.float64)
    return Boxes(
        corners=boxes[0].astype(np.float64) * size,
        score=scores[0, :, 1].astype(np.float64),
        label_index=np.zeros(scores.shape[1], dtype=np.int32),
    )


def without_overlaps(boxes: Boxes, *, overlap_max: float) -> Boxes:
    """Return the boxes, surest first, without weaker ones of the same label that overlap.

    Args:
        boxes: Any number, also none.
        overlap_max: Intersection over union up to which two boxes of one label both stay.
    """
    order = np.argsort(-boxes.score, kind="stable")
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        same = boxes.label_index[order] == boxes.label_index[best]
        overlap = _overlap(boxes.corners[best], boxes.corners[order])
        order = order[~(same & (overlap > overlap_max))]
    return boxes.where(np.array(kept, dtype=np.int32))


def _overlap(one: FloatArray, others: FloatArray) -> FloatArray:
    """Return intersection over union of one box, shape (4,), with others, shape (n, 4)."""
    low = np.maximum(one[:2], others[:, :2])
    high = np.minimum(one[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.asarray(shared / np.maximum(np.prod(one[2:] - one[:2]) + areas - shared, 1e-12))
