"""The plain way to foresee remaining life, that a model must beat: boosting on window statistics.

Columns are normalised for each operating condition; the last 30 rows of a machine give their mean,
spread and slope, and the mean of the newest five; with the machine's age, gradient boosting
does the rest, with usual settings.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray

WINDOW_ROWS: Final = 30
NEWEST_ROWS: Final = 5
TREES: Final = 150
TREE_DEPTH: Final = 4
ROW_SHARE: Final = 0.3
"""Each tree sees so many of the rows, and few of the columns: faster, and no worse."""
SPREAD_MIN: Final = 1e-6


def plain_remaining_life(
    runs: Sequence[FloatArray],
    tests: Sequence[FloatArray],
    *,
    condition_columns: int,
    cap: float,
) -> FloatArray:
    """Return the remaining life at the last row of each test machine, in rows.

    Args:
        runs: One machine to failure each, shape (n, m), at least `WINDOW_ROWS`
            long; shorter ones are left out.
        tests: As the runs, but ended before the failure; two rows or more each.
        condition_columns: So many columns at the beginning tell the operating condition; rounded
            to whole numbers they are the same in the same condition.
        cap: Longer lives are learnt as this.
    """
    from sklearn.ensemble import GradientBoostingRegressor  # heavy

    normal = _Normal(np.concatenate(runs), condition_columns)
    features, lives = [], []
    for run in runs:
        z = normal(run)
        for end in range(WINDOW_ROWS, len(run) + 1):
            features.append(_statistics(z[:end]))
            lives.append(min(cap, len(run) - end))
    regressor = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=TREE_DEPTH,
        subsample=ROW_SHARE,
        max_features="sqrt",
        random_state=0,
    )
    regressor.fit(np.array(features), np.array(lives))
    last = np.array([_statistics(normal(test)) for test in tests])
    return np.clip(np.asarray(regressor.predict(last), dtype=np.float64), 0.0, cap)


class _Normal:
    """Mean and spread of the other columns in each operating condition."""

    def __init__(self, rows: FloatArray, condition_columns: int) -> None:
        self._count = condition_columns
        keys = self._keys(rows)
        values = rows[:, condition_columns:]
        self._mean = {key: values[keys == key].mean(axis=0) for key in set(keys)}
        self._spread = {key: values[keys == key].std(axis=0) for key in set(keys)}

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Return the columns in standard deviations; those that stand still are 0."""
        z = np.zeros((len(rows), rows.shape[1] - self._count))
        for k, key in enumerate(self._keys(rows)):
            spread = self._spread[key]
            distance = rows[k, self._count :] - self._mean[key]
            z[k] = np.divide(
                distance, spread, out=np.zeros_like(distance), where=spread > SPREAD_MIN
            )
        return z

    def _keys(self, rows: FloatArray) -> "np.ndarray[tuple[int, ...], np.dtype[np.str_]]":
        # Adding zero makes a minus zero a zero.
        rounded = np.rint(rows[:, : self._count]) + 0.0
        return np.array([" ".join(f"{cell:g}" for cell in row) for row in rounded])


def _statistics(rows: FloatArray) -> FloatArray:
    """Return what is learnt from: of a machine's rows until now, at least two."""
    window = rows[-WINDOW_ROWS:]
    steps = np.arange(len(window)) - (len(window) - 1) / 2
    slope = steps @ window / (steps @ steps)
    newest = window[-NEWEST_ROWS:].mean(axis=0)
    return np.concatenate([window.mean(axis=0), window.std(axis=0), slope, newest, [len(rows)]])
