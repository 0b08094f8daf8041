"""The runtime: what it refuses to load, and how it runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analytics.runtime import RowScorer, Session, size_warning
from analytics.training.graph import anomaly_graph
from gateway.core.errors import ModelError
from gateway.wire.bundle import read_bundle
from tests.analytics.models import model

ROOT = Path(__file__).parent.parent.parent


def graph(count: int = 2) -> bytes:
    ones = np.ones(count, dtype=np.float32)
    return anomaly_graph(0 * ones, ones, np.eye(count, dtype=np.float32))


def test_score_and_contribution_are_the_length_and_its_parts() -> None:
    scorer = RowScorer(graph(), row_count=2, column_count=2)
    score, contribution = scorer.run(np.array([[3.0, 4.0], [0.0, 2.0]]), np.ones(2, dtype=bool))
    np.testing.assert_allclose(score, [5.0, 2.0])
    np.testing.assert_allclose(contribution, [[9.0, 16.0], [0.0, 4.0]])


def test_unusable_rows_are_not_seen() -> None:
    scorer = RowScorer(graph(), row_count=2, column_count=2)
    score, _ = scorer.run(np.array([[np.nan, np.inf], [0.0, 2.0]]), np.array([False, True]))
    np.testing.assert_allclose(score, [0.0, 2.0])


def test_nonsense_stays_finite() -> None:
    scorer = RowScorer(graph(), row_count=1, column_count=2)
    score, contribution = scorer.run(np.array([[1e38, -1e38]]), np.ones(1, dtype=bool))
    assert np.isfinite(score).all()
    assert np.isfinite(contribution).all()


@pytest.mark.parametrize("damaged", [b"", b"no graph", graph()[:-20]])
def test_bytes_that_are_no_graph_are_refused(damaged: bytes) -> None:
    with pytest.raises(ModelError):
        RowScorer(damaged, row_count=1, column_count=2)


def test_a_graph_for_other_columns_is_refused() -> None:
    with pytest.raises(ModelError):
        RowScorer(graph(3), row_count=1, column_count=2)


def test_a_graph_with_other_names_is_refused() -> None:
    renamed = graph().replace(b"contribution", b"contributiom")
    with pytest.raises(ModelError, match="contribution"):
        RowScorer(renamed, row_count=1, column_count=2)
    renamed = graph().replace(b"\x04rows", b"\x04rowz")
    with pytest.raises(ModelError, match="inputs"):
        RowScorer(renamed, row_count=1, column_count=2)


def test_a_wrong_input_is_a_model_error() -> None:
    session = Session(graph())
    with pytest.raises(ModelError):
        session.run({"rows": np.zeros((1, 5), dtype=np.float32)})
    with pytest.raises(ModelError):
        session.run({"other": np.zeros((1, 2), dtype=np.float32)})


def test_inputs_and_outputs_are_told() -> None:
    session = Session(graph())
    assert session.inputs == {"rows": (None, 2)}
    assert set(session.outputs) == {"score", "contribution"}


def test_a_graph_of_hundreds_of_nodes_is_warned_of() -> None:
    assert size_warning(read_bundle(model()).model) is None
    # A protobuf of a model whose graph (field 7) has 300 empty nodes (field 1).
    nodes = b"\x0a\x00" * 300
    assert "300 nodes" in str(size_warning(b"\x3a\xd8\x04" + nodes))
    with pytest.raises(ModelError):
        size_warning(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")


@pytest.mark.slow
def test_memory_of_a_running_model() -> None:
    """Importing the runtime, loading a model and calling it takes less than 45 MB."""
    program = """
import sys, resource
import numpy as np
from analytics import multivariate
from analytics.runtime import RowScorer
from gateway.wire.bundle import read_bundle
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
bundle = read_bundle(sys.stdin.buffer.read())
scorer = RowScorer(bundle.model, row_count=3, column_count=4)
for _ in range(1000):
    scorer.run(np.ones((3, 4)), np.ones(3, dtype=bool))
print(peak() - before)
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], input=model(), capture_output=True, check=True, cwd=ROOT
    )
    assert float(answer.stdout) < 45
