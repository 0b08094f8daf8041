"""Trains the classifier of faults from recordings with known faults.

Theory. Few machines with a fault are ever recorded, so the classifier must not learn machines. It
sees only how clearly lines stand out (`analytics.vibration.evidence`), and it has little freedom:

- Which fault: linear discriminants (Fisher 1936) with a covariance that is drawn 60 % of the way
  to a sphere (Friedman 1989). Each fault counts alike, and in it each group of recordings alike,
  so neither a long recording nor a fault that was recorded often outweighs the others. Boosting
  and forests on the same columns were worse on bearings they had not seen.
- Whether at all: how far a row lies above the healthy ones, in strength of the strongest line,
  kurtosis and ringing. What healthy machines vary is never taken to be less than a tolerance,
  since one recording shows nothing of other machines. At two and a half times that a fault is as
  likely as none.

The probabilities are made as sharp as whole groups kept apart bear out (Guo 2017, temperature).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import numpy as np

from analytics.training.cost import measure_cost
from analytics.training.vibration_graph import Health, vibration_graph
from analytics.vibration.diagnosis import (
    FAULTS,
    MODEL_COLUMNS,
    PATTERN_COLUMNS,
    SHAFT_FAULTS,
    diagnose,
    model_row,
)
from analytics.vibration.evidence import FEATURES, is_measurable, windows
from analytics.vibration.indicators import Machine, indicators
from analytics.vibration.learned import LearnedClassifier
from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.errors import ModelError
from gateway.core.vibration_manifest import FaultLabel, VibrationManifest
from gateway.wire.bundle import Bundle, write_bundle

SHRINKAGE: Final = 0.6
FOLDS_MAX: Final = 10
WINDOWS_MIN: Final = 4
"""Of each fault; with fewer its own variation is a guess."""
HEALTH_TOLERANCE: Final = {"strongest_db": 1.5, "log_kurtosis": 0.3, "impact_ratio_db": 1.5}
"""Standard deviation that healthy machines have at the least, by column, in decibels."""
HEALTH_START: Final = 2.5
HEALTH_STEEPNESS: Final = 1.5

PARITY: Final = 1e-4
"""The graph may differ from the formulas by so much."""
COST_SAMPLES: Final = 4096

_TEMPERATURES: Final = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownFault:
    """A recording of a machine whose fault is known."""

    acceleration_g: FloatArray
    """Shape (n,), evenly sampled, finite."""
    rate_hz: float
    """Samples in a second."""
    speed_hz: float
    """Turns of the shaft in a second, above 0."""
    machine: Machine
    """With its bearing."""
    fault: FaultLabel
    """What is known."""
    group: str
    """Recordings of one group are never on both sides of a test: a bearing, or a file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A classifier in numpy."""

    faults: tuple[FaultLabel, ...]
    """Without "none", k of them."""
    weight: FloatArray
    """Shape (m, k)."""
    offset: FloatArray
    """Shape (k,)."""
    health: Health | None
    """None when no healthy machine was seen."""
    neutral: FloatArray
    """What stands for a value that is not known, shape (m,)."""

    @property
    def labels(self) -> tuple[FaultLabel, ...]:
        """Of the probabilities."""
        return self.faults if self.health is None else ("none", *self.faults)

    def probabilities(self, rows: FloatArray, temperature: float) -> FloatArray:
        """Return probabilities, shape (n, k) or (n, k + 1), of rows of shape (n, m)."""
        known = np.where(np.isfinite(rows), rows, self.neutral)
        logits = (known @ self.weight + self.offset) / temperature
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        fault = odds / odds.sum(axis=1, keepdims=True)
        if self.health is None:
            return np.asarray(fault)
        above = np.maximum(0.0, (known - self.health.center) * self.health.weight)
        distance = np.sqrt(np.sum(above * above, axis=1))
        any_fault = 1 / (1 + np.exp(-self.health.steepness * (distance - self.health.start)))
        return np.column_stack((1 - any_fault, fault * any_fault[:, None]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedVibration:
    """A bundle, and what was noticed."""

    bundle: Bundle
    """Ready to be written."""
    manifest: VibrationManifest
    """That of the bundle."""
    notes: tuple[str, ...]
    """What whoever trains should know."""
    fit: Fit
    """What the graph computes, in numpy."""
    temperature: float
    """Logits are divided by it."""

    def probabilities(self, rows: FloatArray) -> FloatArray:
        """Return what the graph returns, by the formulas; rows of `MODEL_COLUMNS`, shape (n, m)."""
        return self.fit.probabilities(rows, self.temperature)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Rows of all windows."""

    value: FloatArray
    """Shape (n, m), in the order of `MODEL_COLUMNS`; NaN where not known."""
    fault: tuple[FaultLabel, ...]
    group: tuple[str, ...]

    def chosen(self, mask: BoolArray) -> "_Rows":
        """Return the rows where the mask, shape (n,), is true."""
        at = np.flatnonzero(mask)
        return _Rows(
            value=self.value[at],
            fault=tuple(self.fault[k] for k in at),
            group=tuple(self.group[k] for k in at),
        )


def train_vibration(
    recordings: Sequence[KnownFault], *, name: str, version: str
) -> TrainedVibration:
    """Fit the classifier and make its bundle.

    Args:
        recordings: At least two faults among them ("none" counts), 4 windows of each.
        name: Of the model, over its versions.
        version: `major.minor`.
    Raises:
        ModelError: the recordings are too few, too short or too slow; says which. Or the graph
            does not do what the formulas do.
        ValueError: a sample is not finite.
    """
    rows = _rows(recordings)
    fit = _fit(rows)
    temperature, metrics, notes = _kept_apart(rows, fit)
    model = vibration_graph(
        (fit.weight / temperature).astype(np.float32),
        (fit.offset / temperature).astype(np.float32),
        fit.health,
    )
    manifest = VibrationManifest(
        name=name,
        version=version,
        labels=fit.labels,
        columns=MODEL_COLUMNS,
        neutral=tuple(float(each) for each in fit.neutral),
        trained_recordings=len(recordings),
        trained_windows=len(rows.value),
        training_sha256=sha256(np.ascontiguousarray(rows.value).tobytes()).hexdigest(),
        metrics=metrics,
    )
    if fit.health is None:
        notes = (*notes, "no recording is of a healthy machine: it tells which fault, not whether")
    bundle = _measured(manifest, model, recordings[0])
    found = LearnedClassifier(write_bundle(bundle)).probabilities(rows.value)
    difference = float(np.abs(found - fit.probabilities(rows.value, temperature)).max())
    if not difference <= PARITY:
        raise ModelError(f"the graph differs from the formulas by {difference:.2g}")
    assert isinstance(bundle.manifest, VibrationManifest)
    return TrainedVibration(
        bundle=bundle,
        manifest=bundle.manifest,
        notes=notes,
        fit=fit,
        temperature=temperature,
    )


def _measured(manifest: VibrationManifest, model: bytes, example: KnownFault) -> Bundle:
    """Return the bundle with what one diagnosis costs."""
    bundle = Bundle(manifest=manifest, model=model, canary=None)
    data = write_bundle(bundle)
    classifier = LearnedClassifier(data)
    signal = example.acceleration_g[:COST_SAMPLES]

    def run_window() -> object:
        return diagnose(signal, example.rate_hz, example.speed_hz, example.machine, classifier)

    cost = measure_cost(run_window, size_bytes=len(data))
    return replace(bundle, manifest=manifest.model_copy(update={"cost": cost}))


def _rows(recordings: Sequence[KnownFault]) -> _Rows:
    value: list[FloatArray] = []
    fault: list[FaultLabel] = []
    group: list[str] = []
    for k, each in enumerate(recordings, 1):
        bearing = each.machine.bearing
        if bearing is None:
            raise ModelError(f"recording {k} has no bearing")
        pieces = windows(each.acceleration_g, rate_hz=each.rate_hz, speed_hz=each.speed_hz)
        if not is_measurable(len(pieces[0]), each.rate_hz, each.speed_hz, bearing):
            raise ModelError(
                f"recording {k} ({len(each.acceleration_g)} samples at {each.rate_hz:g} Hz, "
                f"{each.speed_hz:g} turns a second) is too short or too slow for its bearing"
            )
        for piece in pieces:
            found = indicators(piece, each.rate_hz, each.speed_hz, each.machine)
            value.append(model_row(found, each.machine))
            fault.append(each.fault)
            group.append(each.group)
    counts = {label: fault.count(label) for label in FAULTS if label in fault}
    few = [f"{label} has {count}" for label, count in counts.items() if count < WINDOWS_MIN]
    if len(counts) < 2 or few:
        raise ModelError(
            f"at least two faults with {WINDOWS_MIN} windows of ten turns each are needed: "
            + (", ".join(few) or f"all recordings are of {', '.join(counts)}")
        )
    return _Rows(value=np.array(value), fault=tuple(fault), group=tuple(group))


def _fit(rows: _Rows) -> Fit:
    present = set(rows.fault)
    faults = tuple(label for label in FAULTS if label in present and label != "none")
    label, group = np.array(rows.fault), np.array(rows.group)
    healthy = rows.value[label == "none"]
    reference = healthy if len(healthy) else rows.value
    known = np.isfinite(reference)
    count = np.maximum(known.sum(axis=0), 1)
    neutral = np.where(known, reference, 0.0).sum(axis=0) / count
    value = np.where(np.isfinite(rows.value), rows.value, neutral)
    weight, offset = _discriminants(value, label, group, faults)
    health = None if not len(healthy) else _health(value[label == "none"])
    return Fit(faults=faults, weight=weight, offset=offset, health=health, neutral=neutral)


def _discriminants(
    value: FloatArray,
    label: np.ndarray[tuple[int, ...], np.dtype[np.str_]],
    group: np.ndarray[tuple[int, ...], np.dtype[np.str_]],
    faults: tuple[FaultLabel, ...],
) -> tuple[FloatArray, FloatArray]:
    """Return weight (m, k) and offset (k,) of the linear discriminants of the faults."""
    used = [MODEL_COLUMNS.index(name) for name in FEATURES]
    if set(faults) & set(SHAFT_FAULTS):
        used += [MODEL_COLUMNS.index(name) for name in PATTERN_COLUMNS]
    means = np.zeros((len(faults), len(used)))
    within = np.zeros((len(used), len(used)))
    for k, fault in enumerate(faults):
        parts = [
            value[(label == fault) & (group == each)][:, used]
            for each in np.unique(group[label == fault])
        ]
        means[k] = np.mean([part.mean(axis=0) for part in parts], axis=0)
        for part in parts:
            moved = part - means[k]
            within += moved.T @ moved / (len(part) * len(parts) * len(faults))
    sphere = max(float(np.trace(within)) / len(used), 1e-6)
    covariance = (1 - SHRINKAGE) * within + SHRINKAGE * sphere * np.eye(len(used))
    direction = np.linalg.solve(covariance, means.T)
    weight = np.zeros((value.shape[1], len(faults)))
    weight[used] = direction
    return weight, -0.5 * np.einsum("km,mk->k", means, direction)


def _health(healthy: FloatArray) -> Health:
    center = healthy.mean(axis=0)
    weight = np.zeros(healthy.shape[1])
    for name, tolerance in HEALTH_TOLERANCE.items():
        at = MODEL_COLUMNS.index(name)
        weight[at] = 1 / np.sqrt(healthy[:, at].var() + tolerance**2)
    return Health(
        center=center.astype(np.float32),
        weight=weight.astype(np.float32),
        start=HEALTH_START,
        steepness=HEALTH_STEEPNESS,
    )


def _kept_apart(rows: _Rows, whole: Fit) -> tuple[float, dict[str, float], tuple[str, ...]]:
    """Return the temperature, and what was measured with whole groups kept apart."""
    label, fold = np.array(rows.fault), _folds(rows)
    told = np.full((len(rows.value), len(_TEMPERATURES), len(FAULTS)), np.nan)
    for held in range(fold.max() + 1):
        rest = rows.chosen(fold != held)
        if len(set(rest.fault) - {"none"}) < 1 or len(set(rest.fault)) < 2:
            continue
        fit = _fit(rest)
        at = [FAULTS.index(each) for each in fit.labels]
        chosen = np.flatnonzero((fold == held) & np.isin(label, fit.labels))
        for k, temperature in enumerate(_TEMPERATURES):
            each = np.zeros((len(chosen), len(FAULTS)))
            each[:, at] = fit.probabilities(rows.value[chosen], temperature)
            told[chosen, k] = each
    is_told = np.isfinite(told[:, 0, 0])
    metrics = {"groups": float(len(set(rows.group)))}
    untold = sorted(set(rows.fault) - set(label[is_told].tolist()))
    notes: tuple[str, ...] = ()
    if untold:
        notes = (f"{', '.join(untold)}: one group only, so nobody knows how well it is told",)
    if not is_told.any():
        return 1.0, metrics, notes
    truth = np.array([FAULTS.index(each) for each in rows.fault])[is_told]
    odds = told[is_told][np.arange(len(truth)), :, truth]
    # Each fault counts alike.
    share = np.array([1 / np.sum(truth == each) for each in truth])
    losses = -np.sum(np.log(np.maximum(odds, 1e-9)) * share[:, None], axis=0) / share.sum()
    best = int(losses.argmin())
    found = told[is_told][:, best].argmax(axis=1)
    recalls = {int(each): float((found[truth == each] == each).mean()) for each in set(truth)}
    metrics |= {
        "balanced_accuracy": float(np.mean(list(recalls.values()))),
        "log_loss": float(losses[best]),
        "temperature": _TEMPERATURES[best],
    }
    metrics |= {f"recall_{FAULTS[each]}": recall for each, recall in sorted(recalls.items())}
    assert set(whole.labels) >= {FAULTS[each] for each in recalls}
    return _TEMPERATURES[best], metrics, notes


def _folds(rows: _Rows) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Return the fold of each row: groups dealt out in turn, fault by fault."""
    fold_by_group: dict[str, int] = {}
    for label in FAULTS:
        for each in sorted({g for g, f in zip(rows.group, rows.fault, strict=True) if f == label}):
            fold_by_group.setdefault(each, len(fold_by_group) % FOLDS_MAX)
    return np.array([fold_by_group[each] for each in rows.group])
