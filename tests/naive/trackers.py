"""The univariate trackers as plain loops over one tag, written from their formulas."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


def ewma_chart(steps: Sequence[float], *, rows: float) -> list[float]:
    """Moving average over the standard deviation it has once it has settled."""
    weight, average, out = 1 / rows, 0.0, []
    for step in steps:
        average = (1 - weight) * average + weight * step
        out.append(abs(average) / math.sqrt(weight / (2 - weight)))
    return out


def cusum(steps: Sequence[float], *, slack: float, bound: float) -> list[float]:
    """The larger of the sums upwards and downwards."""
    up = down = 0.0
    out = []
    for step in steps:
        up = min(max(0.0, up + step - slack), bound)
        down = min(max(0.0, down - step - slack), bound)
        out.append(max(up, down))
    return out


def page_hinkley(steps: Sequence[float], *, slack: float, bound: float, rows: float) -> list[float]:
    """As the cumulative sum, against the moving mean of the rows before."""
    up = down = mean = 0.0
    out = []
    for step in steps:
        up = min(max(0.0, up + (step - mean) - slack), bound)
        down = min(max(0.0, down - (step - mean) - slack), bound)
        out.append(max(up, down))
        mean += (step - mean) / rows
    return out


def robust_limits(
    steps: Sequence[float], *, rows: float, mad: float, spread_min: float
) -> list[float]:
    """Distance from a running median in a running deviation; both move by signs."""
    median, spread, out = 0.0, 1.0, []
    for step in steps:
        missed = step - median
        distance = abs(missed) / spread
        out.append(distance)
        if missed:
            median += math.copysign(spread / rows, missed)
        if distance != mad:
            spread *= 1 + math.copysign(1 / rows, distance - mad)
        spread = max(spread, spread_min)
    return out


@dataclass
class Memory:
    """The distance of a row to what was seen, one tag."""

    level: float
    spread: tuple[float, float, float]
    point_count: int
    fast: float = 0.0
    slow: float = 0.0
    dispersion: float = 1.0
    points: list[tuple[list[float], int]] = field(default_factory=list)
    row: int = 0

    def __post_init__(self) -> None:
        """Know the tag standing still at its level."""
        self.points.append(([0.0, 0.0, 0.0, 2.0 * math.log(1.1)], 0))

    def update(self, value: float) -> float:
        """Return the distance and learn the row."""
        self.row += 1
        bound = 300.0 * max(self.spread)
        offset = min(max(value - self.level, -bound), bound)
        self.fast += (offset - self.fast) / 10
        self.slow += (offset - self.slow) / 100
        raw = (offset - self.fast, self.fast - self.slow, self.slow)
        bands = [band / spread for band, spread in zip(raw, self.spread, strict=True)]
        self.dispersion += (abs(bands[0]) - self.dispersion) / 10
        here = [*bands, 2.0 * math.log(self.dispersion + 0.1)]
        distances = [math.dist(here, point) for point, _ in self.points]
        nearest = min(range(len(distances)), key=lambda k: distances[k])
        if distances[nearest] > 1.0:
            if len(self.points) == self.point_count:
                oldest = min(range(len(self.points)), key=lambda k: self.points[k][1])
                self.points.pop(oldest)
            self.points.append((here, self.row))
        else:
            self.points[nearest] = (self.points[nearest][0], self.row)
        return distances[nearest]


def novelties(distances: Sequence[float], *, log_limit: float, rate: float) -> list[float]:
    """Distance over the running limit, for a limit that never falls below 0.3."""
    least = math.log(0.3)
    limit, out = max(log_limit, least), []
    for distance in distances:
        excess = 0.5 * math.log(distance**2 + 1e-6) - limit
        out.append(math.exp(excess))
        limit = max(least, limit + 0.02 * ((1 - rate) if excess > 0 else -rate))
    return out


def events(novelty: Sequence[float]) -> list[bool]:
    """Which rows begin an event, or make it worse by a third; e in 100 rows is forgotten."""
    asked, out = -math.inf, []
    for value in novelty:
        asked -= 1 / 100
        out.append(math.log(value) > asked)
        if out[-1]:
            asked = math.log(value) + math.log(4 / 3)
    return out


def level_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Median, and median distance from it as a standard deviation, at least half of the usual."""
    level = statistics.median(values)
    deviation = statistics.median(abs(value - level) for value in values) / 0.6745
    return level, max(deviation, 0.5 * statistics.pstdev(values))
