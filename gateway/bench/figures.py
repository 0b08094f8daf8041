"""What was measured, and how it is shown."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

InputT = TypeVar("InputT")

REPEATS: Final = 5
"""The best of so many runs counts: what disturbs a run only ever makes it slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure."""

    name: str
    """What was measured, in a few words."""
    value: float
    unit: str
    plain: float | None = None
    """The same for the plain way of doing it, in the same run; None where there is none."""
    budget: float | None = None
    """At the most; None where the design sets none."""
    goal: float | None = None
    """At the least; None where the design sets none."""

    @property
    def ratio(self) -> float | None:
        """How many times as much the plain way takes."""
        return self.plain / self.value if self.plain is not None and self.value else None

    def as_document(self) -> dict[str, object]:
        """Return the figure for a program."""
        return {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "plain": _rounded(self.plain),
            "ratio": _rounded(self.ratio),
            "budget": self.budget,
            "goal": self.goal,
        }


def best_cpu_us(
    work: Callable[[InputT], object], make_inputs: Callable[[], Sequence[InputT]]
) -> float:
    """Return the processor time of this thread for one input, in microseconds.

    Args:
        work: What is measured.
        make_inputs: Called before each run and not measured: a stage does nothing with an input
            that it has seen before.
    """
    return min(_run_us(work, make_inputs()) for _ in range(REPEATS))


def best_ms(read: Callable[[], object]) -> float:
    """Return the processor time of the process for something that can be repeated, in ms."""
    best_ns = math.inf
    for _ in range(REPEATS):
        begun_ns = time.process_time_ns()
        read()
        best_ns = min(best_ns, time.process_time_ns() - begun_ns)
    return best_ns / 1e6


def markdown_table(title: str, figures: Sequence[Figure]) -> str:
    """Return the figures as a table for a person."""
    rows = [
        (
            each.name,
            f"{_text(each.value)} {each.unit}",
            "" if each.plain is None else f"{_text(each.plain)} {each.unit}",
            "" if each.ratio is None else f"{_text(each.ratio)} ×",
            _limit_text(each),
        )
        for each in figures
    ]
    return aligned((title, "here", "plain way", "ratio", "budget"), rows)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns stand under one another."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def _limit_text(figure: Figure) -> str:
    if figure.goal is not None:
        return f"≥ {_text(figure.goal)} {figure.unit}"
    return "" if figure.budget is None else f"{_text(figure.budget)} {figure.unit}"


def _run_us(work: Callable[[InputT], object], inputs: Sequence[InputT]) -> float:
    begun_ns = time.thread_time_ns()
    for each in inputs:
        work(each)
    return (time.thread_time_ns() - begun_ns) / len(inputs) / 1e3


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
