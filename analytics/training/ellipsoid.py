"""Where healthy rows lie: fits the matrix M of the score |z M|, z being a standardised row.

Two ways, for two kinds of columns:

*Nothing is known beforehand* (a recording as it is). Signals are tied together by physics, so rows
lie near a plane. M measures the distance along it (T²) and off it (SPE), both over their own usual
size, in one figure (Yue and Qin 2001, eq. 8):

    score² = T² / limit + SPE / limit = |z M|²,   M = P diag(1/√(λ limit)) Pᵀ + (I - P Pᵀ)/√limit

with z in robust standard deviations from the median.

*A tolerance is known* (residuals of a twin, in its own standard deviations). Such columns lie about
zero, and a difference within the accuracy of instruments and textbook is no news, however still the
machine stood while it was recorded. With z in tolerances and S the rows' mean square about zero,

    score² = zᵀ (S + I)⁻¹ z / limit,   M = (S + I)^(-1/2) / √limit

a Mahalanobis distance to which the tolerance has been added as an independent error in each column.
What varies together on the healthy machine counts less, and nothing counts more than its tolerance.
The limit is the chi-square quantile of that many columns.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.training.graph import STEPS_MAX
from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.errors import ModelError

OUTLIER_SHARE: Final = 0.001
"""Share of healthy rows beyond the limits."""
VARIANCE_SHARE: Final = 0.99
"""Of the variance that the plane must explain. Directions on it are each measured by their own
spread, those off it all by one; with less, a broken tie between two signals that hang closely
together would be small beside the noise of looser ones."""
OUTLIER_STEPS: Final = 10.0
"""Rows further off, in spreads, are cut for the fit: one wrong reading must not turn the plane."""
SPREAD_SHARE_MIN: Final = 1e-5
"""A column that varies less than this part of its own size cannot be told apart in float32."""
RESIDUAL_MIN: Final = 0.01
"""Off the plane, in standard deviations; less is rounding, not physics."""
TOLERANCES_MAX: Final = 5.0
"""A single row of a recording counts for no more: a start in the midst of it must not make the
model blind."""
_NORMAL_QUANTILE: Final = 3.0902
"""Of a standard normal distribution, exceeded with `OUTLIER_SHARE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """The fitted model, in double precision."""

    center: FloatArray
    spread: FloatArray
    """1 for the columns that do not vary."""
    varies: BoolArray
    mixing: FloatArray
    """M, shape (m, m), not yet divided by the threshold; 0 for columns that do not vary."""
    component_count: int
    """Directions that count one by one; the others count as one."""

    def score(self, rows: FloatArray) -> FloatArray:
        """Return the scores of rows (n, m) before the threshold, shape (n,)."""
        steps = np.clip((rows - self.center) / self.spread, -STEPS_MAX, STEPS_MAX)
        return np.asarray(np.linalg.norm(steps @ self.mixing, axis=1), dtype=np.float64)


def fit_plane(rows: FloatArray) -> Ellipsoid:
    """Return the model of rows (n, m) of which nothing is known beforehand.

    Raises:
        ModelError: no column varies.
    Source:
        Yue and Qin (2001), "Reconstruction-Based Fault Identification Using a Combined Index". We
        scale by median and quartiles, and take the limits from the rows.
    """
    # Heavy: imported when a training begins.
    from sklearn.decomposition import PCA

    center = np.median(rows, axis=0)
    spread = _spread(rows)
    varies = spread > SPREAD_SHARE_MIN * np.maximum(np.abs(center), np.finfo(np.float32).tiny)
    if not varies.any():
        raise ModelError(
            "no column of the healthy rows varies: is it a recording of a running machine?"
        )
    spread = np.where(varies, spread, 1.0)
    steps = np.clip((rows - center) / spread, -OUTLIER_STEPS, OUTLIER_STEPS)[:, varies]
    # PCA takes the mean away; about the median instead, so that training and graph agree.
    pca = PCA(n_components=VARIANCE_SHARE, svd_solver="full").fit(steps)
    components, variance = pca.components_, pca.explained_variance_
    along = steps @ components.T
    off = steps - along @ components
    along_limit = np.quantile(np.sum(along**2 / variance, axis=1), 1 - OUTLIER_SHARE)
    off_limit = max(
        np.quantile(np.sum(off**2, axis=1), 1 - OUTLIER_SHARE), varies.sum() * RESIDUAL_MIN**2
    )
    on_plane = components.T @ np.diag(1 / np.sqrt(variance * along_limit)) @ components
    off_plane = (np.eye(varies.sum()) - components.T @ components) / np.sqrt(off_limit)
    mixing = np.zeros((rows.shape[1], rows.shape[1]))
    mixing[np.ix_(varies, varies)] = on_plane + off_plane
    return Ellipsoid(
        center=center,
        spread=spread,
        varies=varies,
        mixing=mixing,
        component_count=len(components),
    )


def fit_about_zero(rows: FloatArray, *, tolerance: float) -> Ellipsoid:
    """Return the model of rows (n, m) that should be zero within a tolerance.

    Args:
        rows: Differences from what was expected.
        tolerance: Standard deviation that every column has at the least; above 0.
    Source:
        Mahalanobis (1936); the tolerance as an error of its own: Tipping and Bishop (1999),
        "Probabilistic Principal Component Analysis", with the noise known instead of estimated.
    """
    assert tolerance > 0.0, tolerance
    count = rows.shape[1]
    steps = np.clip(rows / tolerance, -TOLERANCES_MAX, TOLERANCES_MAX)
    variance, directions = np.linalg.eigh(steps.T @ steps / len(steps) + np.eye(count))
    limit = chi_square_limit(count)
    mixing = directions @ np.diag(1 / np.sqrt(variance * limit)) @ directions.T
    return Ellipsoid(
        center=np.zeros(count),
        spread=np.full(count, tolerance),
        varies=np.ones(count, dtype=np.bool_),
        mixing=mixing,
        component_count=count,
    )


def chi_square_limit(count: int) -> float:
    """Return what a sum of squares of normal numbers exceeds with `OUTLIER_SHARE`.

    Args:
        count: Numbers in the sum, at least 1; the error is below 4 %.
    Source:
        Wilson and Hilferty (1931), "The Distribution of Chi-Square".
    """
    part = 2 / (9 * count)
    return float(count * (1 - part + _NORMAL_QUANTILE * np.sqrt(part)) ** 3)


def _spread(rows: FloatArray) -> FloatArray:
    """Return the standard deviation of each column as its bulk or its tails show it, the larger.

    The quartiles of a normal distribution are 1.349 standard deviations apart, the outermost
    half per cents 5.152. A column that is quiet in one operating point and jumps to another has
    wide tails; measured by its quartiles alone, the jumps would be the only thing the model sees.
    """
    tail_low, low, high, tail_high = np.quantile(rows, [0.005, 0.25, 0.75, 0.995], axis=0)
    spread: FloatArray = np.maximum((high - low) / 1.349, (tail_high - tail_low) / 5.152)
    return spread
