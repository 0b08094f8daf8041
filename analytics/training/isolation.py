"""Rows that few questions set apart: fits an isolation forest, and makes it one tree operation.

A tree cuts the rows at random, column by column, until each is alone; odd ones are alone early.
With h the mean number of cuts, and c(n) what is expected among n rows, the usual score is
2^(-h / c). We keep what lies beneath it, the cuts saved, and split it among the columns: a cut that
leaves n' of n rows behind costs one and saves c(n) - c(n'), so each column is owed

    sum over the cuts of that column on the way down of c(n) - c(n') - 1,

and the sum over the columns telescopes to c - h exactly. So the statistic is a sum of
contributions, each leaf holds its own, and ONNX's `TreeEnsembleRegressor` adds them up over the
trees: one operation for score and attribution together. (As converted by skl2onnx the same forest
has hundreds of operations and takes a hundred times as long.)

A forest says nothing of how far off a row is: beyond the outermost healthy value every row falls
into the same leaf. It is the statistic for odd combinations, not for size.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.training.graph_part import TREES, GraphPart, Int64Array, Operation
from gateway.core.arrays import Float32Array, FloatArray

TREE_COUNT: Final = 100
ROWS_PER_TREE: Final = 256
"""As Liu recommends; more rows make deeper trees, not better ones."""
SEED: Final = 1
"""A training repeated on the same rows gives the same model."""
ROWS_MIN: Final = 2
"""One row is apart already."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forest:
    """The nodes of all trees in one line, tree by tree, each tree's root first."""

    tree: Int64Array
    """Which tree a node belongs to, ascending from 0, shape (k,)."""
    number: Int64Array
    """Of the node within its tree, shape (k,)."""
    column: Int64Array
    """What is compared there; -1 at a leaf."""
    limit: Float32Array
    """Values up to and with this one go low."""
    low: Int64Array
    """Number of the next node for low values."""
    high: Int64Array
    """Number of the next node for the others."""
    saved: FloatArray
    """Cuts that each column has saved when a row ends here, shape (k, m)."""
    expected: float
    """c: cuts that it takes on average to set one row of a tree's apart."""

    @property
    def tree_count(self) -> int:
        """How many trees there are."""
        return int(self.tree[-1]) + 1


def fit_forest(
    rows: FloatArray, *, tree_count: int = TREE_COUNT, rows_per_tree: int = ROWS_PER_TREE
) -> Forest:
    """Return a forest of healthy rows; the columns' units and scales do not matter.

    Args:
        rows: Shape (n, m), finite, n >= 2. A column that does not vary is never asked for.
        tree_count: At least 1.
        rows_per_tree: At least 2; no more are taken than there are.
    Source:
        Liu, Ting and Zhou (2008), "Isolation Forest", algorithms 1 and 2, as scikit-learn
        implements them. The split among the columns is ours.
    """
    # Heavy: imported when a training begins.
    from sklearn.ensemble import IsolationForest

    assert len(rows) >= ROWS_MIN, rows.shape
    size = min(rows_per_tree, len(rows))
    model = IsolationForest(n_estimators=tree_count, max_samples=size, random_state=SEED).fit(rows)
    trees = [each.tree_ for each in model.estimators_]
    column = [np.where(each.children_left < 0, -1, each.feature) for each in trees]
    return Forest(
        tree=np.repeat(np.arange(tree_count), [each.node_count for each in trees]),
        number=np.concatenate([np.arange(each.node_count) for each in trees]),
        column=np.concatenate(column),
        limit=_rounded_down(np.concatenate([each.threshold for each in trees])),
        low=np.concatenate([each.children_left for each in trees]),
        high=np.concatenate([each.children_right for each in trees]),
        saved=np.concatenate(
            [
                _saved(
                    asked,
                    low=each.children_left,
                    high=each.children_right,
                    cuts_left=expected_cuts(each.n_node_samples),
                    column_count=rows.shape[1],
                )
                for asked, each in zip(column, trees, strict=True)
            ]
        ),
        expected=float(expected_cuts(np.array([size]))[0]),
    )


def expected_cuts(counts: Int64Array) -> FloatArray:
    """Return c(n), the cuts that set one of n rows apart on average; 0 for a single row.

    Args:
        counts: n, at least 1, any shape.
    Source:
        Liu, Ting and Zhou (2008), equation 1, with the harmonic number by its logarithm.
    """
    many = np.maximum(counts, 3)
    cuts = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    return np.where(counts > 2, cuts, np.where(counts == 2, 1.0, 0.0))


def forest_part(forest: Forest, *, rows: str, prefix: str) -> GraphPart:
    """Return the forest as operations; the statistic is 1 - h / c, contributions add up to it.

    About 0 on ordinary rows, towards 1 on odd ones; a contribution below 0 says that the column
    looks more ordinary than chance. scikit-learn's `score_samples` is -2^(statistic - 1).

    Args:
        forest: Fitted to rows of m columns.
        rows: Name of the input, shape (n, m).
        prefix: Beginning of every name that the part makes.
    """
    is_leaf = forest.column < 0
    # Only what is not zero is kept; but each leaf must hold something, or the graph is invalid.
    is_kept = forest.saved != 0.0
    is_kept[:, 0] = True
    leaf, target = np.nonzero(is_kept & is_leaf[:, np.newaxis])
    share = forest.saved[leaf, target] / (forest.expected * forest.tree_count)
    trees = Operation(
        name="TreeEnsembleRegressor",
        inputs=(rows,),
        outputs=("contribution",),
        domain=TREES,
        attributes={
            "n_targets": forest.saved.shape[1],
            "aggregate_function": "SUM",
            "post_transform": "NONE",
            "nodes_treeids": forest.tree.tolist(),
            "nodes_nodeids": forest.number.tolist(),
            "nodes_featureids": np.where(is_leaf, 0, forest.column).tolist(),
            "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
            "nodes_values": np.where(is_leaf, 0.0, forest.limit).tolist(),
            "nodes_truenodeids": np.where(is_leaf, 0, forest.low).tolist(),
            "nodes_falsenodeids": np.where(is_leaf, 0, forest.high).tolist(),
            "target_treeids": forest.tree[leaf].tolist(),
            "target_nodeids": forest.number[leaf].tolist(),
            "target_ids": target.tolist(),
            "target_weights": share.tolist(),
        },
    )
    total = Operation(
        name="ReduceSum",
        inputs=("contribution", "column_axis"),
        outputs=("statistic",),
        attributes={"keepdims": 0},
    )
    part = GraphPart(
        operations=(trees, total),
        constants={"column_axis": np.array([1], dtype=np.int64)},
        statistic="statistic",
        contribution="contribution",
    )
    return part.prefixed(prefix, inputs=[rows])


def _saved(
    column: Int64Array,
    *,
    low: Int64Array,
    high: Int64Array,
    cuts_left: FloatArray,
    column_count: int,
) -> FloatArray:
    """Return what the columns have saved on the way to each node of one tree, shape (k, m)."""
    saved = np.zeros((len(column), column_count))
    # scikit-learn numbers a node before what is below it.
    for node in np.flatnonzero(column >= 0):
        for below in (low[node], high[node]):
            saved[below] = saved[node]
            saved[below, column[node]] += cuts_left[node] - cuts_left[below] - 1.0
    return saved


def _rounded_down(limits: FloatArray) -> Float32Array:
    """Return the limits in single precision so that no single-precision value changes sides."""
    rounded = limits.astype(np.float32)
    return np.where(rounded > limits, np.nextafter(rounded, np.float32(-np.inf)), rounded)
