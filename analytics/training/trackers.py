"""Fits the univariate detector and the charts to healthy rows: levels, spreads, limits, memory."""

from typing import Final

import numpy as np

from analytics.anomaly.charts import (
    Chart,
    ChartModel,
    CusumChart,
    EwmaChart,
    PageHinkleyChart,
    RobustLimits,
)
from analytics.anomaly.memory import (
    BANDS,
    FAST_ROWS,
    SLOW_ROWS,
    MemoryModel,
    NoveltyMemory,
    empty_memory,
)
from analytics.anomaly.trackers import DISTANCE_FLOOR, LOG_LIMIT_MIN, TrackerModel
from gateway.core.arrays import BoolArray, FloatArray, frozen

ROWS_MIN: Final = 30
"""Fewer rows say nothing of a column's spread."""
ROWS_MAX: Final = 100_000
"""Of a longer recording the last rows are taken."""
POINT_COUNT: Final = 512
"""Points that the memory of one tag holds: 24 kB."""
NOVEL_RATE: Final = 0.005
"""Share of the rows that may be novel, before the event gate thins them."""
SPREAD_SHARE_MIN: Final = 0.05
"""A band's spread is at least this share of the column's standard deviation."""
RESOLUTION: Final = 1e-9
"""No column is known better than this share of its level: what is less is rounding."""
VALUE_MAX: Final = 1e100
"""Values are cut here, so that their squares are finite."""
STILL_SHARE: Final = 1e-3
"""A column that stood still is taken to be known to this share of its level, as a sensor is."""
CHART_RATE: Final = 0.001
"""Share of the training rows above a chart's limit."""
_SETTLING_ROWS: Final = 20
"""Distances of the first rows are those of an empty memory."""
_LEAST: Final = 1e-12
_LIMITS_MIN: Final[dict[type[Chart], float]] = {
    # Textbook limits for independent values: Montgomery 9.1.2, 9.2; Hampel's three with a margin.
    EwmaChart: 3.0,
    CusumChart: 5.0,
    PageHinkleyChart: 5.0,
    RobustLimits: 3.5 / 0.6745,
}


def fit_trackers(
    values: FloatArray,
    usable: BoolArray,
    *,
    point_count: int = POINT_COUNT,
    rate: float = NOVEL_RATE,
) -> TrackerModel:
    """Return what the univariate detector begins with.

    Args:
        values: Healthy rows of one asset in the order of time, shape (rows, m).
        usable: Which values count, shape (rows, m); those are finite.
        point_count: Points of the memory of each column.
        rate: Share of the rows that may be novel.
    Raises:
        ValueError: a column has fewer than `ROWS_MIN` usable rows.
    """
    values, usable = _checked(values, usable)
    level, spread = _band_spreads(values, usable)
    memory = NoveltyMemory(empty_memory(level, spread, point_count=point_count), asset_count=1)
    logs = np.full(values.shape, np.nan)
    for k, (row, counts) in enumerate(zip(values, usable, strict=True)):
        squared = memory.update(row, counts)
        logs[k] = np.where(counts, 0.5 * np.log(squared + DISTANCE_FLOOR**2), np.nan)
    settled = logs[_SETTLING_ROWS:]
    log_limit = np.maximum(np.nanquantile(settled, 1 - rate, axis=0), LOG_LIMIT_MIN)
    # Of many tags one is always a little unusual: the rate is to be that of the asset.
    largest = np.where(np.isnan(settled), -np.inf, settled - log_limit).max(axis=1, initial=-np.inf)
    margin = float(np.exp(np.quantile(largest, 1 - rate, method="higher")))
    points, last_met = memory.seen()
    return TrackerModel(
        memory=MemoryModel(
            level=frozen(level),
            spread=frozen(spread),
            points=frozen(points),
            last_met=frozen(last_met),
        ),
        log_limit=frozen(log_limit),
        rate=rate,
        tag_margin=max(1.0, margin) if values.shape[1] > 1 else 1.0,
    )


def fit_chart(
    kind: type[Chart], values: FloatArray, usable: BoolArray, *, rate: float = CHART_RATE
) -> ChartModel:
    """Return level, spread and limit of a chart.

    The limit is what the stated share of the training's own statistics exceeds, as they come, with
    all the memory that the values have; never below the textbook's for independent values.

    Args:
        kind: Which chart.
        values: Healthy rows of one asset in the order of time, shape (rows, m).
        usable: Which values count, shape (rows, m); those are finite.
        rate: Share of the rows above the limit.
    Raises:
        ValueError: a column has fewer than `ROWS_MIN` usable rows.
    """
    values, usable = _checked(values, usable)
    known = np.where(usable, values, np.nan)
    level = np.nanmedian(known, axis=0)
    deviation = np.nanmedian(np.abs(known - level), axis=0) / 0.6745
    spread = np.maximum(deviation, 0.5 * np.nanstd(known, axis=0))
    spread = np.where(spread > RESOLUTION * np.abs(level) + _LEAST, spread, 0.0)
    least = np.full(len(level), _LIMITS_MIN[kind])
    # Wide enough that the bound on the sums cannot hide the quantile.
    trial = kind(ChartModel(level=level, spread=spread, limit=1e6 * least), asset_count=1)
    surprises = np.stack(
        [
            trial.update(row[np.newaxis], counts[np.newaxis])[0]
            for row, counts in _rows(values, usable)
        ]
    )
    statistic = surprises * (1e6 * least)
    limit = np.maximum(np.nanquantile(statistic, 1 - rate, axis=0), least)
    return ChartModel(level=frozen(level), spread=frozen(spread), limit=frozen(limit))


def _rows(values: FloatArray, usable: BoolArray) -> list[tuple[FloatArray, BoolArray]]:
    return list(zip(values, usable, strict=True))


def _checked(values: FloatArray, usable: BoolArray) -> tuple[FloatArray, BoolArray]:
    counts = usable[-ROWS_MAX:].sum(axis=0)
    if len(counts) and counts.min() < ROWS_MIN:
        raise ValueError(
            f"column {int(counts.argmin())} has {int(counts.min())} usable rows; at least "
            f"{ROWS_MIN} are needed to know its spread"
        )
    return np.clip(values[-ROWS_MAX:], -VALUE_MAX, VALUE_MAX), usable[-ROWS_MAX:]


def _band_spreads(values: FloatArray, usable: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the level (m,) and the spread of each band (m, BANDS).

    The spread is the mean distance from the band's median, as a standard deviation: less at the
    mercy of a few spikes than that is, and not 0 where half of the values are equal.
    """
    known = np.where(usable, values, np.nan)
    level = np.nanmedian(known, axis=0)
    bands = np.full((len(values), BANDS, values.shape[1]), np.nan)
    averages = np.zeros((2, values.shape[1]))
    weights = np.array([[1 / FAST_ROWS], [1 / SLOW_ROWS]])
    for k, (row, counts) in enumerate(zip(values, usable, strict=True)):
        offset = np.where(counts, row, level) - level
        averages += weights * counts * (offset - averages)
        band = np.stack([offset - averages[0], averages[0] - averages[1], averages[1]])
        bands[k] = np.where(counts, band, np.nan)
    distance = np.nanmean(np.abs(bands - np.nanmedian(bands, axis=0)), axis=0)
    deviation = np.nanstd(known, axis=0)
    resolution = np.where(deviation > RESOLUTION * np.abs(level), RESOLUTION, STILL_SHARE)
    least = SPREAD_SHARE_MIN * deviation + resolution * np.abs(level) + _LEAST
    return level, np.maximum(1.25 * distance, least).T
