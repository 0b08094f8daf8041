"""What learns remaining life from window statistics: boosted trees and a small network.

The two fail differently. Trees find thresholds and interactions, but cannot go between the steps
of their leaves; a network is smooth, but guesses where it has seen little. Their mean is better
than either. Each pair learns without a part of the lives; the model is the mean of all pairs, and
the errors on the lives left out say how sure it is.

Wraps scikit-learn's regressors; what leaves this module is plain arrays.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import Float32Array, FloatArray

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree as SklearnTree

TREES: Final = 100
DEPTH: Final = 4
RATE: Final = 0.09
ROWS_SHARE: Final = 0.5
COLUMNS_SHARE: Final = 0.2
LEAF_ROWS_MIN: Final = 20
HIDDEN: Final = (32, 16)
PENALTY: Final = 0.3
BATCH_ROWS: Final = 256
EPOCHS: Final = 75
"""Walks through the rows; with a quarter of it the network has learnt too little."""
LEARNING_RATE: Final = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tree:
    """One regression tree of k nodes; the root is node 0, a leaf has no children (-1)."""

    left: NDArray[np.int64]
    """Node to go to when the statistic is at most the threshold, shape (k,)."""
    right: NDArray[np.int64]
    column: NDArray[np.int64]
    threshold: Float32Array
    value: FloatArray
    """What a leaf adds to the prediction."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Trees and network that have learnt from the same lives."""

    base: float
    """What the trees add to."""
    trees: tuple[Tree, ...]
    center: FloatArray
    """Taken from the statistics before the network, shape (f,)."""
    scale: FloatArray
    """Then they are divided by this, shape (f,), above 0."""
    weights: tuple[FloatArray, ...]
    """Of the layers, from the input on; between them, what is negative becomes 0."""
    biases: tuple[FloatArray, ...]

    def predict(self, statistics: Float32Array) -> FloatArray:
        """Return the mean of both for statistics (n, f), shape (n,)."""
        by_trees = np.full(len(statistics), self.base)
        for tree in self.trees:
            node = np.zeros(len(statistics), dtype=np.int64)
            for _ in range(DEPTH):
                is_left = (
                    statistics[np.arange(len(node)), tree.column[node]] <= (tree.threshold[node])
                )
                child = np.where(is_left, tree.left[node], tree.right[node])
                node = np.where(tree.left[node] < 0, node, child)
            by_trees += tree.value[node]
        layer = (statistics - self.center) / self.scale
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            layer = layer @ weight + bias
            if k < len(self.weights) - 1:
                layer = np.maximum(layer, 0.0)
        return np.asarray((by_trees + layer[:, 0]) / 2.0)


def learn_pair(statistics: Float32Array, life: FloatArray, *, seed: int) -> Pair:
    """Return trees and a network that have learnt these lives.

    Args:
        statistics: Shape (n, f), finite.
        life: Remaining life as a share of the cap, shape (n,).
        seed: Of everything that is drawn.
    Source:
        Friedman (2001), "Greedy Function Approximation"; (2002), "Stochastic Gradient Boosting".
    """
    # Heavy: imported when a training begins.
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.neural_network import MLPRegressor

    base = float(life.mean())
    boosted = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=RATE,
        subsample=ROWS_SHARE,
        max_features=COLUMNS_SHARE,
        min_samples_leaf=LEAF_ROWS_MIN,
        init="zero",
        random_state=seed,
    ).fit(statistics, life - base)
    center = statistics.mean(axis=0, dtype=np.float64)
    scale = statistics.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 0, scale, 1.0)
    steps = (statistics - center) / scale
    spread = float(life.std()) or 1.0
    network = MLPRegressor(
        hidden_layer_sizes=HIDDEN,
        alpha=PENALTY,
        batch_size=min(BATCH_ROWS, len(steps)),
        learning_rate_init=LEARNING_RATE,
        random_state=seed,
    )
    for _ in range(EPOCHS):
        network.partial_fit(steps, (life - base) / spread)
    weights = [np.asarray(each, dtype=np.float64) for each in network.coefs_]
    biases = [np.asarray(each, dtype=np.float64) for each in network.intercepts_]
    weights[-1], biases[-1] = weights[-1] * spread, biases[-1] * spread + base
    return Pair(
        base=base,
        trees=tuple(_tree(each.tree_) for each in boosted.estimators_[:, 0]),
        center=center,
        scale=scale,
        weights=tuple(weights),
        biases=tuple(biases),
    )


def _tree(grown: "SklearnTree") -> Tree:
    """Return the plain arrays of a tree."""
    threshold = np.asarray(grown.threshold, dtype=np.float64)
    # The largest float32 that is not above it parts float32 statistics in the same way.
    single = threshold.astype(np.float32)
    single = np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)
    return Tree(
        left=np.asarray(grown.children_left, dtype=np.int64),
        right=np.asarray(grown.children_right, dtype=np.int64),
        column=np.maximum(np.asarray(grown.feature, dtype=np.int64), 0),
        threshold=single,
        value=RATE * np.asarray(grown.value, dtype=np.float64)[:, 0, 0],
    )
