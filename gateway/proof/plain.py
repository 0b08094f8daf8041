"""Plain ways to find anomalies, that a model must beat: short, usual, and nothing tuned.

All learn from healthy rows, shape (n, m), and judge test rows, shape (k, m); both are finite.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

SPREAD_MIN: Final = 1e-3
"""Added to every spread, so that a column that stood still does not outshout all others."""
VARIANCE_SHARE: Final = 0.9
LIMIT_SHARE: Final = 0.99
AVERAGE_ROWS: Final = 10.0
ON: Final = 3.0
"""An alarm comes on when the average is above so many limits,"""
OFF: Final = 1.0
"""and goes off when it is below so many."""
WINDOW_ROWS: Final = 20
CLUSTER_COUNT: Final = 20
WINDOWS_MAX: Final = 4_000
ROUNDS: Final = 20
GAUSSIAN_ROWS: Final = 6_400
"""The windowed Gaussian of NAB remembers so many rows."""
GAUSSIAN_ROWS_MIN: Final = 10
SURPRISE_MAX: Final = 30.0


def largest_z(healthy: FloatArray, test: FloatArray) -> FloatArray:
    """Return the largest distance of a column from its mean, in standard deviations, shape (k,)."""
    z = (test - healthy.mean(axis=0)) / (healthy.std(axis=0) + SPREAD_MIN)
    return np.asarray(np.abs(z).max(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Components:
    """Principal components of healthy rows, with the limits that few of these exceed."""

    mean: FloatArray
    spread: FloatArray
    axes: FloatArray
    """Shape (m, c)."""
    variances: FloatArray
    """Shape (c,)."""
    limits: FloatArray
    """Shape (2,): of T² and of SPE."""

    def ratios(self, rows: FloatArray) -> FloatArray:
        """Return the larger of T² and SPE, each as a multiple of its limit, shape (k,)."""
        return np.asarray((self.statistics(rows) / self.limits).max(axis=1))

    def statistics(self, rows: FloatArray) -> FloatArray:
        """Return T² and SPE, shape (k, 2)."""
        z = (rows - self.mean) / self.spread
        scores = z @ self.axes
        rest = z - scores @ self.axes.T
        return np.column_stack(
            [(scores * scores / self.variances).sum(axis=1), (rest * rest).sum(axis=1)]
        )


def fit_components(healthy: FloatArray, *, count: int | None = None) -> Components:
    """Return principal components with limits at the 99 % quantile of the healthy rows.

    Args:
        healthy: Shape (n, m), n > 1.
        count: How many; None is as many as hold 90 % of the variance.
    Source:
        Jackson and Mudholkar (1979) for the residual, with empirical limits instead.
    """
    mean, spread = healthy.mean(axis=0), healthy.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    _, sizes, axes = np.linalg.svd((healthy - mean) / spread, full_matrices=False)
    variances = sizes**2 / (len(healthy) - 1)
    explained = np.cumsum(variances) / variances.sum() if variances.any() else np.ones(1)
    kept = int(np.searchsorted(explained, VARIANCE_SHARE)) + 1 if count is None else count
    whole = Components(
        mean=mean,
        spread=spread,
        axes=axes[:kept].T,
        variances=np.maximum(variances[:kept], SPREAD_MIN**2),
        limits=np.ones(2),
    )
    limits = np.quantile(whole.statistics(healthy), LIMIT_SHARE, axis=0)
    return Components(
        mean=mean,
        spread=spread,
        axes=whole.axes,
        variances=whole.variances,
        limits=np.maximum(limits, SPREAD_MIN),
    )


def averaged(values: FloatArray, rows: float = AVERAGE_ROWS) -> FloatArray:
    """Return the exponential average over time, begun with the first value; shape (k,)."""
    average, state = np.empty(len(values)), float(values[0]) if len(values) else 0.0
    for k, value in enumerate(values.tolist()):
        state += (value - state) / rows
        average[k] = state
    return average


def with_hysteresis(values: FloatArray, *, on: float = ON, off: float = OFF) -> BoolArray:
    """Return an alarm that comes on above one limit and goes off below another; shape (k,)."""
    is_on, alarm = False, np.zeros(len(values), dtype=np.bool_)
    for k, value in enumerate(values.tolist()):
        is_on = value > (off if is_on else on)
        alarm[k] = is_on
    return alarm


def window_distance(healthy: FloatArray, test: FloatArray) -> FloatArray:
    """Return how far the last window of rows is from the nearest centre of healthy ones, (k,).

    Rows before the first whole window have the distance of that one. Columns are in standard
    deviations; the centres are found by k-means from a fixed beginning.

    Source:
        Yairi, Kato and Hori (2001), window k-means.
    """
    mean, spread = healthy.mean(axis=0), healthy.std(axis=0) + SPREAD_MIN
    rows = max(1, min(WINDOW_ROWS, len(healthy) // 2))
    known = _windows((healthy - mean) / spread, rows)
    chosen = np.linspace(0, len(known) - 1, num=min(WINDOWS_MAX, len(known))).astype(np.int64)
    centres = _centres(known[chosen])
    if len(test) < rows:
        return np.zeros(len(test))
    distance = np.sqrt(_nearest(_windows((test - mean) / spread, rows), centres)[1])
    return np.concatenate([np.full(rows - 1, distance[0]), distance])


def windowed_gaussian(values: FloatArray) -> FloatArray:
    """Return how improbable each value is after those before it, as -log10 of the tail; (k,).

    Args:
        values: One column, shape (k,). The first few values are not judged.
    Source:
        The baseline of NAB of that name, without its probation.
    """
    from math import erfc, log10, sqrt

    sums = np.cumsum(np.append(0.0, values - values[0]))
    squares = np.cumsum(np.append(0.0, (values - values[0]) ** 2))
    surprise = np.zeros(len(values))
    for k in range(GAUSSIAN_ROWS_MIN, len(values)):
        begin = max(0, k - GAUSSIAN_ROWS)
        count = k - begin
        mean = (sums[k] - sums[begin]) / count
        variance = max((squares[k] - squares[begin]) / count - mean * mean, 1e-6)
        tail = erfc(abs(values[k] - values[0] - mean) / sqrt(2 * variance))
        surprise[k] = -log10(max(tail, 10.0**-SURPRISE_MAX))
    return surprise


def _windows(rows: FloatArray, length: int) -> FloatArray:
    """Return all windows of successive rows, each in one line."""
    view = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0)
    return view.reshape(len(view), -1)


def _centres(windows: FloatArray) -> FloatArray:
    """Return k-means centres, begun with the windows that are farthest from all before."""
    centres = windows[:1]
    while len(centres) < min(CLUSTER_COUNT, len(windows)):
        farthest = int(np.argmax(_nearest(windows, centres)[1]))
        centres = np.concatenate([centres, windows[farthest : farthest + 1]])
    for _ in range(ROUNDS):
        place, _ = _nearest(windows, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, place, windows)
        counts = np.bincount(place, minlength=len(centres))[:, np.newaxis]
        centres = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
    return centres


def _nearest(
    windows: FloatArray, centres: FloatArray
) -> tuple["np.ndarray[tuple[int, ...], np.dtype[np.int64]]", FloatArray]:
    """Return the nearest centre of each window, and the square of the distance."""
    squares = (
        (windows * windows).sum(axis=1)[:, np.newaxis]
        - 2 * windows @ centres.T
        + (centres * centres).sum(axis=1)
    )
    place = squares.argmin(axis=1)
    return place, np.maximum(squares[np.arange(len(windows)), place], 0.0)
