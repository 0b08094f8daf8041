"""The combined index of principal components, one row at a time, from its definition."""

import math
from collections.abc import Sequence


def combined_index(
    row: Sequence[float],
    *,
    center: Sequence[float],
    spread: Sequence[float],
    components: Sequence[Sequence[float]],
    variance: Sequence[float],
    along_limit: float,
    off_limit: float,
) -> float:
    """sqrt(T2 / limit + SPE / limit), Yue and Qin (2001), equation 8."""
    steps = [(x - c) / s for x, c, s in zip(row, center, spread, strict=True)]
    scores = [sum(z * p for z, p in zip(steps, axis, strict=True)) for axis in components]
    t_squared = sum(t * t / v for t, v in zip(scores, variance, strict=True))
    spe = 0.0
    for k, z in enumerate(steps):
        rebuilt = sum(t * axis[k] for t, axis in zip(scores, components, strict=True))
        spe += (z - rebuilt) ** 2
    return math.sqrt(t_squared / along_limit + spe / off_limit)
