"""Makes bad models from a good one, to show that a gateway refuses them.

What comes out is a bundle in good order whose graph is wrong: nothing but running it tells.
"""

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
from numpy.typing import NDArray

from analytics.runtime import SCORE, STATISTIC
from analytics.scoring import open_bundle
from gateway.core.errors import ModelError
from gateway.core.manifest import Method
from gateway.wire.bundle import write_bundle

if TYPE_CHECKING:
    from onnx import NodeProto

_MORE: Final = 1_000.0
"""Above the threshold of any score and any statistic."""
_GOOD_SCORE: Final = "score_before"
_SQUARE_SIZE: Final = 640
"""Two square matrices of this size take some 10 ms to multiply on one core."""
_PRODUCTS: Final = 8


class Flaw(StrEnum):
    """What is wrong with the model."""

    NOISY = "noisy"
    """Alarms all the time: it finds every known fault, and everything else too."""
    SILENT = "silent"
    """Never alarms."""
    SLOW = "slow"
    """Gives the same scores, but takes many times longer than a gateway allows."""


def spoil(data: bytes, flaw: Flaw, *, version: str) -> bytes:
    """Return a copy of an anomaly model's bundle with a flaw, under another version.

    Raises:
        ModelError: the bundle is damaged, or holds another kind of model, or one of memory, which
            has nothing to spoil.
    """
    # Heavy, and only where models are made.
    import onnx
    from onnx import helper, numpy_helper

    bundle, manifest = open_bundle(data)
    if manifest.method is Method.MEMORY:
        raise ModelError(f"{manifest.name} is a model of memory: its graph computes nothing")
    model = onnx.load_from_string(bundle.model)
    graph = model.graph
    # A model of distance has a score, one of statistics has those.
    result = SCORE if manifest.method is Method.DISTANCE else STATISTIC
    for node in graph.node:
        node.output[:] = [_GOOD_SCORE if name == result else name for name in node.output]
    constants: dict[str, NDArray[np.float32] | NDArray[np.int64]]
    match flaw:
        case Flaw.NOISY:
            constants = {"more": np.array(_MORE, dtype=np.float32)}
            nodes = [helper.make_node("Add", [_GOOD_SCORE, "more"], [result])]
        case Flaw.SILENT:
            constants = {"less": np.array(0.01, dtype=np.float32)}
            nodes = [helper.make_node("Mul", [_GOOD_SCORE, "less"], [result])]
        case Flaw.SLOW:
            constants = {
                "size": np.array([_SQUARE_SIZE, _SQUARE_SIZE], dtype=np.int64),
                "nothing": np.array(0.0, dtype=np.float32),
            }
            nodes = _slow_nodes(result)
        case _:
            assert_never(flaw)
    graph.node.extend(nodes)
    graph.initializer.extend(
        [numpy_helper.from_array(value, name) for name, value in constants.items()]
    )
    onnx.checker.check_model(model)
    return write_bundle(
        replace(
            bundle,
            manifest=manifest.model_copy(update={"version": version}),
            model=model.SerializeToString(),
        )
    )


def _slow_nodes(result: str) -> "list[NodeProto]":
    """Return operations that add zero to the score, the long way.

    The matrices are made from the score, so that no optimiser can work them out beforehand.
    """
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMax", [_GOOD_SCORE], ["peak"], keepdims=0),
        helper.make_node("Min", ["peak", "nothing"], ["zero"]),
        helper.make_node("Expand", ["zero", "size"], ["product_0"]),
    ]
    nodes += [
        helper.make_node("MatMul", [f"product_{k}", f"product_{k}"], [f"product_{k + 1}"])
        for k in range(_PRODUCTS)
    ]
    return [
        *nodes,
        helper.make_node("ReduceMax", [f"product_{_PRODUCTS}"], ["last"], keepdims=0),
        helper.make_node("Add", [_GOOD_SCORE, "last"], [result]),
    ]
