"""What is measured, as the sets see it: it learns from a recording and says what it thinks.

The sets know nothing of models. Whoever builds a subject sees to it that it trains, scores and
diagnoses exactly as the product does without options.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray
from gateway.recordings import Recording


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watched:
    """What the anomaly model said of a recording of n rows."""

    score: FloatArray
    """Shape (n,); NaN where there was none."""
    alarm: BoolArray
    """Shape (n,)."""
    shares: tuple[tuple[tuple[str, float], ...], ...]
    """For each row the columns that made the score, with their shares."""
    refusal: str = ""
    """Why nothing could be learnt; then no row has a score."""
    latency_ms: float | None = None
    size_kb: float | None = None
    state_kb: float | None = None
    """What the running model remembers."""

    @property
    def ranking(self) -> FloatArray:
        """The scores, those that are missing taken as not anomalous at all."""
        return np.where(np.isfinite(self.score), self.score, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lives:
    """Recordings of machines, one after the other, as one table of n rows."""

    unit: tuple[str, ...]
    """Which machine each row is of."""
    time: FloatArray
    """Shape (n,): cycles or seconds since its beginning, rising in each machine."""
    columns: tuple[str, ...]
    value: FloatArray
    """Shape (n, m)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreseen:
    """What was said of the remaining life at each of n rows, in the unit of the time."""

    rul: FloatArray
    """Shape (n,); NaN where there is no figure."""
    low: FloatArray
    high: FloatArray
    known: BoolArray
    latency_ms: float | None = None
    size_kb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waveform:
    """One recording of one sensor."""

    name: str
    acceleration_g: FloatArray
    rate_hz: float
    speed_rpm: float
    bearing: str
    fault: str
    """`none`, `inner`, `outer` or `ball`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diagnosed:
    """What was said of n windows."""

    faults: tuple[str, ...]
    probabilities: tuple[tuple[tuple[str, float], ...], ...]
    """For each window, by fault."""
    latency_ms: float | None = None
    size_kb: float | None = None


class Subject(Protocol):
    """What is measured. It goes to other processes, so it can be pickled."""

    @property
    def has_life(self) -> bool:
        """Whether there is something that foresees remaining life."""
        ...

    @property
    def has_diagnosis(self) -> bool:
        """Whether there is something that diagnoses vibration."""
        ...

    def watch(self, healthy: Recording, test: Recording) -> Watched:
        """Learn from a healthy recording, then score another one row by row."""
        ...

    def crowd_ms(self, healthy: Recording, asset_count: int) -> float | None:
        """Learn from a healthy recording, and return the time of one call for many assets."""
        ...

    def foresee(self, runs: Lives, test: Lives, *, cap: float | None) -> Foreseen:
        """Learn from runs to failure, then foresee the remaining life at every row."""
        ...

    def diagnose(self, known: Sequence[Waveform], windows: Sequence[Waveform]) -> Diagnosed:
        """Learn from recordings with known faults, then diagnose windows of others."""
        ...
