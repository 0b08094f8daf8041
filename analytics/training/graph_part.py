"""Pieces of the one ONNX graph that a model is: wraps the untyped library `onnx`.

Each statistic describes its own operations as plain data, a *part*; `part_graph` joins several to
one graph. The names that a part makes are given a prefix of its own, so that two of a kind can
stand side by side.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from analytics.training.graph import IR_VERSION, OPSET
from gateway.core.arrays import Float32Array

if TYPE_CHECKING:
    from onnx import NodeProto

TREES: Final = "ai.onnx.ml"
"""Domain of the operations that are trees."""
_TREES_OPSET: Final = 3

Int64Array = NDArray[np.int64]
"""Shapes, axes and positions, as ONNX takes them."""
Attribute = int | float | str | Sequence[int] | Sequence[float] | Sequence[str]
"""What an operation of ONNX may be told beside its inputs."""
Shape = tuple[str | int, ...]
"""Size of each dimension, or the name of one that varies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One node of the graph."""

    name: str
    """ONNX's word for what it does, such as `MatMul`."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    domain: str = ""
    """Empty for ONNX's own operations."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphPart:
    """What computes one statistic of n rows of m columns."""

    operations: tuple[Operation, ...]
    """In the order in which they run."""
    constants: Mapping[str, Float32Array | Int64Array]
    statistic: str
    """Name of the result, shape (n,)."""
    contribution: str
    """Name of each column's part of it, shape (n, m)."""

    def prefixed(self, prefix: str, *, inputs: Collection[str]) -> "GraphPart":
        """Return the part with a prefix before every name but those of its inputs."""

        def longer(name: str) -> str:
            return name if name in inputs else prefix + name

        return GraphPart(
            operations=tuple(
                replace(
                    each,
                    inputs=tuple(map(longer, each.inputs)),
                    outputs=tuple(map(longer, each.outputs)),
                )
                for each in self.operations
            ),
            constants={longer(name): value for name, value in self.constants.items()},
            statistic=longer(self.statistic),
            contribution=longer(self.contribution),
        )


def part_graph(
    parts: Sequence[GraphPart], *, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]
) -> bytes:
    """Return one graph of several parts, as ONNX bytes; every number in it is a float32.

    Args:
        parts: A later one may use the results of an earlier one.
        inputs: Shape of each input by its name.
        outputs: Shape of each result that the graph returns, by its name.
    Raises:
        onnx.checker.ValidationError: a part uses a name that nothing computes.
    """
    # Heavy: imported when a training begins.
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes = [_node(each) for part in parts for each in part.operations]
    constants = [
        numpy_helper.from_array(np.asarray(value), name)
        for part in parts
        for name, value in part.constants.items()
    ]
    graph = helper.make_graph(
        nodes,
        "statistics",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(TREES, _TREES_OPSET)],
        ir_version=IR_VERSION,
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _node(operation: Operation) -> "NodeProto":
    # Heavy: imported when a training begins.
    from onnx import helper

    node = helper.make_node(
        operation.name, operation.inputs, operation.outputs, domain=operation.domain
    )
    node.attribute.extend(
        helper.make_attribute(name, value) for name, value in operation.attributes.items()
    )
    return node
