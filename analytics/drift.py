"""Tells that a machine's rows have moved away from those its model was trained on.

Theory. The rows of a day are counted in the bins of the training rows. Two figures compare the two
distributions: the population stability index, the sum of (p - q) ln(p / q), says how far they are
apart, and the distance of Kolmogorov and Smirnov, the largest difference of the two cumulative
distributions, whether it can be chance. Rows close in time say the same thing twice, so the test
counts independent rows, not rows.

Drift is not a fault. A fault is sudden, or shows in the score; the season, a new product or another
load move the inputs while the machine behaves as its model expects. So a day with more than a few
rows in alarm says nothing about drift, and only two days in a row that agree say something: then
the model no longer covers what is normal, and a new one is due.

Source:
    PSI: Siddiqi (2006), "Credit Risk Scorecards", and its usual limit of 0.25 for a major shift.
    The test: Smirnov (1948), with the asymptotic limit for 0.1 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray, rebased
from gateway.core.drift_reference import BINS, Distribution, DriftReference

PSI_MAJOR: Final = 0.25
"""A shift of this size makes a model doubtful."""
KS_FACTOR: Final = 1.95
"""The distance exceeds this times sqrt(1/n + 1/m) by chance once in a thousand."""
SHARE_MIN: Final = 1e-3
"""An empty bin counts as this much: the index would be infinite."""
WINDOW_S: Final = 86_400.0
"""A day has all loads that a day has; a shorter stretch differs from the training for that."""
ROW_S: Final = 10.0
"""A row is counted so often at most: those between say the same."""
ROWS_MIN: Final = 300
"""Counted rows without which a window says nothing."""
INDEPENDENT_S: Final = 180.0
"""What makes a row differ from what was expected lasts about so long."""
ALARM_SHARE_MAX: Final = 0.05
"""With more rows in alarm a window speaks of a fault."""
WINDOWS_AGREEING: Final = 2
"""Windows in a row that must show the shift."""

CountArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drift:
    """One asset has moved away from the training rows."""

    position: int
    """Of the asset."""
    psi: FloatArray
    """Of each column and, last, of the score; shape (m + 1,)."""
    distance: FloatArray
    """Kolmogorov and Smirnov's, same shape, 0 to 1."""
    rows: int
    """In the window that decided."""


class DriftMonitor:
    """Watches n assets of one model with m columns; time comes from the data."""

    def __init__(self, reference: DriftReference, *, asset_count: int, period_s: float) -> None:
        """Begin with empty windows.

        Args:
            reference: Of the model.
            asset_count: n.
            period_s: Between rows.
        """
        distributions = (*reference.columns, reference.score)
        self._edges = np.array([_padded(each.edges, np.inf) for each in distributions])
        self._shares = np.array([_padded(each.shares, 0.0, size=BINS) for each in distributions])
        self._reference_rows = reference.independent_rows
        self._independence = min(max(period_s, ROW_S) / INDEPENDENT_S, 1.0)
        shape = (asset_count, len(distributions), BINS)
        self.counts: CountArray = np.zeros(shape, dtype=np.int64)
        """Rows of the running window in each bin, shape (n, m + 1, bins)."""
        self.rows: CountArray = np.zeros(asset_count, dtype=np.int64)
        """Rows of the running window."""
        self.alarm_rows: CountArray = np.zeros(asset_count, dtype=np.int64)
        """Those of them in alarm."""
        self.began_ns: CountArray = np.zeros(asset_count, dtype=np.int64)
        """When the running window began; 0 before the first row."""
        self.newest_ns = 0
        """When a row was counted last; 0 before the first."""
        self.agreeing: CountArray = np.zeros(asset_count, dtype=np.int64)
        """Windows in a row that showed a shift."""

    def update(
        self, time_ns: int, value: FloatArray, score: FloatArray, counts: BoolArray
    ) -> list[Drift]:
        """Take in one row of each asset and return who has drifted by it, once for each run.

        Args:
            time_ns: Of the rows, rising.
            value: Shape (n, m).
            score: Averaged over time, above 1 is an alarm, shape (n,).
            counts: Which rows count: scored, of a running asset; shape (n,).
        """
        if self.newest_ns and time_ns - self.newest_ns < int(ROW_S * 1e9):
            return []
        self.newest_ns = time_ns
        counts = counts & np.isfinite(score)
        is_first = counts & (self.began_ns == 0)
        self.began_ns[is_first] = time_ns
        is_over = counts & (time_ns - self.began_ns >= int(WINDOW_S * 1e9))
        found = [drift for k in np.flatnonzero(is_over) if (drift := self._close(int(k), time_ns))]
        at = np.flatnonzero(counts)
        whole = np.column_stack([value[at], score[at]])
        # The bin of a value is the number of edges below it; NaN is above none.
        bins = (whole[:, :, np.newaxis] > self._edges).sum(axis=2)
        column = np.arange(whole.shape[1])
        known = np.isfinite(whole)
        np.add.at(self.counts, (at[:, np.newaxis], column, bins), known)
        self.rows[at] += 1
        self.alarm_rows[at] += score[at] > 1.0
        return found

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        self.began_ns = np.where(self.began_ns > 0, rebased(self.began_ns, shift_ns), 0)
        if self.newest_ns:
            self.newest_ns += shift_ns

    def compare(self, position: int) -> tuple[FloatArray, FloatArray]:
        """Return index and distance of the running window of one asset, each of shape (m + 1,)."""
        count = self.counts[position]
        total = np.maximum(count.sum(axis=1, keepdims=True), 1)
        observed = count / total
        return (
            population_stability(self._shares, observed),
            np.abs(np.cumsum(self._shares - observed, axis=1)).max(axis=1),
        )

    def _close(self, position: int, time_ns: int) -> Drift | None:
        """Judge an asset's window and begin the next one."""
        rows, alarms = int(self.rows[position]), int(self.alarm_rows[position])
        psi, distance = self.compare(position)
        if rows >= ROWS_MIN:
            chance = KS_FACTOR * np.sqrt(
                1 / self._reference_rows + 1 / max(rows * self._independence, 1.0)
            )
            has_moved = bool(((psi >= PSI_MAJOR) & (distance > chance)).any())
            is_fault = alarms > ALARM_SHARE_MAX * rows
            agreeing = int(self.agreeing[position]) + 1 if has_moved and not is_fault else 0
            self.agreeing[position] = agreeing
        self.counts[position] = 0
        self.rows[position] = self.alarm_rows[position] = 0
        self.began_ns[position] = time_ns
        if rows < ROWS_MIN or self.agreeing[position] != WINDOWS_AGREEING:
            return None
        return Drift(position=position, psi=psi, distance=distance, rows=rows)


def population_stability(expected: FloatArray, observed: FloatArray) -> FloatArray:
    """Return the population stability index over the last axis; 0 for equal distributions.

    Args:
        expected: Shares that sum to 1.
        observed: Same shape.
    """
    p, q = np.maximum(observed, SHARE_MIN), np.maximum(expected, SHARE_MIN)
    index: FloatArray = ((p - q) * np.log(p / q)).sum(axis=-1)
    return index


def distribution_of(value: FloatArray) -> Distribution:
    """Return how finite values are distributed, shape (n,), at least one; bins of like share.

    A column that takes few values has fewer bins: equal edges are one.
    """
    quantiles = np.quantile(value, np.linspace(0, 1, BINS + 1)[1:-1], method="lower")
    edges = np.unique(quantiles)
    if len(edges) < BINS - 1:
        # Below the smallest of few values there is room for an edge of its own.
        edges = np.append(np.nextafter(value.min(), -np.inf), edges)
    bins = (value[:, np.newaxis] > edges).sum(axis=1)
    shares = np.bincount(bins, minlength=len(edges) + 1) / len(value)
    return Distribution(edges=tuple(edges.tolist()), shares=tuple(shares.tolist()))


def _padded(values: Sequence[float], filling: float, *, size: int = BINS - 1) -> list[float]:
    return [*values, *[filling] * (size - len(values))]
