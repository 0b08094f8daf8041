"""Scores of alarms as an operator sees them: their edges, and how late they come.

An alarm is one value a row, true while it is on. What counts is the row at which it comes on: the
first such edge inside a labelled segment is a hit, more edges in that segment are neutral, an edge
outside of all segments is false, and a segment without an edge is missed, even when the alarm was
on before. So an alarm that is always on finds nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray

SECONDS_PER_HOUR: Final = 3600.0

RowArray: TypeAlias = NDArray[np.int64]
"""Positions of rows in a run."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlarmRun:
    """One recording: where a fault is labelled, and where the alarm was on."""

    truth: BoolArray
    """Shape (n,)."""
    alarm: BoolArray
    """Shape (n,)."""
    time_s: FloatArray
    """Shape (n,), not falling; from any beginning."""
    row_s: float = 1.0
    """How long one row lasts."""

    def __post_init__(self) -> None:
        """Check that all three speak of the same rows."""
        shapes = (self.truth.shape, self.alarm.shape, self.time_s.shape)
        if len(set(shapes)) != 1 or self.truth.ndim != 1:
            raise ValueError(f"labels, alarms and times have the shapes {shapes}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeScore:
    """How many alarms were right, how many false, and how late they came."""

    hit_count: int
    segment_count: int
    false_count: int
    """Edges outside of all segments."""
    normal_h: float
    """Time without a labelled fault."""
    delays_s: FloatArray
    """For each segment, from its beginning to its first edge; its whole length for a miss."""

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall of the edges; NaN with nothing to count."""
        counted = self.hit_count + self.false_count + self.segment_count
        return 2 * self.hit_count / counted if counted else np.nan

    @property
    def false_per_h(self) -> float:
        """False edges in an hour of normal time; NaN where there is no normal time."""
        return self.false_count / self.normal_h if self.normal_h else np.nan

    def delay_s(self, share: float) -> float:
        """Return the delay that this share of the segments does not exceed; NaN without any."""
        return float(np.quantile(self.delays_s, share)) if len(self.delays_s) else np.nan


def segments(mask: BoolArray) -> RowArray:
    """Return the runs of true rows, shape (k, 2): first row, and the row after the last."""
    steps = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return steps.reshape(-1, 2).astype(np.int64)


def rising_edges(alarm: BoolArray) -> BoolArray:
    """Return where the alarm comes on, shape (n,); one that is on in the first row does there."""
    before = np.zeros_like(alarm)
    before[1:] = alarm[:-1]
    return alarm & ~before


def edge_score(runs: Sequence[AlarmRun]) -> EdgeScore:
    """Return hits, false edges and delays, pooled over the runs.

    Args:
        runs: Any number, each with any number of labelled segments, also none.
    """
    hits = falses = 0
    normal_s = 0.0
    delays: list[float] = []
    for run in runs:
        spans = segments(run.truth)
        at = np.flatnonzero(rising_edges(run.alarm))
        # The last segment that begins at or before an edge; -1 before the first one.
        nearest = np.searchsorted(spans[:, 0], at, side="right") - 1
        is_inside = run.truth[at]
        found, first = np.unique(nearest[is_inside], return_index=True)
        first_edge = dict(zip(found.tolist(), at[is_inside][first].tolist(), strict=True))
        hits += len(found)
        falses += int(np.count_nonzero(~is_inside))
        normal_s += float(np.count_nonzero(~run.truth)) * run.row_s
        for k, (start, stop) in enumerate(spans.tolist()):
            missed_s = run.time_s[stop - 1] + run.row_s
            end_s = run.time_s[first_edge[k]] if k in first_edge else missed_s
            delays.append(float(end_s - run.time_s[start]))
    return EdgeScore(
        hit_count=hits,
        segment_count=len(delays),
        false_count=falses,
        normal_h=normal_s / SECONDS_PER_HOUR,
        delays_s=np.array(delays),
    )
