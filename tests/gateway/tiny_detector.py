"""A detector that any picture can be made for: every cell of 8 by 8 pixels as sure as it is bright.

Its outputs have YOLOX's layout. It can be made slow by multiplying matrices along the way.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from gateway.core.manifest import VisionManifest
from gateway.wire.bundle import Bundle, write_bundle

SIZE_PX = 64
CELL_PX = 8
_CELLS = (SIZE_PX // CELL_PX) ** 2
_OTHER_ROWS = (SIZE_PX // 16) ** 2 + (SIZE_PX // 32) ** 2
_MATRIX = 1024


def tiny_manifest(name: str, version: str) -> VisionManifest:
    return VisionManifest(
        name=name,
        version=version,
        labels=("lamp",),
        input_name="images",
        width_px=SIZE_PX,
        height_px=SIZE_PX,
        colour_order="rgb",
        resize="stretch",
        decoder="yolox",
    )


def tiny_bundle(name: str, version: str, *, multiplications: int = 0) -> bytes:
    """Return a released detector's bytes."""
    model = tiny_model(multiplications=multiplications)
    return write_bundle(Bundle(manifest=tiny_manifest(name, version), model=model, canary=None))


def tiny_model(*, multiplications: int = 0) -> bytes:
    """Return the graph; each multiplication takes one processor some milliseconds."""
    boxes = np.tile(np.array([0.5, 0.5, 0.0, 0.0], np.float32), (1, _CELLS, 1))
    constants: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "boxes": boxes,
        "sure": np.ones((1, _CELLS, 1), np.float32),
        "others": np.zeros((1, _OTHER_ROWS, 6), np.float32),
        "white": np.array(255.0, np.float32),
        "column": np.array([1, _CELLS, 1], np.int64),
        "zero": np.array(0.0, np.float32),
        "square": np.array([_MATRIX, _MATRIX], np.int64),
    }
    node = helper.make_node
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [1 / _MATRIX])
    nodes = [
        node("AveragePool", ["images"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        node("ReduceMean", ["cells"], ["grey"], axes=[1], keepdims=1),
        node("Div", ["grey", "white"], ["bright"]),
        node("Reshape", ["bright", "column"], ["brightness"]),
        node("ReduceMean", ["grey"], ["work0"], keepdims=0),
        node("ConstantOfShape", ["square"], ["matrix"], value=value),
        node("Add", ["work0", "matrix"], ["product0"]),
    ]
    nodes += [
        node("MatMul", [f"product{k}", "matrix"], [f"product{k + 1}"])
        for k in range(multiplications)
    ]
    nodes += [
        node("ReduceMean", [f"product{multiplications}"], ["work"], keepdims=0),
        node("Mul", ["work", "zero"], ["nothing"]),
        node("Add", ["brightness", "nothing"], ["objectness"]),
        node("Concat", ["boxes", "objectness", "sure"], ["rows"], axis=2),
        node("Concat", ["rows", "others"], ["output"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE_PX, SIZE_PX])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [helper.make_opsetid("", 13)]
    model: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return model


def picture(*cells: tuple[int, int], suffix: str = ".png") -> bytes:
    """Return a dark picture with a lamp in each of these cells (column, row)."""
    pixels = np.zeros((SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    for column, row in cells:
        y, x = row * CELL_PX, column * CELL_PX
        pixels[y : y + CELL_PX, x : x + CELL_PX] = 255
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG" if suffix == ".png" else "JPEG")
    return buffer.getvalue()


def put(folder: Path, name: str, cells: Sequence[tuple[int, int]] = ((2, 3),)) -> None:
    """Write a picture into a camera's folder, at once."""
    part = folder / f"{name}.part"
    part.write_bytes(picture(*cells))
    part.rename(folder / name)
