"""Runs a model of distance: every row by itself, then the average over time."""

import json

import numpy as np

from analytics.anomaly.engine import Assessed
from analytics.runtime import RowScorer
from analytics.smoothing import Smoother
from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.manifest import AnomalyManifest


class DistanceEngine:
    """Implements `Engine` with a graph that scores rows."""

    def __init__(self, model: bytes, manifest: AnomalyManifest, *, asset_count: int) -> None:
        """Load a graph for n assets.

        Raises:
            ModelError: it is no graph of such a model.
        """
        column_count = len(manifest.columns)
        self._scorer = RowScorer(model, row_count=asset_count, column_count=column_count)
        self._smoother = Smoother(
            asset_count=asset_count, column_count=column_count, smoothing_s=manifest.smoothing_s
        )

    def update(self, time_ns: int, value: FloatArray, counts: BoolArray) -> Assessed:
        """Score the rows in one call of the model; see `Engine`."""
        is_begun = self._smoother.has_begun
        score, contribution = self._scorer.run(value, counts)
        averages = self._smoother.update(time_ns, score, contribution, counts & np.isfinite(score))
        return Assessed(score=averages, is_waiting=np.zeros_like(counts), is_begun=is_begun)

    def shares(self) -> FloatArray:
        """Return each column's part of each asset's score; see `Engine`."""
        return self._smoother.shares()

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time; see `Engine`."""
        self._smoother.rebase(shift_ns)

    def checkpoint(self) -> str:
        """Return the average over time as text."""
        smoother = self._smoother
        return json.dumps(
            [smoother.score.tolist(), smoother.part.tolist(), smoother.newest_ns.tolist()]
        )

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint; see `Engine`."""
        score, part, newest_ns = json.loads(checkpoint)
        self._smoother.score = np.array(score, dtype=np.float64)
        self._smoother.part = np.array(part, dtype=np.float64).reshape(self._smoother.part.shape)
        self._smoother.newest_ns = np.array(newest_ns, dtype=np.int64)
