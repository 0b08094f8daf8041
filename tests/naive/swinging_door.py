"""Swinging door trending as a plain loop over one series, and the error that it leaves."""

import math
from collections.abc import Sequence

RUN_SAMPLES_MAX = 256

Sample = tuple[int, float, int, bool]
"""Time in ns, value, status, whether it is fixed."""


def kept(samples: Sequence[Sample], error: float) -> list[bool]:
    """Return which samples of one series are kept."""
    marks = [False] * len(samples)
    for first, last in runs(samples):
        start = first
        while True:
            end = min(start + RUN_SAMPLES_MAX - 1, last)
            _mark(samples, start, end, error * (1 - 1e-9), marks)
            if end == last:
                break
            start = end
    return marks


def runs(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """Return first and last place of each stretch that lines may be drawn in."""
    found: list[tuple[int, int]] = []
    for place, sample in enumerate(samples):
        if place and _may_follow(samples[place - 1], sample):
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found


def largest_error(samples: Sequence[Sample], marks: Sequence[bool]) -> float:
    """Return by how much a line between kept neighbours misses a removed sample at the most."""
    worst = 0.0
    for first, last in runs(samples):
        assert marks[first]
        assert marks[last]
        for place in range(first, last + 1):
            before = max(other for other in range(first, place + 1) if marks[other])
            after = min(other for other in range(place, last + 1) if marks[other])
            if before == after:
                continue
            (t0, v0), (t1, v1) = samples[before][:2], samples[after][:2]
            line = v0 + (v1 - v0) * ((samples[place][0] - t0) / (t1 - t0))
            worst = max(worst, abs(line - samples[place][1]))
    return worst


def _may_follow(one: Sample, other: Sample) -> bool:
    is_plain = all(abs(value) < 1e300 and not fixed for _, value, _, fixed in (one, other))
    return is_plain and 0 < other[0] - one[0] <= 1 << 53 and one[2] == other[2]


def _mark(
    samples: Sequence[Sample], first: int, last: int, error: float, marks: list[bool]
) -> None:
    marks[first] = marks[last] = True
    pivot, low, high = first, -math.inf, math.inf
    for place in range(first + 1, last + 1):
        slope = _slope(samples, pivot, place, 0.0)
        if not low <= slope <= high:
            pivot, low, high = place - 1, -math.inf, math.inf
            marks[pivot] = True
        low = max(low, _slope(samples, pivot, place, -error))
        high = min(high, _slope(samples, pivot, place, error))


def _slope(samples: Sequence[Sample], pivot: int, place: int, shift: float) -> float:
    rise = samples[place][1] - samples[pivot][1] + shift
    return rise / (samples[place][0] - samples[pivot][0])
