"""Notes how a model's training rows were distributed, for telling later that they moved."""

import numpy as np

from analytics.drift import INDEPENDENT_S, distribution_of
from gateway.core.arrays import FloatArray
from gateway.core.drift_reference import DriftReference


def drift_reference(rows: FloatArray, scores: FloatArray, *, period_s: float) -> DriftReference:
    """Return the distributions of training rows and of healthy scores.

    Args:
        rows: Shape (n, m), finite, n >= 1.
        scores: Averaged over time, of rows that were not fitted, shape (k,), k >= 1.
        period_s: Between the rows.
    """
    independent = len(rows) * min(max(period_s, 1e-3) / INDEPENDENT_S, 1.0)
    return DriftReference(
        columns=tuple(distribution_of(column) for column in rows.T),
        score=distribution_of(scores[np.isfinite(scores)]),
        independent_rows=max(independent, 1.0),
    )
