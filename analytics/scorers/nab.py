"""The score of NAB, the Numenta Anomaly Benchmark, over its whole corpus.

An alarm in a labelled window is worth the more the earlier it comes, and only the best one of a
window counts; an alarm outside costs the more the farther it is past a window; a window without
an alarm costs a miss. The first rows of each file count for nothing. The published figures cut all
scores at the threshold that is best on this very corpus; a threshold that was fixed beforehand is
the honest one. For one file alone the score says nothing: chance reaches 75 on some.

Source:
    Lavin and Ahmad (2015), "Evaluating Real-time Anomaly Detection Algorithms", section III.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray, TimeArray

PROBATION_SHARE: Final = 0.15
PROBATION_ROWS_MAX: Final = 750
FAR_PAST: Final = 3.0
"""So many window lengths past a window, an alarm costs all that it can."""

WindowArray: TypeAlias = NDArray[np.int64]
"""The labelled window that a row lies in; -1 outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an application pays, where a timely hit is worth 1."""

    name: str
    false_alarm: float
    """Of a false alarm far from any window."""
    miss: float


PROFILES: Final = (
    Profile(name="standard", false_alarm=0.11, miss=1.0),
    Profile(name="reward_low_FP_rate", false_alarm=0.22, miss=1.0),
    Profile(name="reward_low_FN_rate", false_alarm=0.11, miss=2.0),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileTruth:
    """What an alarm is worth at each row of one file."""

    worth: FloatArray
    """Shape (n,): 0..1 in a window, -1..0 outside; before a profile's cost."""
    window: WindowArray
    """Shape (n,), windows of this file counted from 0."""
    window_count: int

    @property
    def probation_rows(self) -> int:
        """How many rows at the beginning count for nothing."""
        return probation_rows(len(self.worth))


def probation_rows(row_count: int) -> int:
    """Return how many rows at the beginning of a file are there to learn from."""
    return min(int(PROBATION_SHARE * row_count), PROBATION_ROWS_MAX)


def file_truth(time_us: TimeArray, windows: Sequence[tuple[int, int]]) -> FileTruth:
    """Return what alarms are worth in a file.

    Args:
        time_us: Shape (n,), not falling.
        windows: First and last time of each window, both inside, in order and apart; one without
            any row is left out.
    """
    rows = np.arange(len(time_us))
    inside = [(time_us >= first) & (time_us <= last) for first, last in windows]
    spans = [(int(rows[mask][0]), int(rows[mask][-1])) for mask in inside if mask.any()]
    window = np.full(len(rows), -1, dtype=np.int64)
    worth = np.full(len(rows), -1.0)
    at_once = float(_fall(np.array([-1.0]))[0])
    for number, (left, right) in enumerate(spans):
        length = right - left + 1
        past = rows[right + 1 :] - right
        worth[right + 1 :] = _fall(past / max(length - 1, 1))
        worth[left : right + 1] = _fall((rows[left : right + 1] - right - 1) / length) / at_once
        window[left : right + 1] = number
    return FileTruth(worth=worth, window=window, window_count=len(spans))


class Corpus:
    """All files as one long row of alarms; the windows of all files are numbered through."""

    def __init__(self, files: Sequence[FileTruth]) -> None:
        """Join the files, in the order in which scores will come."""
        self._sizes = [len(file.worth) for file in files]
        self._worth = np.concatenate([file.worth for file in files])
        firsts = np.cumsum([0, *(file.window_count for file in files)])
        self._window = np.concatenate(
            [
                np.where(file.window < 0, -1, file.window + first)
                for file, first in zip(files, firsts[:-1], strict=True)
            ]
        )
        self._window_count = int(firsts[-1])
        self._counts = np.concatenate(
            [np.arange(len(file.worth)) >= file.probation_rows for file in files]
        )

    def score(self, alarms: Sequence[BoolArray], profile: Profile) -> float:
        """Return the score of the alarms in each file: 0 for silence, 100 for perfection."""
        on = self._joined(alarms).astype(np.bool_) & self._counts
        outside = on & (self._window < 0)
        within = on & (self._window >= 0)
        best = np.full(self._window_count, -profile.miss)
        # What an alarm in a window is worth is never below zero, so it is above a miss.
        np.maximum.at(best, self._window[within], self._worth[within])
        raw = float(best.sum()) + profile.false_alarm * float(self._worth[outside].sum())
        return self._scaled(raw, profile)

    def best_threshold(self, scores: Sequence[FloatArray], profile: Profile) -> float:
        """Return the threshold with the best score on this corpus; infinite if silence is best.

        Every distinct score is tried, in one pass from the highest down: a row outside adds its
        cost, a row in a window what it is worth beyond the best one of its window so far.
        """
        joined = self._joined(scores).astype(np.float64)
        order = np.argsort(-joined, kind="stable")
        order = order[self._counts[order]]
        window, worth = self._window[order], self._worth[order]
        gain = np.where(window < 0, profile.false_alarm * worth, 0.0)
        for number in range(self._window_count):
            at = np.flatnonzero(window == number)
            record = np.maximum.accumulate(np.append(-profile.miss, worth[at]))
            gain[at] = np.diff(record)
        total = np.cumsum(gain)
        level = joined[order]
        is_last_of_level = np.append(level[:-1] != level[1:], np.True_)
        total[~is_last_of_level] = -np.inf
        top = int(np.argmax(total))
        return float(level[top]) if total[top] > 0 else np.inf

    def _joined(self, parts: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
        sizes = [len(part) for part in parts]
        if sizes != self._sizes:
            raise ValueError(f"rows by file: {sizes}, the corpus has {self._sizes}")
        return np.concatenate(list(parts))

    def _scaled(self, raw: float, profile: Profile) -> float:
        silence = -profile.miss * self._window_count
        return 100 * (raw - silence) / (self._window_count - silence)


def _fall(position: FloatArray) -> FloatArray:
    """Return 2 / (1 + exp(5 p)) - 1: near 1 well before zero, near -1 well past it."""
    value = np.tanh(-2.5 * position)
    return np.where(position > FAR_PAST, -1.0, value)
