"""Gives an engine the means of its period, where rows come faster than it has learnt."""

import json
from typing import Final

import numpy as np

from analytics.anomaly.engine import Assessed, Engine
from analytics.anomaly.packing import pack, unpack_into
from gateway.core.arrays import BoolArray, FloatArray

_NONE: Final = -1


class AveragingEngine:
    """Implements `Engine`: the rows that count, averaged over each period of the wall clock.

    A mean is known when the next period begins, and decides then, once. Until the one after, its
    score stands for as long as the asset's rows count.
    """

    def __init__(
        self, engine: Engine, *, period_s: float, asset_count: int, column_count: int
    ) -> None:
        """Begin without a row.

        Args:
            engine: Takes the means.
            period_s: Of a mean.
            asset_count: Rows that will come at each instant, n.
            column_count: Of a row, m.
        """
        self._engine = engine
        self._period_ns = round(period_s * 1e9)
        self._place = _NONE
        self._sum = np.zeros((asset_count, column_count))
        self._count = np.zeros(asset_count)
        self._score = np.full(asset_count, np.nan)

    def update(self, time_ns: int, value: FloatArray, counts: BoolArray) -> Assessed:
        """Take in the rows of one instant; see `Engine`."""
        place = time_ns // self._period_ns
        is_over = self._place not in (_NONE, place)
        has_mean = self._count > 0.0
        mean = self._sum / np.maximum(self._count, 1.0)[:, np.newaxis]
        end_ns = (self._place + 1) * self._period_ns
        if is_over:
            self._sum[:], self._count[:] = 0.0, 0.0
        self._place = place
        self._sum[counts] += value[counts]
        self._count += counts
        is_waiting, is_begun = np.ones_like(counts), np.zeros_like(counts)
        if is_over:
            self._score[:] = np.nan
            said = self._engine.update(end_ns, mean, has_mean)
            self._score[:] = said.score
            is_waiting, is_begun = said.is_waiting | ~has_mean, said.is_begun
        return Assessed(
            score=np.where(counts, self._score, np.nan), is_waiting=is_waiting, is_begun=is_begun
        )

    def shares(self) -> FloatArray:
        """Return those of the last mean; see `Engine`."""
        return self._engine.shares()

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time; the mean that had begun is of no period any more."""
        self._engine.rebase(shift_ns)
        self._place = _NONE
        self._sum[:], self._count[:] = 0.0, 0.0

    def checkpoint(self) -> str:
        """Return all that was remembered, as text."""
        return json.dumps(
            {
                "engine": self._engine.checkpoint(),
                "place": self._place,
                "mean": pack((self._sum, self._count, self._score)),
            }
        )

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint; see `Engine`."""
        content = json.loads(checkpoint)
        arrays = (self._sum.copy(), self._count.copy(), self._score.copy())
        unpack_into(content["mean"], arrays)
        self._engine.restore(content["engine"])
        self._place = content["place"]
        self._sum, self._count, self._score = arrays
