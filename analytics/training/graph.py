"""ONNX graphs of anomaly models, written by hand: wraps the untyped library `onnx`."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from analytics.runtime import CONTRIBUTION, ROWS, SCORE
from gateway.core.arrays import Float32Array, FloatArray

OPSET: Final = 17
IR_VERSION: Final = 9
"""Old enough for every onnxruntime that the project allows."""

STEPS_MAX: Final = 1000.0
"""Standardised values beyond it are cut, so that squares of nonsense stay finite."""


def anomaly_graph(center: Float32Array, weight: Float32Array, mixing: Float32Array) -> bytes:
    """Return the graph of score = |((rows - center) * weight) mixing|, as ONNX bytes.

    Args:
        center: Shape (m,).
        weight: One over the spread of each column, 0 for one that does not count, shape (m,).
        mixing: Shape (m, m).
    """
    # Heavy: imported when a training begins.
    from onnx import TensorProto, checker, helper, numpy_helper

    count = len(center)
    constants = {
        "center": center,
        "weight": weight,
        "mixing": mixing,
        "low": np.float32(-STEPS_MAX),
        "high": np.float32(STEPS_MAX),
        "axis": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Sub", [ROWS, "center"], ["moved"]),
        helper.make_node("Mul", ["moved", "weight"], ["steps"]),
        helper.make_node("Clip", ["steps", "low", "high"], ["bounded"]),
        helper.make_node("MatMul", ["bounded", "mixing"], ["mixed"]),
        helper.make_node("Mul", ["mixed", "mixed"], [CONTRIBUTION]),
        helper.make_node("ReduceSum", [CONTRIBUTION, "axis"], ["total"], keepdims=0),
        helper.make_node("Sqrt", ["total"], [SCORE]),
    ]
    shape: list[str | int | None] = ["n", count]
    graph = helper.make_graph(
        nodes,
        "anomaly",
        [helper.make_tensor_value_info(ROWS, TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info(CONTRIBUTION, TensorProto.FLOAT, shape),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


def constants_graph(arrays: Mapping[str, FloatArray]) -> bytes:
    """Return a graph without inputs whose outputs are these arrays, in double precision."""
    # Heavy: imported when a training begins.
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes = [helper.make_node("Identity", [f"{name}_learnt"], [name]) for name in arrays]
    graph = helper.make_graph(
        nodes,
        "memory",
        [],
        [
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, array.shape)
            for name, array in arrays.items()
        ],
        [numpy_helper.from_array(array, f"{name}_learnt") for name, array in arrays.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())
