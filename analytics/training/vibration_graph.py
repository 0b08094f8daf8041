"""The ONNX graph of the classifier of faults: wraps the untyped library `onnx`."""

from dataclasses import dataclass

import numpy as np

from analytics.training.graph import IR_VERSION, OPSET
from analytics.vibration.learned import PROBABILITY, ROWS
from gateway.core.arrays import Float32Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Health:
    """When a row is that of a healthy machine."""

    center: Float32Array
    """Means of healthy rows, shape (m,)."""
    weight: Float32Array
    """One over what healthy machines vary, 0 for a column that does not count, shape (m,)."""
    start: float
    """Distance at which a fault is as likely as none."""
    steepness: float
    """How fast the odds rise from there on."""


def vibration_graph(weight: Float32Array, offset: Float32Array, health: Health | None) -> bytes:
    """Return the graph as ONNX bytes.

    The faults are softmax(rows weight + offset). With `health`, the first probability is that of
    "none": one minus the logistic function of how far a row lies above the healthy ones; what is
    below them is as healthy.

    Args:
        weight: Shape (m, k).
        offset: Shape (k,).
        health: None when no healthy machine was seen.
    """
    # Heavy: imported when a training begins.
    from onnx import TensorProto, checker, helper, numpy_helper

    constants: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
        "weight": weight,
        "offset": offset,
    }
    nodes = [
        helper.make_node("MatMul", [ROWS, "weight"], ["projected"]),
        helper.make_node("Add", ["projected", "offset"], ["logits"]),
    ]
    label_count = weight.shape[1]
    if health is None:
        nodes.append(helper.make_node("Softmax", ["logits"], [PROBABILITY], axis=1))
    else:
        label_count += 1
        constants |= {
            "center": health.center,
            "inverse": health.weight,
            "axis": np.array([1], dtype=np.int64),
            "start": np.array(health.start, dtype=np.float32),
            "steepness": np.array(health.steepness, dtype=np.float32),
            "one": np.array(1, dtype=np.float32),
        }
        nodes += [
            helper.make_node("Softmax", ["logits"], ["fault"], axis=1),
            helper.make_node("Sub", [ROWS, "center"], ["moved"]),
            helper.make_node("Mul", ["moved", "inverse"], ["steps"]),
            helper.make_node("Relu", ["steps"], ["above"]),
            helper.make_node("Mul", ["above", "above"], ["square"]),
            helper.make_node("ReduceSum", ["square", "axis"], ["total"], keepdims=1),
            helper.make_node("Sqrt", ["total"], ["distance"]),
            helper.make_node("Sub", ["distance", "start"], ["beyond"]),
            helper.make_node("Mul", ["beyond", "steepness"], ["odds"]),
            helper.make_node("Sigmoid", ["odds"], ["any"]),
            helper.make_node("Sub", ["one", "any"], ["none"]),
            helper.make_node("Mul", ["fault", "any"], ["each"]),
            helper.make_node("Concat", ["none", "each"], [PROBABILITY], axis=1),
        ]
    graph = helper.make_graph(
        nodes,
        "vibration",
        [helper.make_tensor_value_info(ROWS, TensorProto.FLOAT, ["n", weight.shape[0]])],
        [helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, ["n", label_count])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())
