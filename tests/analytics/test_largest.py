"""The mean of the largest deviations: graph, formula and definition are one."""

import numpy as np
import pytest

from analytics.runtime import Session
from analytics.training.graph_part import part_graph
from analytics.training.largest import LARGEST_COUNT, STEPS_MAX, largest_mean, largest_part
from gateway.core.arrays import Float32Array, FloatArray


def run(rows: FloatArray) -> tuple[Float32Array, Float32Array]:
    columns = rows.shape[1]
    part = largest_part(rows="rows", column_count=columns, prefix="largest_")
    graph = part_graph(
        [part],
        inputs={"rows": ("n", columns)},
        outputs={part.statistic: ("n",), part.contribution: ("n", columns)},
    )
    outputs = Session(graph).run({"rows": rows.astype(np.float32)})
    return outputs[part.statistic], outputs[part.contribution]


@pytest.mark.parametrize("columns", [1, 2, 3, 12])
def test_the_statistic_is_the_mean_of_the_largest(columns: int) -> None:
    rows = 10.0 * np.random.default_rng(1).normal(size=(40, columns))
    expected = [
        float(np.mean(sorted((abs(z) for z in row), reverse=True)[:LARGEST_COUNT]))
        for row in rows.tolist()
    ]
    statistic, contribution = run(rows)
    np.testing.assert_allclose(statistic, expected, rtol=1e-5)
    np.testing.assert_allclose(largest_mean(rows), expected, rtol=1e-12)
    np.testing.assert_allclose(contribution.sum(axis=1), expected, rtol=1e-5)


def test_only_the_largest_contribute() -> None:
    _, contribution = run(np.array([[5.0, -9.0, 0.1, 1.0, -3.0]]))
    np.testing.assert_allclose(contribution, [[5 / 3, 3.0, 0.0, 0.0, 1.0]], rtol=1e-6)


def test_equal_columns_contribute_no_more_than_there_is() -> None:
    statistic, contribution = run(np.full((1, 6), 2.0))
    assert statistic[0] == pytest.approx(2.0)
    assert contribution.sum() == pytest.approx(2.0)


def test_nonsense_stays_finite() -> None:
    statistic, contribution = run(np.array([[1e30, -1e30, 0.0, 0.0]]))
    assert statistic[0] == pytest.approx(2 * STEPS_MAX / 3)
    assert np.isfinite(contribution).all()
