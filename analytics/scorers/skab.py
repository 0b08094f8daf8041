"""The published measures of SKAB, the Skoltech Anomaly Benchmark: for comparison only.

They count rows, pooled over all runs, so that long alarms pay and a rule that never looks at the
data (on between 20 % and 80 % of every run) is better than everything published. Print that
rule beside them, and believe the edges (`alarms.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.scorers.alarms import AlarmRun
from gateway.core.arrays import BoolArray, FloatArray

CHANGE_WINDOW_S: Final = 60.0
"""A change may be told so long after it; only the first one that is told counts."""
FALSE_CHANGE: Final = -0.11
MISSED_CHANGE: Final = -1.0
CURVE_STEPS: Final = 1000
"""SKAB reads the worth of a change from a table of so many values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowScore:
    """Shares of rows, pooled over the runs; NaN where there is nothing to divide by."""

    f1: float
    false_percent: float
    """Of the normal rows, those in alarm (FAR)."""
    missed_percent: float
    """Of the anomalous rows, those without alarm (MAR)."""


def row_score(runs: Sequence[AlarmRun]) -> RowScore:
    """Return F1, false and missed alarms by counting rows.

    Source:
        Katser and Kozitsin (2020), "Skoltech Anomaly Benchmark", outlier detection.
    """
    truth = np.concatenate([run.truth for run in runs])
    alarm = np.concatenate([run.alarm for run in runs])
    found = int(np.count_nonzero(truth & alarm))
    wrong = int(np.count_nonzero(alarm)) - found
    missed = int(np.count_nonzero(truth)) - found
    return RowScore(
        f1=_ratio(2 * found, 2 * found + wrong + missed),
        false_percent=100 * _ratio(wrong, int(np.count_nonzero(~truth))),
        missed_percent=100 * _ratio(missed, found + missed),
    )


def change_score(
    runs: Sequence[AlarmRun],
    changes: Sequence[BoolArray],
    *,
    false_change: float = FALSE_CHANGE,
    missed_change: float = MISSED_CHANGE,
) -> float:
    """Return the NAB-like score of changes: 0 for silence, 100 for telling each one at once.

    The alarm tells a change whenever it switches on or off. What is told in the window after a
    true change is worth from 1, at once, down to a false change, at the window's end, along a
    hyperbolic tangent. Where two windows overlap, the later one begins where the earlier ends.

    Args:
        runs: Alarms and times.
        changes: For each run, shape (n,), true at the rows of true changes.
        false_change: Worth of a change told outside of all windows.
        missed_change: Worth of a window in which nothing is told.
    Returns:
        The score; NaN when there is no true change.
    Source:
        Katser and Kozitsin (2020), change-point detection; after Lavin and Ahmad (2015).
    """
    depths: list[float] = []
    false_count = missed_count = 0
    for run, change in zip(runs, changes, strict=True):
        told_s = run.time_s[np.flatnonzero(np.diff(run.alarm, prepend=np.False_))]
        is_outside = np.ones(len(told_s), dtype=np.bool_)
        closed_s = -np.inf
        for start_s in run.time_s[change].tolist():
            left, right = max(start_s, closed_s), start_s + CHANGE_WINDOW_S
            closed_s = right
            inside = (left <= told_s) & (told_s <= right)
            is_outside &= ~inside
            if inside.any():
                depths.append(float(told_s[inside][0] - left) / (right - left))
            else:
                missed_count += 1
        false_count += int(np.count_nonzero(is_outside))
    count = len(depths) + missed_count
    worth = _worth(np.array(depths), false_change).sum()
    worth += false_count * false_change + missed_count * missed_change
    silence = count * missed_change
    return 100 * float((worth - silence) / (count - silence)) if count else np.nan


def _worth(depth: FloatArray, lowest: float) -> FloatArray:
    """Return what a change is worth at a depth 0..1 of its window: 1 down to the lowest."""
    place = np.minimum((depth * CURVE_STEPS).astype(np.int64), CURVE_STEPS - 1)
    angle = np.pi * (place / (CURVE_STEPS - 1) - 0.5)
    share = 0.5 - 0.5 * np.tanh(angle) / np.tanh(np.pi / 2)
    return np.asarray(lowest + (1 - lowest) * share)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else np.nan
