"""Regression and a first-order lag as plain loops: the oracles of `twins.estimator`."""

import numpy as np

from gateway.core.arrays import FloatArray


def ridge(
    terms: FloatArray, target: FloatArray, prior: FloatArray, spread: FloatArray, noise: float
) -> FloatArray:
    """Return the maximum a posteriori parameters by the normal equations, all rows at once."""
    precision = np.diag(1.0 / spread**2)
    moment = precision @ prior
    for phi, y in zip(terms, target, strict=True):
        precision = precision + np.outer(phi, phi) / noise**2
        moment = moment + phi * y / noise**2
    return np.asarray(np.linalg.solve(precision, moment))


def lagged(values: list[float], *, start: float, step_s: float, lag_s: float) -> list[float]:
    """Return a first-order lag's answer by a hundred small explicit steps in each interval."""
    answer, now, fine = [], start, 100
    for value in values:
        for _ in range(fine):
            now += (value - now) * step_s / fine / lag_s
        answer.append(now)
    return answer
