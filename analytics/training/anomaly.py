"""Trains the anomaly model: principal components of healthy rows, calibrated on others.

Theory. Rows of a healthy machine lie near a plane: the signals are tied together by physics. The
model measures how far a row is from the middle of the healthy rows along the plane (T²) and off
it (SPE), both over their own usual size, in one figure (Yue and Qin 2001, eq. 8):

    score² = T² / limit + SPE / limit = |z M|²,   M = P diag(1/√(λ limit)) Pᵀ + (I - P Pᵀ)/√limit

with z the row in robust standard deviations from the median. The squares of the single elements
of z M sum to score² and are the columns' contributions (complete decomposition; Alcala and Qin
2011): never negative, and no column is left out.

The first part of every recording is fitted, the last part is held back. The threshold is what the
held-back scores, averaged over time as the detector does it, exceed with a stated share, times a
margin; M is divided by it, so above 1 is anomalous.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from typing import Final

import numpy as np

from analytics.canary import fault_peaks, row_scores, smooth_runs
from analytics.runtime import size_warning
from analytics.scoring import ALARM_SCORE
from analytics.training.faults import FaultPattern, single_patterns, with_fault
from analytics.training.graph import STEPS_MAX, anomaly_graph
from gateway.core.arrays import BoolArray, Float32Array, FloatArray
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest, RolloutRules
from gateway.wire.bundle import Bundle, Canary

HELD_BACK_SHARE: Final = 0.3
"""Part of each recording, its end, that the threshold is set on and nothing is fitted to."""
ROWS_MIN: Final = 150
"""Fewer rows give no threshold worth the name; see also `ROWS_PER_COLUMN_MIN`."""
ROWS_PER_COLUMN_MIN: Final = 10
"""Fewer leave the smallest principal components to chance."""
MARGIN: Final = 1.5
"""The held-back end of a recording has seen less than the machine will: other days, loads and
seasons. On recordings of minutes, averages beyond it by a third are common (README, "How good");
a fault that matters goes on growing, and is found a little later for it."""
FALSE_ALARM_SHARE: Final = 0.001
"""Share of held-back rows whose average may exceed the threshold, before the margin."""
VARIANCE_SHARE: Final = 0.99
"""Of the variance that the plane must explain. Directions on it are each measured by their own
spread, those off it all by one; with less, a broken tie between two signals that hang closely
together would be small beside the noise of looser ones."""
OUTLIER_STEPS: Final = 10.0
"""Rows further off, in spreads, are cut for the fit: one wrong reading must not turn the plane."""
SPREAD_SHARE_MIN: Final = 1e-5
"""A column that varies less than this part of its own size cannot be told apart in float32."""
RESIDUAL_MIN: Final = 0.01
"""Off the plane, in standard deviations; less is rounding, not physics."""
PARITY_MAX: Final = 1e-4
"""Largest difference between the graph and the formula, over the larger of 1 and the score."""
FAULT_SIZES: Final = (4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
"""Spreads that a known fault is tried with, until the model finds it well."""
FAULT_PEAK_MIN: Final = 1.3
"""A known fault is found well when its score reaches this: no later version, a little less
sensitive for good reasons, fails on it by a hair."""
HEALTHY_ROWS_MAX: Final = 200
"""Healthy rows among the canary cases."""
_CALIBRATION_START: Final = 0.9
_CALIBRATION_ROUNDS: Final = 5
_FAULT_ROWS_MIN: Final = 30
_FAULT_ROWS_MAX: Final = 120
_FAULT_SMOOTHINGS: Final = 6.0


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
    smoothing_s: float = 10.0
    """Time constant of the average over time."""
    states: tuple[str, ...] = ("running",)
    """Operating states that the rows are from."""
    rollout: RolloutRules = field(default_factory=RolloutRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A new model, and what a person should know of it."""

    bundle: Bundle
    notes: tuple[str, ...]
    """Sentences on what was left out or is unusual; often none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plane:
    """The fitted model, in double precision."""

    center: FloatArray
    spread: FloatArray
    """1 for the columns that do not vary."""
    varies: BoolArray
    mixing: FloatArray
    """M, shape (m, m), not yet divided by the threshold; 0 for columns that do not vary."""
    component_count: int

    def score(self, rows: FloatArray) -> FloatArray:
        """Return the scores of rows (n, m) before the threshold, shape (n,)."""
        steps = np.clip((rows - self.center) / self.spread, -STEPS_MAX, STEPS_MAX)
        return np.asarray(np.linalg.norm(steps @ self.mixing, axis=1), dtype=np.float64)


def train_anomaly(
    runs: Sequence[FloatArray], purpose: Purpose, *, patterns: Sequence[FaultPattern] = ()
) -> Trained:
    """Fit a model on recordings of healthy machines.

    Args:
        runs: One recording a machine, each of shape (n, m), in time order, finite.
        purpose: Names and rules for the manifest.
        patterns: Known faults beside one shifted sensor at a time; their columns must be there.
    Raises:
        ModelError: there are too few rows, a value is not finite (named), nothing varies, or the
            graph does not agree with the formula.
    Source:
        Yue and Qin (2001), "Reconstruction-Based Fault Identification Using a Combined Index";
        Alcala and Qin (2011). We scale by median and quartiles, and calibrate the combined
        figure on held-back rows instead of using its chi-square limit.
    """
    _check(runs, purpose.columns)
    fitted = np.concatenate([_split(run)[0] for run in runs])
    held_back = [_split(run)[1] for run in runs]
    plane = _fit(fitted)
    threshold, alarm_share = _calibrate([plane.score(run) for run in held_back], purpose)
    weight = plane.varies / plane.spread
    model = anomaly_graph(
        plane.center.astype(np.float32),
        weight.astype(np.float32),
        (plane.mixing / threshold).astype(np.float32),
    )
    _check_parity(model, plane, np.concatenate(held_back), threshold=threshold)
    moved = [c for c, varies in zip(purpose.columns, plane.varies, strict=True) if varies]
    usable = [p for p in patterns if set(p.signs) <= set(moved)]
    manifest = AnomalyManifest(
        name=purpose.name,
        version=purpose.version,
        asset_type=purpose.asset_type,
        columns=purpose.columns,
        states=purpose.states,
        period_s=purpose.period_s,
        smoothing_s=purpose.smoothing_s,
        trained_rows=len(fitted),
        training_sha256=sha256(np.ascontiguousarray(fitted).tobytes()).hexdigest(),
        rollout=purpose.rollout,
    )
    canary, size, blind = _canary(
        model, manifest, held_back, [*single_patterns(moved), *usable], plane.spread
    )
    metrics = {
        "held_back_rows": float(sum(len(run) for run in held_back)),
        "held_back_alarm_share": alarm_share,
        "canary_faults": float(len(canary.fault_names)),
        "canary_size_sigma_max": size,
        "canary_peak_min": float(fault_peaks(model, manifest, canary).min()),
        "components": float(plane.component_count),
    }
    bundle = Bundle(
        manifest=manifest.model_copy(update={"metrics": metrics}), model=model, canary=canary
    )
    facts = {
        "these columns never changed and count for nothing": sorted({*purpose.columns} - {*moved}),
        "known faults left out for want of columns": [p.name for p in patterns if p not in usable],
        f"not found even at {FAULT_SIZES[-1]:g} sigma": blind,
    }
    notes = [f"{fact}: {', '.join(names)}" for fact, names in facts.items() if names]
    warning = size_warning(model)
    return Trained(bundle=bundle, notes=tuple([*notes, warning] if warning else notes))


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


def _fit(rows: FloatArray) -> _Plane:
    # Heavy: imported when a training begins.
    from sklearn.decomposition import PCA

    center = np.median(rows, axis=0)
    spread = _spread(rows)
    varies = spread > SPREAD_SHARE_MIN * np.maximum(np.abs(center), np.finfo(np.float32).tiny)
    if not varies.any():
        raise ModelError(
            "no column of the healthy rows varies: is it a recording of a running machine?"
        )
    spread = np.where(varies, spread, 1.0)
    steps = np.clip((rows - center) / spread, -OUTLIER_STEPS, OUTLIER_STEPS)[:, varies]
    # PCA takes the mean away; about the median instead, so that training and graph agree.
    pca = PCA(n_components=VARIANCE_SHARE, svd_solver="full").fit(steps)
    components, variance = pca.components_, pca.explained_variance_
    along = steps @ components.T
    off = steps - along @ components
    along_limit = np.quantile(np.sum(along**2 / variance, axis=1), 1 - FALSE_ALARM_SHARE)
    off_limit = max(
        np.quantile(np.sum(off**2, axis=1), 1 - FALSE_ALARM_SHARE), varies.sum() * RESIDUAL_MIN**2
    )
    on_plane = components.T @ np.diag(1 / np.sqrt(variance * along_limit)) @ components
    off_plane = (np.eye(varies.sum()) - components.T @ components) / np.sqrt(off_limit)
    mixing = np.zeros((rows.shape[1], rows.shape[1]))
    mixing[np.ix_(varies, varies)] = on_plane + off_plane
    return _Plane(
        center=center,
        spread=spread,
        varies=varies,
        mixing=mixing,
        component_count=len(components),
    )


def _spread(rows: FloatArray) -> FloatArray:
    """Return the standard deviation of each column as its bulk or its tails show it, the larger.

    The quartiles of a normal distribution are 1.349 standard deviations apart, the outermost
    half per cents 5.152. A column that is quiet in one operating point and jumps to another has
    wide tails; measured by its quartiles alone, the jumps would be the only thing the model sees.
    """
    tail_low, low, high, tail_high = np.quantile(rows, [0.005, 0.25, 0.75, 0.995], axis=0)
    spread: FloatArray = np.maximum((high - low) / 1.349, (tail_high - tail_low) / 5.152)
    return spread


def _calibrate(scores: Sequence[FloatArray], purpose: Purpose) -> tuple[float, float]:
    """Return the threshold, and the share of held-back rows whose average is above it.

    The average cuts a row at a multiple of the threshold, so the threshold is found in a few
    rounds, from a level that gross outliers do not reach.
    """
    threshold = float(np.quantile(np.concatenate(scores), _CALIBRATION_START))
    if threshold <= 0:
        raise ModelError("the held-back rows do not differ at all: is it a live recording?")
    for _ in range(_CALIBRATION_ROUNDS):
        averages = _averages([score / threshold for score in scores], purpose)
        threshold *= float(np.quantile(averages, 1 - FALSE_ALARM_SHARE))
    threshold *= MARGIN
    averages = _averages([score / threshold for score in scores], purpose)
    return threshold, float((averages > ALARM_SCORE).mean())


def _averages(scores: Sequence[FloatArray], purpose: Purpose) -> FloatArray:
    return np.concatenate(
        [
            smooth_runs(
                score[np.newaxis].astype(np.float32),
                period_s=purpose.period_s,
                smoothing_s=purpose.smoothing_s,
            )[0]
            for score in scores
            if len(score)
        ]
    )


def _check_parity(model: bytes, plane: _Plane, rows: FloatArray, *, threshold: float) -> None:
    by_formula = plane.score(rows) / threshold
    by_graph = row_scores(model, rows.astype(np.float32)).astype(np.float64)
    worst = float((np.abs(by_graph - by_formula) / np.maximum(by_formula, 1.0)).max())
    if not worst <= PARITY_MAX:
        raise ModelError(
            f"the exported graph differs from the formula by {worst:.1e}: a column with a large "
            "offset and a small spread? Take the offset away before training"
        )


def _canary(
    model: bytes,
    manifest: AnomalyManifest,
    held_back: Sequence[FloatArray],
    patterns: Sequence[FaultPattern],
    spread: FloatArray,
) -> tuple[Canary, float, list[str]]:
    """Return the cases, the largest size that a fault needed, and the faults never found."""
    source = max(held_back, key=len)
    wanted = ceil(_FAULT_SMOOTHINGS * manifest.smoothing_s / manifest.period_s)
    count = min(max(wanted, _FAULT_ROWS_MIN), _FAULT_ROWS_MAX, len(source))
    starts = np.linspace(0, len(source) - count, num=len(patterns)).astype(int)
    faults: list[Float32Array] = []
    names: list[str] = []
    sizes: list[float] = []
    blind: list[str] = []
    for pattern, start in zip(patterns, starts, strict=True):
        stretch = source[start : start + count]
        found = _found_fault(model, manifest, stretch, pattern, spread)
        if found is None:
            blind.append(pattern.name)
            continue
        size, rows = found
        faults.append(rows)
        names.append(f"{pattern.name} by {size:g} sigma")
        sizes.append(size)
    if not faults:
        raise ModelError(
            f"the model finds no fault, not even at {FAULT_SIZES[-1]:g} standard deviations: "
            "record the healthy machine longer, and only while it runs steadily"
        )
    healthy = np.concatenate(held_back)
    chosen = np.linspace(0, len(healthy) - 1, num=min(HEALTHY_ROWS_MAX, len(healthy))).astype(int)
    canary = Canary(
        healthy=healthy[chosen].astype(np.float32),
        faults=np.stack(faults),
        fault_names=tuple(names),
    )
    return canary, max(sizes), blind


def _found_fault(
    model: bytes,
    manifest: AnomalyManifest,
    stretch: FloatArray,
    pattern: FaultPattern,
    spread: FloatArray,
) -> tuple[float, Float32Array] | None:
    """Return the smallest size at which the model finds a fault well, and its rows, if any."""
    tried = [
        with_fault(stretch, pattern, size=size, columns=manifest.columns, spread=spread)
        for size in FAULT_SIZES
    ]
    faults = np.stack(tried).astype(np.float32)
    names = tuple(f"{size:g}" for size in FAULT_SIZES)
    case = Canary(healthy=faults[0][:1], faults=faults, fault_names=names)
    found = np.flatnonzero(fault_peaks(model, manifest, case) >= FAULT_PEAK_MIN)
    return (FAULT_SIZES[found[0]], faults[found[0]]) if len(found) else None
