"""Level and spread that follow, number by number."""

import math


def followed(
    values: list[float], *, level: float, spread: float, calm: list[bool], follow_rows: float
) -> list[float]:
    """Each value in present spreads; NaN where it is not finite."""
    present_level, present_spread = level, spread
    result: list[float] = []
    for value, is_calm in zip(values, calm, strict=True):
        if not math.isfinite(value):
            result.append(math.nan)
            continue
        z = (value - present_level) / present_spread
        result.append(z)
        rate = (1.0 if is_calm else 0.1) / follow_rows
        if z > 0:
            present_level += rate * present_spread
        elif z < 0:
            present_level -= rate * present_spread
        if abs(z) > 0.6745:
            present_spread *= math.exp(rate)
        elif abs(z) < 0.6745:
            present_spread *= math.exp(-rate)
        present_spread = min(max(present_spread, spread), 100.0 * spread)
    return result
