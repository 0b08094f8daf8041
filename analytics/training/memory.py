"""Fits the model of memory for a recording of one column."""

import numpy as np

from analytics.anomaly.trackers import tracker_arrays
from analytics.training.graph import constants_graph
from analytics.training.trackers import NOVEL_RATE, fit_trackers
from gateway.core.arrays import FloatArray


def memory_model(values: FloatArray, *, rate: float = NOVEL_RATE) -> bytes:
    """Return the memory of a healthy column as a graph without inputs.

    Args:
        values: Finite, in the order of time, shape (r,).
        rate: Share of the rows that may be novel.
    """
    rows = values[:, np.newaxis]
    tracker = fit_trackers(rows, np.ones(rows.shape, dtype=np.bool_), rate=rate)
    return constants_graph(tracker_arrays(tracker))
