"""The isolation forest as one operation: its score is scikit-learn's, and is explained."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from analytics.runtime import Session
from analytics.training.graph_part import part_graph
from analytics.training.isolation import (
    ROWS_PER_TREE,
    SEED,
    TREE_COUNT,
    expected_cuts,
    fit_forest,
    forest_part,
)
from gateway.core.arrays import Float32Array, FloatArray
from tests.naive import isolation as naive

BUNDLE_BYTES_MAX = 1_000_000
TREES = 30
"""Fewer than a real model's: the properties do not depend on it."""


def healthy(rows: int = 2_000, columns: int = 6, seed: int = 1) -> FloatArray:
    dice = np.random.default_rng(seed)
    mixed = dice.normal(size=(rows, columns)) @ dice.normal(size=(columns, columns))
    return np.asarray(mixed, dtype=np.float64)


def graph(rows: FloatArray, tree_count: int = TREES) -> bytes:
    part = forest_part(fit_forest(rows, tree_count=tree_count), rows="rows", prefix="forest_")
    columns = rows.shape[1]
    return part_graph(
        [part],
        inputs={"rows": ("n", columns)},
        outputs={part.statistic: ("n",), part.contribution: ("n", columns)},
    )


def run(model: bytes, rows: FloatArray) -> tuple[Float32Array, Float32Array]:
    outputs = Session(model).run({"rows": rows.astype(np.float32)})
    return outputs["forest_statistic"], outputs["forest_contribution"]


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("columns", [1, 6])
def test_the_statistic_is_the_score_of_scikit_learn(columns: int, offset: float) -> None:
    """Within 1e-4, also far off the healthy rows; score = -2^(statistic - 1)."""
    rows = (healthy(columns=columns) + offset).astype(np.float32).astype(np.float64)
    tried = np.concatenate([rows[:200], 3.0 * (rows[:200] - offset) + offset])
    model = IsolationForest(n_estimators=TREES, max_samples=ROWS_PER_TREE, random_state=SEED).fit(
        rows
    )
    expected = model.score_samples(tried.astype(np.float32))
    statistic, _ = run(graph(rows), tried)
    np.testing.assert_allclose(-(2.0 ** (statistic - 1.0)), expected, atol=1e-4)


def test_contributions_add_up_to_the_statistic() -> None:
    statistic, contribution = run(graph(healthy()), 2.0 * healthy(seed=2))
    np.testing.assert_allclose(contribution.sum(axis=1), statistic, atol=1e-6)


def test_contributions_are_what_each_cut_saves() -> None:
    """Against following the cuts of scikit-learn's own trees, row by row."""
    rows = healthy(rows=300, columns=3).astype(np.float32).astype(np.float64)
    tried = 2.0 * rows[:20]
    _, contribution = run(graph(rows, tree_count=5), tried)
    model = IsolationForest(n_estimators=5, max_samples=256, random_state=SEED).fit(rows)
    expected = np.zeros((20, 3))
    for tree in (each.tree_ for each in model.estimators_):
        for index, row in enumerate(tried.tolist()):
            expected[index] += naive.saved_cuts(
                row,
                column=tree.feature,
                limit=tree.threshold,
                low=tree.children_left,
                high=tree.children_right,
                row_count=tree.n_node_samples,
            )
    np.testing.assert_allclose(contribution, expected / 5 / naive.expected_cuts(256), atol=1e-5)


def test_the_column_that_is_off_contributes_most() -> None:
    rows = healthy(columns=8)
    odd = np.median(rows, axis=0) + 8.0 * np.diag(rows.std(axis=0))
    _, contribution = run(graph(rows), odd)
    np.testing.assert_array_equal(contribution.argmax(axis=1), np.arange(8))


def test_an_odd_combination_of_ordinary_values_is_found() -> None:
    """Two columns that always agree, and a row in which they do not."""
    dice = np.random.default_rng(3)
    level = dice.normal(size=(3_000, 1))
    rows = np.concatenate([level, level + 0.05 * dice.normal(size=(3_000, 1))], axis=1)
    statistic, _ = run(graph(rows), np.array([[1.5, -1.5], [1.5, 1.5], [-1.5, -1.5]]))
    assert statistic[0] > statistic[1:].max() + 0.1


def test_a_column_that_never_varied_says_nothing() -> None:
    rows = healthy()
    rows[:, 2] = 7.0
    _, contribution = run(graph(rows), np.full((1, 6), 100.0))
    assert contribution[0, 2] == 0.0


@pytest.mark.parametrize("rows", [np.zeros((50, 2)), np.zeros((2, 1)), np.arange(2.0)[:, None]])
def test_constant_and_short_recordings_give_a_finite_score(rows: FloatArray) -> None:
    statistic, contribution = run(graph(rows), np.array([[5.0] * rows.shape[1]]))
    assert np.isfinite(statistic).all()
    assert np.isfinite(contribution).all()


def test_the_same_rows_give_the_same_model() -> None:
    assert graph(healthy(), tree_count=5) == graph(healthy(), tree_count=5)


def test_forty_columns_fit_into_the_budget() -> None:
    """One operation of below a megabyte; 60 us a row are checked by the bench."""
    model = graph(healthy(rows=1_000, columns=40), TREE_COUNT)
    assert len(model) < BUNDLE_BYTES_MAX


def test_expected_cuts_are_those_of_the_paper() -> None:
    counts = np.array([1, 2, 3, 10, 256])
    expected = [naive.expected_cuts(count) for count in counts.tolist()]
    np.testing.assert_allclose(expected_cuts(counts), expected)
    assert expected_cuts(np.array([256]))[0] == pytest.approx(10.24, abs=0.01)
