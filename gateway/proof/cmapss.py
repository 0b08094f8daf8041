"""C-MAPSS: turbofans run to failure; one figure for each test engine, at its last row.

The truth of the test engines is capped at 125 cycles, as most papers do; uncapped beside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from analytics.scorers.life import interval_score, life_score
from analytics.training.plain_life import plain_remaining_life
from gateway.core.arrays import FloatArray
from gateway.proof.costs import largest, median
from gateway.proof.reading import numbers
from gateway.proof.rows import Row
from gateway.proof.subject import Foreseen, Lives, Subject
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "cmapss"
SUBSETS: Final = ("FD001", "FD002")
CAP: Final = 125.0
SETTINGS: Final = 3
SENSORS: Final = 21
BASELINE: Final = "boosting on 30-cycle windows"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One subset; arrays of one value for each test engine."""

    subset: str
    actual: FloatArray
    plain: FloatArray
    constant: float
    """The mean life in training, told to every engine."""
    foreseen: Foreseen | None
    last: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
    """The last row of each engine."""


def subsets(folder: Path) -> list[str]:
    """Return the subsets that are there."""
    return [name for name in SUBSETS if (folder / NAME / f"RUL_{name}.txt.gz").is_file()]


def judge(subject: Subject, folder: Path, subset: str) -> Judged:
    """Learn from the engines that failed, and foresee the end of the others."""
    train = numbers(folder / NAME / f"train_{subset}.txt.gz")
    test = numbers(folder / NAME / f"test_{subset}.txt.gz")
    actual = numbers(folder / NAME / f"RUL_{subset}.txt.gz").ravel()
    runs, tests = engines(train), engines(test)
    lives = np.concatenate([np.minimum(np.arange(len(run))[::-1], CAP) for run in runs])
    return Judged(
        subset=subset,
        actual=actual,
        plain=plain_remaining_life(runs, tests, condition_columns=SETTINGS, cap=CAP),
        constant=float(lives.mean()),
        foreseen=(
            subject.foresee(_lives(train), _lives(test), cap=CAP) if subject.has_life else None
        ),
        last=np.cumsum([len(run) for run in tests]) - 1,
    )


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return all figures of the set."""
    judged = workers.each(partial(judge, subject, folder), subsets(folder), tell)
    told = [each.foreseen for each in judged if each.foreseen is not None]
    latency_ms = median(each.latency_ms for each in told)
    cost = Row(
        set_name=NAME,
        metric="ms a row",
        value=latency_ms,
        target=target(NAME, "ms a row"),
        latency_ms=latency_ms,
        size_kb=largest(each.size_kb for each in told),
        note="as the bundle states it" if told else "not built",
    )
    rows = [row for each in judged for row in (*_error_rows(each), *_interval_rows(each))]
    return [*rows, cost]


def _error_rows(judged: Judged) -> list[Row]:
    foreseen = judged.foreseen
    plain = _errors(judged.plain, judged.actual)
    blind = _errors(np.full(len(judged.actual), judged.constant), judged.actual)
    ours: dict[str, float] = {}
    uncapped: tuple[tuple[str, float], ...] = ()
    note = "not built"
    if foreseen is not None:
        rul, unknown_count = _told(foreseen.rul[judged.last])
        ours = _errors(rul, judged.actual)
        uncapped = (("truth uncapped", life_score(rul, judged.actual, cap=None).rmse),)
        note = f"{unknown_count} of {len(rul)} engines without a figure, taken as {CAP:g}"
    return [
        Row(
            set_name=NAME,
            metric=f"{judged.subset} {metric}",
            value=ours.get(metric),
            target=target(NAME, f"{judged.subset} {metric}"),
            baseline=plain[metric],
            baseline_name=BASELINE,
            beside=(("constant", blind[metric]), *(uncapped if metric == "RMSE" else ())),
            latency_ms=None if foreseen is None else foreseen.latency_ms,
            size_kb=None if foreseen is None else foreseen.size_kb,
            note=note,
        )
        for metric in plain
    ]


def _errors(rul: FloatArray, actual: FloatArray) -> dict[str, float]:
    """Return the errors by metric, the truth capped."""
    score = life_score(rul, actual, cap=CAP)
    return {"RMSE": score.rmse, "NASA score": score.nasa, "MAE": score.mae}


def _interval_rows(judged: Judged) -> list[Row]:
    foreseen = judged.foreseen
    value_by_metric: dict[str, float | None] = {"coverage %": None, "width": None}
    if foreseen is not None:
        low, high = foreseen.low[judged.last], foreseen.high[judged.last]
        # An end that is not told is one that is not known: nothing below 0, or above the cap.
        low = np.where(np.isfinite(low), np.minimum(low, CAP), 0.0)
        high = np.where(np.isfinite(high), np.minimum(high, CAP), CAP)
        score = interval_score(low, high, np.minimum(judged.actual, CAP))
        value_by_metric = {"coverage %": score.covered_percent, "width": score.width}
    return [
        Row(
            set_name=NAME,
            metric=f"{judged.subset} {metric}",
            value=value,
            target=target(NAME, f"{judged.subset} {metric}"),
            latency_ms=None if foreseen is None else foreseen.latency_ms,
            size_kb=None if foreseen is None else foreseen.size_kb,
            note="not built" if foreseen is None else "interval of 90 %, truth capped",
        )
        for metric, value in value_by_metric.items()
    ]


def _told(rul: FloatArray) -> tuple[FloatArray, int]:
    """Return the figures at most the cap, and how many are missing: those are the cap."""
    is_missing = ~np.isfinite(rul)
    told = np.where(is_missing, CAP, np.minimum(rul, CAP))
    return told, int(np.count_nonzero(is_missing))


def engines(rows: FloatArray) -> list[FloatArray]:
    """Return settings and sensors of each engine, in the order of the file."""
    starts = np.flatnonzero(np.diff(rows[:, 0])) + 1
    return [engine[:, 2:] for engine in np.split(rows, starts)]


def _lives(rows: FloatArray) -> Lives:
    return Lives(
        unit=tuple(f"engine-{int(unit)}" for unit in rows[:, 0]),
        time=rows[:, 1],
        columns=columns(),
        value=rows[:, 2:],
    )


def columns() -> tuple[str, ...]:
    """Return the names of the settings and sensors."""
    settings = [f"setting_{k}" for k in range(1, SETTINGS + 1)]
    return (*settings, *(f"sensor_{k}" for k in range(1, SENSORS + 1)))
