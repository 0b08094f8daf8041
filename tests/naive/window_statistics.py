"""Window statistics from the whole past of one asset, a sum for each."""

from math import exp


def statistics(
    times: list[float], rows: list[list[float]], *, windows: list[float], period: float
) -> list[float]:
    """Return age, averages and their differences after the last row."""
    averages = [
        [
            _average(times, [row[column] for row in rows], window=window, period=period)
            for column in range(len(rows[0]))
        ]
        for window in windows
    ]
    found = [(times[-1] - times[0]) / windows[-1]]
    for average in averages:
        found += average
    for a in range(len(windows)):
        for b in range(a + 1, len(windows)):
            found += [x - y for x, y in zip(averages[a], averages[b], strict=True)]
    return found


def _average(times: list[float], values: list[float], *, window: float, period: float) -> float:
    """Return the mean of the values, each weighted by the time it stands for, which fades."""
    total = weights = 0.0
    before = times[0] - period
    for time, value in zip(times, values, strict=True):
        weight = (1 - exp(-(time - before) / window)) * exp(-(times[-1] - time) / window)
        total += weight * value
        weights += weight
        before = time
    return total / weights
