"""The rows as tables for a person."""

from collections.abc import Sequence

import numpy as np

from gateway.bench.figures import aligned
from gateway.proof.rows import Better, Row

HEAD = ("set", "metric", "here", "plain way", "published", "gate", "goal", "ms", "kB")
SIGNS = {Better.HIGHER: "≥", Better.LOWER: "≤", Better.NEAR: "≈"}


def tables(rows: Sequence[Row]) -> str:
    """Return two Markdown tables: the figures, and what is to be said beside them."""
    figures = [
        (
            row.set_name,
            row.metric,
            "not measured" if row.value is None else _text(row.value, digits=4),
            _named(row.baseline, row.baseline_name),
            _named(row.target.published, row.target.published_by),
            _limit(row, row.target.gate, is_reached=row.gate_held),
            _limit(row, row.target.goal, is_reached=row.goal_met),
            "" if row.latency_ms is None else _text(row.latency_ms),
            "" if row.size_kb is None else _text(row.size_kb),
        )
        for row in rows
    ]
    beside = [
        (row.set_name, row.metric, "; ".join(_beside(row)), row.note)
        for row in rows
        if row.beside or row.note
    ]
    notes = aligned(("set", "metric", "blind rules and others", "note"), beside)
    return f"{aligned(HEAD, figures)}\n\n{notes}" if beside else aligned(HEAD, figures)


def _beside(row: Row) -> list[str]:
    return [f"{name} {_text(value)}" for name, value in row.beside]


def _named(value: float | None, name: str) -> str:
    return "" if value is None else f"{_text(value)} ({name})" if name else _text(value)


def _limit(row: Row, limit: float | None, *, is_reached: bool | None) -> str:
    if limit is None:
        return ""
    answer = {True: "yes", False: "NO", None: "-"}[is_reached]
    tolerance = f" ± {_text(row.target.tolerance)}" if row.target.tolerance else ""
    return f"{SIGNS[row.target.better]} {_text(limit)}{tolerance}: {answer}"


def _text(value: float, *, digits: int = 3) -> str:
    if not np.isfinite(value):
        return "none"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.{digits}g}"
