"""Where healthy residuals lie: fits the matrix M of the score |z M|, z being a standardised row.

The residuals of a twin lie about zero, in its own standard deviations, and a difference within the
accuracy of instruments and textbook is no news, however still the machine stood while it was
recorded. With z in tolerances and S the rows' mean square about zero,

    score² = zᵀ (S + I)⁻¹ z / limit,   M = (S + I)^(-1/2) / √limit

a Mahalanobis distance to which the tolerance has been added as an independent error in each column.
What varies together on the healthy machine counts less, and nothing counts more than its tolerance.
The limit is the chi-square quantile of that many columns.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.training.graph import STEPS_MAX
from gateway.core.arrays import FloatArray

OUTLIER_SHARE: Final = 0.001
"""Share of healthy rows beyond the limits."""
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
    mixing: FloatArray
    """M, shape (m, m), not yet divided by the threshold."""

    def score(self, rows: FloatArray) -> FloatArray:
        """Return the scores of rows (n, m) before the threshold, shape (n,)."""
        steps = np.clip((rows - self.center) / self.spread, -STEPS_MAX, STEPS_MAX)
        return np.asarray(np.linalg.norm(steps @ self.mixing, axis=1), dtype=np.float64)


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
        mixing=mixing,
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
