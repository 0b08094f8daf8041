"""One measured figure beside what it is to be compared with."""

from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

import numpy as np


class Better(Enum):
    """Which way a figure is good."""

    HIGHER = "higher"
    LOWER = "lower"
    NEAR = "near"
    """As near to the goal as its tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure is to reach; None where nothing is set."""

    better: Better = Better.HIGHER
    gate: float | None = None
    """Must hold."""
    goal: float | None = None
    """Is aimed at."""
    tolerance: float = 0.0
    """Distance from gate and goal that is still near."""
    published: float | None = None
    published_by: str = ""

    def is_reached(self, value: float | None, limit: float | None) -> bool | None:
        """Return whether a value reaches a limit; None where either is missing."""
        if limit is None:
            return None
        if value is None or np.isnan(value):
            return False
        match self.better:
            case Better.HIGHER:
                return value >= limit
            case Better.LOWER:
                return value <= limit
            case Better.NEAR:
                return abs(value - limit) <= self.tolerance
            case _:
                assert_never(self.better)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one set of recordings."""

    set_name: str
    metric: str
    value: float | None
    """None where there is nothing to measure; the note says why."""
    target: Target = field(default_factory=Target)
    baseline: float | None = None
    """The same figure of the plain way, in the same run."""
    baseline_name: str = ""
    beside: tuple[tuple[str, float], ...] = ()
    """The same figure of blind rules and other plain ways, by their names."""
    latency_ms: float | None = None
    """Of one row, one window or one point on one core; median."""
    size_kb: float | None = None
    """Of the largest bundle."""
    note: str = ""

    @property
    def gate_held(self) -> bool | None:
        """Whether the gate holds; None without a gate, or where nothing was measured."""
        return self.target.is_reached(self.value, self.target.gate) if self.is_measured else None

    @property
    def goal_met(self) -> bool | None:
        """Whether the goal is met; None without a goal, or where nothing was measured."""
        return self.target.is_reached(self.value, self.target.goal) if self.is_measured else None

    @property
    def is_measured(self) -> bool:
        """Whether there was something to measure."""
        return self.value is not None

    def as_document(self) -> dict[str, object]:
        """Return the row for a program; what is not known is null."""
        return {
            "set": self.set_name,
            "metric": self.metric,
            "value": _rounded(self.value),
            "baseline": _rounded(self.baseline),
            "baseline_name": self.baseline_name,
            "beside": {name: _rounded(value) for name, value in self.beside},
            "published": self.target.published,
            "published_by": self.target.published_by,
            "better": self.target.better.value,
            "gate": self.target.gate,
            "gate_held": self.gate_held,
            "goal": self.target.goal,
            "goal_met": self.goal_met,
            "latency_ms": _rounded(self.latency_ms),
            "size_kb": _rounded(self.size_kb),
            "note": self.note,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.4g}")
