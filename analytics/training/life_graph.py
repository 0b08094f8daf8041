"""The ONNX graph of remaining life: all trees as one ensemble, all networks as one wide network.

Statistics beyond what the training saw are cut to its range first: a network would go on in a
straight line, far out of any life.
"""

from collections.abc import Sequence

import numpy as np

from analytics.prognosis.remaining_life import LIFE, STATISTICS
from analytics.training.graph import IR_VERSION, OPSET
from analytics.training.life_learners import Pair
from gateway.core.arrays import Float32Array, FloatArray

_TREE_OPSET = 3
"""Of the domain ai.onnx.ml."""


def life_graph(pairs: Sequence[Pair], *, low: Float32Array, high: Float32Array) -> bytes:
    """Return the graph of the mean of all pairs, as ONNX bytes.

    Args:
        pairs: At least one.
        low: Least statistics that were seen, shape (f,).
        high: Largest, shape (f,).
    """
    # Heavy: imported when a training begins.
    from onnx import TensorProto, checker, helper, numpy_helper

    constants = {"low": low, "high": high, "half": np.float32(0.5), **_network(pairs)}
    axis = {"axis": np.array([1], dtype=np.int64)}
    nodes = [
        helper.make_node("Max", [STATISTICS, "low"], ["not_below"]),
        helper.make_node("Min", ["not_below", "high"], ["bounded"]),
        helper.make_node(
            "TreeEnsembleRegressor",
            ["bounded"],
            ["by_trees"],
            domain="ai.onnx.ml",
            n_targets=1,
            aggregate_function="SUM",
            post_transform="NONE",
            base_values=[float(np.mean([pair.base for pair in pairs]))],
        ),
        helper.make_node("MatMul", ["bounded", "weight1"], ["product1"]),
        helper.make_node("Add", ["product1", "bias1"], ["sum1"]),
        helper.make_node("Relu", ["sum1"], ["layer1"]),
        helper.make_node("MatMul", ["layer1", "weight2"], ["product2"]),
        helper.make_node("Add", ["product2", "bias2"], ["sum2"]),
        helper.make_node("Relu", ["sum2"], ["layer2"]),
        helper.make_node("MatMul", ["layer2", "weight3"], ["product3"]),
        helper.make_node("Add", ["product3", "bias3"], ["by_networks"]),
        helper.make_node("Add", ["by_trees", "by_networks"], ["both"]),
        helper.make_node("Mul", ["both", "half"], ["mean"]),
        helper.make_node("Squeeze", ["mean", "axis"], [LIFE]),
    ]
    trees = next(node for node in nodes if node.op_type == "TreeEnsembleRegressor")
    trees.attribute.extend(
        helper.make_attribute(name, value) for name, value in _trees(pairs).items()
    )
    graph = helper.make_graph(
        nodes,
        "remaining_life",
        [helper.make_tensor_value_info(STATISTICS, TensorProto.FLOAT, ["n", len(low)])],
        [helper.make_tensor_value_info(LIFE, TensorProto.FLOAT, ["n"])],
        [
            *(
                numpy_helper.from_array(np.asarray(value, dtype=np.float32), name)
                for name, value in constants.items()
            ),
            *(numpy_helper.from_array(value, name) for name, value in axis.items()),
        ],
    )
    model = helper.make_model(
        graph,
        opset_imports=[
            helper.make_opsetid("", OPSET),
            helper.make_opsetid("ai.onnx.ml", _TREE_OPSET),
        ],
        ir_version=IR_VERSION,
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _network(pairs: Sequence[Pair]) -> dict[str, FloatArray]:
    """Return weights and biases of all networks side by side, their outputs averaged."""
    first = [pair.weights[0] / pair.scale[:, np.newaxis] for pair in pairs]
    first_bias = [pair.biases[0] - (pair.center / pair.scale) @ pair.weights[0] for pair in pairs]
    inner = [pair.weights[1] for pair in pairs]
    rows, columns = inner[0].shape
    second = np.zeros((rows * len(pairs), columns * len(pairs)))
    for k, weight in enumerate(inner):
        second[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] = weight
    return {
        "weight1": np.concatenate(first, axis=1),
        "bias1": np.concatenate(first_bias),
        "weight2": second,
        "bias2": np.concatenate([pair.biases[1] for pair in pairs]),
        "weight3": np.concatenate([pair.weights[2] for pair in pairs]) / len(pairs),
        "bias3": np.mean([pair.biases[2] for pair in pairs], axis=0),
    }


def _trees(pairs: Sequence[Pair]) -> dict[str, list[int] | list[float] | list[str]]:
    """Return all trees as the attributes of one ensemble, their sums averaged over the pairs."""
    trees = [tree for pair in pairs for tree in pair.trees]
    sizes = [len(tree.left) for tree in trees]
    tree_of = np.repeat(np.arange(len(trees)), sizes)
    node_of = np.concatenate([np.arange(size) for size in sizes])
    left = np.concatenate([tree.left for tree in trees])
    right = np.concatenate([tree.right for tree in trees])
    is_leaf = left < 0
    value = np.concatenate([tree.value for tree in trees]) / len(pairs)
    threshold = np.concatenate([tree.threshold for tree in trees])
    return {
        "nodes_treeids": tree_of.tolist(),
        "nodes_nodeids": node_of.tolist(),
        "nodes_featureids": np.concatenate([tree.column for tree in trees]).tolist(),
        "nodes_values": np.where(is_leaf, 0.0, threshold).tolist(),
        "nodes_modes": ["LEAF" if each else "BRANCH_LEQ" for each in is_leaf.tolist()],
        "nodes_truenodeids": np.where(is_leaf, 0, left).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, right).tolist(),
        "target_treeids": tree_of[is_leaf].tolist(),
        "target_nodeids": node_of[is_leaf].tolist(),
        "target_ids": [0] * int(is_leaf.sum()),
        "target_weights": value[is_leaf].tolist(),
    }
