"""Runs a model of statistics: baseline, history, graph, averages, tails, the largest surprise.

Each row of an asset is standardised by its `Baseline` and joins its history. One call of the graph
computes the statistics of all histories. Each statistic is averaged over several lengths of time,
and each average becomes a surprise: 0 is usual, 1 is the stated false-alarm rate. The score is the
largest surprise: faults are of many kinds, and each statistic sees some of them.

An asset has no score until its history is full. A history does not reach across a gap: after a
step of more than `GAP_STEPS` times what is usual it begins anew, and so do the averages. The
baseline goes on: a machine that stood for a night is much as it was.

While the score is above 1 the baseline moves slowly, so that a fault does not become the usual.
"""

from typing import Final

import numpy as np

from analytics.anomaly.baseline import Baseline
from analytics.anomaly.engine import Assessed
from analytics.anomaly.packing import pack, unpack_into
from analytics.anomaly.tails import Tails
from analytics.anomaly.time_scales import TimeScales
from analytics.instants import NEVER_NS
from analytics.runtime import StatisticsGraph
from gateway.core.arrays import BoolArray, FloatArray, TimeArray, frozen, rebased
from gateway.core.manifest import AnomalyManifest

GAP_STEPS: Final = 5.0
"""Times the period of the training, or the step before if that is longer."""
STEPS_MAX: Final = 1e6
"""A standardised value further off counts as this, so that the graph's numbers stay finite."""
VALUE_MAX: Final = 1e100
"""A value further off counts as this."""
SHARE_ROWS: Final = 8.0
"""Time constant of the columns' parts: reasons should not change with every row."""
_SHARE_WEIGHT: Final = float(-np.expm1(-1.0 / SHARE_ROWS))


class StatisticsEngine:
    """Implements `Engine` with a graph of statistics."""

    def __init__(self, model: bytes, manifest: AnomalyManifest, *, asset_count: int) -> None:
        """Load a graph for n assets.

        Raises:
            ModelError: it is no graph of such a model.
        """
        dynamics = manifest.dynamics
        assert dynamics is not None, "the manifest is of another method"
        self._measured = np.flatnonzero(dynamics.measured)
        self._columns = len(dynamics.measured)
        self._period_ns = manifest.period_s * 1e9
        count, statistics = len(dynamics.level), len(dynamics.statistics)
        self._graph = StatisticsGraph(
            model,
            shape=(asset_count, dynamics.history_rows, count),
            statistic_count=statistics,
        )
        self._baseline = Baseline(
            asset_count=asset_count,
            level=frozen(np.array(dynamics.level)),
            spread=frozen(np.array(dynamics.spread)),
            follow_rows=dynamics.follow_rows,
        )
        self._baseline.moved[:] = dynamics.moved
        self._baseline.widened[:] = dynamics.widened
        self._scales = TimeScales(
            asset_count=asset_count,
            usual=frozen(np.array(dynamics.center)),
            scales_rows=dynamics.scales_rows,
        )
        self._tails = Tails(
            usual=frozen(np.array(dynamics.usual)), width=frozen(np.array(dynamics.width))
        )
        self._begin = self._scales.average[0].copy()
        self._seen = np.zeros(asset_count, dtype=np.int64)
        self._newest_ns: TimeArray = np.full(asset_count, NEVER_NS, dtype=np.int64)
        self._step_ns: FloatArray = np.full(asset_count, self._period_ns)
        self._is_calm: BoolArray = np.ones(asset_count, dtype=np.bool_)
        self._worst = np.zeros(asset_count, dtype=np.int64)
        self._part: FloatArray = np.zeros((asset_count, statistics, count))

    def update(self, time_ns: int, value: FloatArray, counts: BoolArray) -> Assessed:
        """Take in the rows of one instant; see `Engine`."""
        self._note_time(time_ns, counts)
        measured = np.clip(value[:, self._measured], -VALUE_MAX, VALUE_MAX)
        usable = np.broadcast_to(counts[:, np.newaxis], measured.shape)
        self._remember(self._baseline.update(measured, usable, self._is_calm), counts)
        self._seen += counts
        is_full = self._seen >= self._graph.history.shape[1]
        statistic, contribution = self._graph.run()
        is_scored = counts & is_full & np.isfinite(statistic).all(axis=1)
        averages = self._scales.update(statistic.astype(np.float64), is_scored)
        surprise = self._tails.surprise(averages.reshape(len(value), -1))
        worst = surprise.argmax(axis=1)
        highest = np.maximum(surprise[np.arange(len(worst)), worst], 0.0)
        np.copyto(self._worst, worst // averages.shape[2], where=is_scored)
        np.copyto(self._is_calm, highest <= 1.0, where=is_scored)
        step = contribution - self._part
        step *= _SHARE_WEIGHT * is_scored[:, np.newaxis, np.newaxis]
        self._part += step
        return Assessed(
            score=np.where(is_scored, highest, np.nan),
            is_waiting=counts & ~is_full,
            is_begun=is_full,
        )

    def shares(self) -> FloatArray:
        """Return the columns' parts of the statistic that makes each asset's score."""
        part = np.maximum(self._part[np.arange(len(self._worst)), self._worst], 0.0)
        total = part.sum(axis=1, keepdims=True)
        shares = np.zeros((len(part), self._columns))
        shares[:, self._measured] = part / np.where(total > 0.0, total, 1.0)
        return shares

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time; see `Engine`."""
        self._newest_ns = rebased(self._newest_ns, shift_ns)

    def checkpoint(self) -> str:
        """Return all that was remembered; some 3 kB for an asset of 40 columns."""
        return pack(self._arrays())

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint; see `Engine`."""
        unpack_into(checkpoint, self._arrays())

    def _arrays(
        self,
    ) -> tuple[
        FloatArray | TimeArray | BoolArray | np.ndarray[tuple[int, ...], np.dtype[np.float32]], ...
    ]:
        return (
            self._baseline.moved,
            self._baseline.widened,
            self._graph.history,
            self._scales.average,
            self._part,
            self._step_ns,
            self._newest_ns,
            self._seen,
            self._worst,
            self._is_calm,
        )

    def _note_time(self, time_ns: int, counts: BoolArray) -> None:
        """Let histories begin anew behind a gap."""
        is_first = self._newest_ns == NEVER_NS
        elapsed_ns = np.where(is_first, self._period_ns, time_ns - self._newest_ns).astype(
            np.float64
        )
        is_gap = elapsed_ns > GAP_STEPS * np.maximum(self._period_ns, self._step_ns)
        is_gap &= counts
        if is_gap.any():
            self._seen[is_gap] = 0
            self._scales.average[is_gap] = self._begin
        np.copyto(self._step_ns, elapsed_ns, where=counts)
        np.copyto(self._newest_ns, time_ns, where=counts)

    def _remember(self, z: FloatArray, counts: BoolArray) -> None:
        """Let rows join their histories; the oldest row leaves."""
        history = self._graph.history
        newest = np.clip(z, -STEPS_MAX, STEPS_MAX)
        if counts.all():
            history[:, :-1] = history[:, 1:]
            history[:, -1] = newest
        elif counts.any():
            history[counts, :-1] = history[counts, 1:]
            history[counts, -1] = newest[counts]
