"""Trains the anomaly model: fits, calibrates, and makes the cases that later versions must find.

Which method is for whom:

*Columns whose tolerance is known* (residuals of a twin): a model of distance. A row's score is
|z M|: z are its columns in standard deviations, and M, the same for all rows, is fitted to the
healthy ones (`ellipsoid.py`). The squares of the single elements of z M sum to score² and are the
columns' contributions (complete decomposition; Alcala and Qin 2011): never negative, and no column
is left out. The last part of every recording is held back. The threshold is what the scores,
averaged over time as the detector does it, exceed with the stated share, times a margin: the
held-back scores, because the fit flatters the others; or the fitted ones where they are larger,
because a rare operating point may not come again in the last part. It is never below what the
tolerance alone leads to, and a short recording widens it. M is divided by it.

*Several columns of which nothing is known*: a model of statistics (`statistics.py`).

*One column*: a model of memory (`memory.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import numpy as np

from analytics.canary import fault_peaks, row_scores, smooth_runs
from analytics.runtime import size_warning
from analytics.scoring import ALARM_SCORE
from analytics.training.canary_cases import FAULT_SIZES, make_canary
from analytics.training.columns import level_and_spread, without_wild
from analytics.training.drift_reference import drift_reference
from analytics.training.ellipsoid import Ellipsoid, fit_about_zero
from analytics.training.faults import FaultPattern, single_patterns
from analytics.training.graph import anomaly_graph
from analytics.training.memory import memory_model
from analytics.training.statistics import RUN_ROWS_MIN, fit_statistics
from analytics.training.trackers import NOVEL_RATE
from gateway.core.arrays import FloatArray
from gateway.core.dynamics import Dynamics
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest, Method, RolloutRules
from gateway.wire.bundle import Bundle

HELD_BACK_SHARE: Final = 0.3
"""Part of each recording, its end, that the threshold is set on and nothing is fitted to."""
ROWS_MIN: Final = 150
"""Fewer rows give no threshold worth the name; see also `ROWS_PER_COLUMN_MIN`."""
ROWS_PER_COLUMN_MIN: Final = 5
"""Fewer leave the ties between columns to chance."""
MARGIN: Final = 1.5
"""The held-back end of a recording has seen less than the machine will: other days, loads and
seasons. On recordings of minutes, averages beyond it by a third are common (README, "How good");
a fault that matters goes on growing, and is found a little later for it."""
FALSE_ALARM_SHARE: Final = 0.001
"""Share of held-back rows whose average may exceed the threshold, before the margin."""
INDEPENDENT_S: Final = 180.0
"""What makes a healthy row differ from what was expected (load, voltage, weather) lasts about so
long; rows closer together say the same thing twice."""
STUDENT_TERM: Final = 3.0
"""With n independent rows, the quantile of Student's distribution that 0.1 % exceed on either side
is 1 + (z² + 1) / 4n times the normal one, z = 3.29 (Cornish and Fisher 1938, first term)."""
PARITY_MAX: Final = 1e-4
"""Largest difference between the graph and the formula, over the larger of 1 and the score."""
_NOVEL_RATE_MAX: Final = 0.1
_CALIBRATION_START: Final = 0.9
_CALIBRATION_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What the model is for, and how it is to be used."""

    name: str
    version: str
    asset_type: str
    columns: tuple[str, ...]
    """Names of the rows' m columns."""
    period_s: float = 1.0
    """Time between rows."""
    is_averaged: bool = False
    """Whether the rows are means over that time."""
    smoothing_s: float = 10.0
    """Time constant of the average over time."""
    tolerance: float = 0.0
    """Standard deviation that every column may have on a healthy machine whatever the recording
    shows, about zero; 0 is unknown."""
    false_alarm_share: float = FALSE_ALARM_SHARE
    """Share of healthy rows that may score above 1; for columns without a tolerance."""
    states: tuple[str, ...] = ("running",)
    """Operating states that the rows are from."""
    rollout: RolloutRules = field(default_factory=RolloutRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A new model, and what a person should know of it."""

    bundle: Bundle
    notes: tuple[str, ...]
    """Sentences on what was left out or is unusual; often none."""


def train_anomaly(
    runs: Sequence[FloatArray], purpose: Purpose, *, patterns: Sequence[FaultPattern] = ()
) -> Trained:
    """Fit a model on recordings of healthy machines.

    Args:
        runs: One recording a machine, each of shape (n, m), in time order, finite.
        purpose: Names and rules for the manifest.
        patterns: Known faults beside one shifted sensor at a time; their columns must be there.
    Raises:
        ModelError: there are too few rows, or the graph does not agree with the formula; and for
            a model of distance, when a value is not finite (named).
    Source:
        Contributions: Alcala and Qin (2011), "Analysis and Generalization of Fault Diagnosis
        Methods for Process Monitoring". The score: `ellipsoid.py`, `statistics.py`, `memory.py`.
    """
    if purpose.tolerance:
        fitted = _fit_distance(runs, purpose)
    elif len(purpose.columns) == 1:
        fitted = _fit_memory(runs, purpose)
    else:
        fitted = _fit_statistics(runs, purpose)
    return _bundled(fitted, purpose, patterns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fitted:
    """What one of the methods made of the recordings."""

    model: bytes
    method: Method
    dynamics: Dynamics | None = None
    stretches: Sequence[FloatArray]
    """Healthy rows for the canary cases, in the order of time."""
    spread: FloatArray
    """Of each column; 0 for one that does not count."""
    rows: FloatArray
    """What was fitted, shape (n, m)."""
    healthy_scores: FloatArray | None
    """Of rows that were not fitted, as the detector gives them; None where there are none."""
    metrics: Mapping[str, float]
    notes: tuple[str, ...] = ()


def _fit_distance(runs: Sequence[FloatArray], purpose: Purpose) -> _Fitted:
    _check(runs, purpose.columns)
    fitted = np.concatenate([_split(run)[0] for run in runs])
    held_back = [_split(run)[1] for run in runs]
    ellipsoid = fit_about_zero(fitted, tolerance=purpose.tolerance)
    scores = [ellipsoid.score(run) for run in held_back]
    threshold = _threshold(scores, [ellipsoid.score(_split(run)[0]) for run in runs], purpose)
    averages = _averages(scores, purpose, threshold=threshold)
    model = anomaly_graph(
        ellipsoid.center.astype(np.float32),
        (1.0 / ellipsoid.spread).astype(np.float32),
        (ellipsoid.mixing / threshold).astype(np.float32),
    )
    _check_parity(model, ellipsoid, np.concatenate(held_back), threshold=threshold)
    return _Fitted(
        model=model,
        method=Method.DISTANCE,
        stretches=held_back,
        spread=ellipsoid.spread,
        rows=fitted,
        healthy_scores=averages,
        metrics={
            "held_back_rows": float(sum(len(run) for run in held_back)),
            "held_back_alarm_share": float((averages > ALARM_SCORE).mean()),
        },
    )


def _fit_statistics(runs: Sequence[FloatArray], purpose: Purpose) -> _Fitted:
    stretches, notes = _whole_stretches(runs, purpose.columns)
    fitted = fit_statistics(stretches, false_alarm_share=purpose.false_alarm_share)
    rows = np.concatenate(stretches)
    named = list(zip(purpose.columns, fitted.dynamics.measured, np.ptp(rows, axis=0), strict=True))
    facts = {
        "nothing but 0 and 1, so switches that count for nothing": [
            column for column, is_measured, _ in named if not is_measured
        ],
        "never changed, so that any change later counts": [
            column for column, is_measured, span in named if is_measured and span == 0.0
        ],
    }
    return _Fitted(
        model=fitted.model,
        method=Method.STATISTICS,
        dynamics=fitted.dynamics,
        stretches=stretches,
        spread=fitted.spread,
        rows=rows,
        healthy_scores=np.maximum(fitted.score, 0.0),
        metrics={
            "held_back_rows": float(len(fitted.score)),
            "held_back_alarm_share": float((fitted.score > ALARM_SCORE).mean()),
        },
        notes=(*notes, *_told(facts)),
    )


def _fit_memory(runs: Sequence[FloatArray], purpose: Purpose) -> _Fitted:
    # A memory counts rows, whatever lies between them: irregular recordings are learnt, too.
    stretches, notes = _whole_stretches(runs, purpose.columns, rows_min=1)
    values = np.concatenate(stretches)[:, 0]
    rate = min(NOVEL_RATE * purpose.false_alarm_share / FALSE_ALARM_SHARE, _NOVEL_RATE_MAX)
    model = memory_model(values, rate=rate)
    _, spread = level_and_spread(values[:, np.newaxis])
    return _Fitted(
        model=model,
        method=Method.MEMORY,
        stretches=[values[:, np.newaxis]],
        spread=spread,
        rows=values[:, np.newaxis],
        healthy_scores=None,
        metrics={"held_back_rows": 0.0, "held_back_alarm_share": 0.0},
        notes=notes,
    )


def _bundled(fitted: _Fitted, purpose: Purpose, patterns: Sequence[FaultPattern]) -> Trained:
    """Return the bundle, with canary cases and a warning where the graph is large."""
    moved = [c for c, each in zip(purpose.columns, fitted.spread, strict=True) if each > 0.0]
    usable = [p for p in patterns if set(p.signs) <= set(moved)]
    manifest = AnomalyManifest(
        format=1 if fitted.method is Method.DISTANCE else 2,
        method=fitted.method,
        dynamics=fitted.dynamics,
        name=purpose.name,
        version=purpose.version,
        asset_type=purpose.asset_type,
        columns=purpose.columns,
        states=purpose.states,
        period_s=purpose.period_s,
        is_averaged=purpose.is_averaged,
        smoothing_s=purpose.smoothing_s,
        tolerance=purpose.tolerance,
        false_alarm_share=purpose.false_alarm_share,
        trained_rows=len(fitted.rows),
        training_sha256=sha256(np.ascontiguousarray(fitted.rows).tobytes()).hexdigest(),
        reference=None
        if fitted.healthy_scores is None
        else drift_reference(fitted.rows, fitted.healthy_scores, period_s=purpose.period_s),
        rollout=purpose.rollout,
    )
    canary, size, blind = make_canary(
        fitted.model,
        manifest,
        fitted.stretches,
        [*single_patterns(moved), *usable],
        fitted.spread,
    )
    metrics = {
        **fitted.metrics,
        "canary_faults": float(len(canary.fault_names)),
        "canary_size_sigma_max": size,
        "canary_peak_min": float(fault_peaks(fitted.model, manifest, canary).min()),
    }
    bundle = Bundle(
        manifest=manifest.model_copy(update={"metrics": metrics}),
        model=fitted.model,
        canary=canary,
    )
    facts = {
        "known faults left out for want of columns": [p.name for p in patterns if p not in usable],
        f"not found even at {FAULT_SIZES[-1]:g} sigma": blind,
    }
    warning = size_warning(fitted.model)
    return Trained(
        bundle=bundle,
        notes=(*fitted.notes, *_told(facts), *((warning,) if warning else ())),
    )


def _told(facts: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{fact}: {', '.join(names)}" for fact, names in facts.items() if names)


def _whole_stretches(
    runs: Sequence[FloatArray], columns: tuple[str, ...], *, rows_min: int = RUN_ROWS_MIN
) -> tuple[list[FloatArray], tuple[str, ...]]:
    """Return the stretches without a hole of so many rows at least, and what was left out.

    Raises:
        ModelError: too few rows are left; names the column with the most holes.
    """
    stretches: list[FloatArray] = []
    wild_count = 0
    for run in runs:
        assert run.shape[1:] == (len(columns),), run.shape
        is_whole = np.isfinite(run).all(axis=1)
        edges = np.flatnonzero(np.diff(is_whole.astype(np.int8), prepend=0, append=0))
        for begin, end in edges.reshape(-1, 2):
            if end - begin >= rows_min:
                stretch, count = without_wild(run[begin:end])
                stretches.append(stretch)
                wild_count += count
    count, given = sum(map(len, stretches)), sum(map(len, runs))
    needed = max(ROWS_MIN, ROWS_PER_COLUMN_MIN * len(columns))
    if count < needed:
        holes = np.isnan(np.concatenate(runs)).sum(axis=0) if given else np.zeros(len(columns))
        worst = f", most in {columns[int(holes.argmax())]}" if holes.any() else ""
        raise ModelError(
            f"{count} healthy rows are too few: {len(columns)} columns need {needed}, in stretches "
            f"of {rows_min} without a gap; {given - count} others have holes{worst}"
        )
    facts = {
        "are left out for holes, or for standing between them": given - count,
        "hold a wild reading; the row before stands for them": wild_count,
    }
    return stretches, tuple(
        f"{number} of {given} rows {fate}" for fate, number in facts.items() if number
    )


def _check(runs: Sequence[FloatArray], columns: tuple[str, ...]) -> None:
    count = sum(len(run) for run in runs)
    needed = max(ROWS_MIN, ROWS_PER_COLUMN_MIN * len(columns))
    if count < needed:
        raise ModelError(f"{count} healthy rows are too few: {len(columns)} columns need {needed}")
    for number, run in enumerate(runs, start=1):
        assert run.ndim == 2, run.shape
        assert run.shape[1] == len(columns), run.shape
        wrong = np.argwhere(~np.isfinite(run))
        if len(wrong):
            row, column = wrong[0]
            raise ModelError(
                f"recording {number}, row {row + 1}: {columns[column]} is no number, and so are "
                f"{len(wrong) - 1} other values: leave these rows out"
            )


def _split(run: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the part to fit and the part held back, in the order of time."""
    cut = len(run) - int(len(run) * HELD_BACK_SHARE)
    return run[:cut], run[cut:]


def _level(scores: Sequence[FloatArray], purpose: Purpose) -> float:
    """Return what the averages of healthy scores exceed with the stated share.

    The average cuts a row at a multiple of the threshold, so the level is found in a few rounds,
    from one that gross outliers do not reach.
    """
    level = float(np.quantile(np.concatenate(scores), _CALIBRATION_START))
    if level <= 0:
        raise ModelError("the healthy rows do not differ at all: is it a live recording?")
    for _ in range(_CALIBRATION_ROUNDS):
        averages = _averages(scores, purpose, threshold=level)
        level *= float(np.quantile(averages, 1 - FALSE_ALARM_SHARE))
    return level


def _threshold(
    held_back: Sequence[FloatArray], fitted: Sequence[FloatArray], purpose: Purpose
) -> float:
    """Return the score that is to be 1, from the scores of both parts of each recording."""
    threshold = max(_level(held_back, purpose), _level(fitted, purpose)) * MARGIN
    if not purpose.tolerance:
        return threshold
    # Machines recorded together share load and weather: the time counts, not their number.
    rows = max(map(len, fitted))
    independent_rows = rows * min(purpose.period_s / INDEPENDENT_S, 1.0)
    # The matrix is scaled so that the tolerance alone reaches 1.
    return max(threshold, 1.0) * (1.0 + STUDENT_TERM / independent_rows)


def _averages(scores: Sequence[FloatArray], purpose: Purpose, *, threshold: float) -> FloatArray:
    return np.concatenate(
        [
            smooth_runs(
                (score[np.newaxis] / threshold).astype(np.float32),
                period_s=purpose.period_s,
                smoothing_s=purpose.smoothing_s,
            )[0]
            for score in scores
            if len(score)
        ]
    )


def _check_parity(
    model: bytes, ellipsoid: Ellipsoid, rows: FloatArray, *, threshold: float
) -> None:
    by_formula = ellipsoid.score(rows) / threshold
    by_graph = row_scores(model, rows.astype(np.float32)).astype(np.float64)
    worst = float((np.abs(by_graph - by_formula) / np.maximum(by_formula, 1.0)).max())
    if not worst <= PARITY_MAX:
        raise ModelError(
            f"the exported graph differs from the formula by {worst:.1e}: a column with a large "
            "offset and a small spread? Take the offset away before training"
        )
