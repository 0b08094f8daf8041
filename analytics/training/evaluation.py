"""Compares two versions of an anomaly model on the same rows and the same known faults.

Two thresholds cannot be compared: whoever lowers his finds more faults and raises more false
alarms. So the faults are measured at equal shares of false alarms, and each version's own
threshold only by the false alarms that it leads to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.canary import row_scores, run_scores
from analytics.scoring import ALARM_SCORE, open_bundle
from gateway.core.arrays import Float32Array, FloatArray
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest, Method
from gateway.wire.bundle import Canary

EQUAL_SHARE: Final = 0.001
"""Share of healthy rows above the level at which faults are measured."""
SEPARATION_KEPT_MIN: Final = 0.9
"""A better version keeps at least this part of the separation of the incumbent."""
SEPARATION_GAIN_MIN: Final = 1.05
ALARM_SHARE_GAIN_MAX: Final = 0.8
"""Fewer false alarms are a reason when they are at most this part of the incumbent's."""
ALARM_SHARE_FREE_MAX: Final = 0.005
"""Below it, shares of false alarms count as equal: an hour of held-back rows, averaged over ten
seconds, is some 400 independent looks, and two of them above the limit are chance."""

_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How one version did."""

    version: str
    rows: int
    """Healthy rows that it was measured on."""
    alarm_share: float
    """Share of healthy rows on which it alarms by its own threshold: all false."""
    missed: tuple[str, ...]
    """Known faults on which it stays silent by its own threshold."""
    separation: float
    """Geometric mean over the faults of the score in the fault over the score that
    `EQUAL_SHARE` of the healthy rows exceed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the candidate takes the incumbent's place."""

    is_better: bool
    reason: str
    """One sentence with the figures."""


def evaluate(
    data: bytes, runs: Sequence[FloatArray], *, columns: Sequence[str], faults: Canary
) -> Evaluation:
    """Measure a version on held-back healthy rows and known faults.

    Args:
        data: The bytes of an `.ewm` file.
        runs: Healthy rows that no version was fitted on, one recording a machine, each (n, m).
        columns: Names of the m columns of runs and faults; the model may read some of them.
        faults: Known faults, such as the canary cases of one of the two versions.
    Raises:
        ModelError: the bundle is damaged, wants other columns, or there is not one row.
    """
    bundle, manifest = open_bundle(data)
    missing = [name for name in manifest.columns if name not in columns]
    if missing or not sum(len(run) for run in runs):
        raise ModelError(f"{manifest.name} {manifest.version}: no rows, or no columns {missing}")
    chosen = [list(columns).index(name) for name in manifest.columns]
    fault_rows = faults.faults[:, :, chosen]
    healthy = [run[np.newaxis][:, :, chosen].astype(np.float32) for run in runs if len(run)]
    scores = np.concatenate([run_scores(bundle.model, manifest, run)[0] for run in healthy])
    peaks = run_scores(bundle.model, manifest, fault_rows).max(axis=1)
    by_row = np.concatenate([_sharp_scores(bundle.model, manifest, run)[0] for run in healthy])
    level = float(np.quantile(by_row, 1 - EQUAL_SHARE))
    typical = np.median(_sharp_scores(bundle.model, manifest, fault_rows), axis=1)
    return Evaluation(
        version=manifest.version,
        rows=len(scores),
        # What is no number is an alarm here: a model that gives none must not look quiet.
        alarm_share=float((~(scores <= ALARM_SCORE)).mean()),
        missed=tuple(
            name
            for name, peak in zip(faults.fault_names, peaks, strict=True)
            if not peak > ALARM_SCORE
        ),
        separation=_separation(typical, level),
    )


def compare(candidate: Evaluation, incumbent: Evaluation) -> Verdict:
    """Decide whether a candidate is better than the version in force, on the same rows.

    It is when it finds every fault that the incumbent finds, raises no more false alarms, keeps
    nine tenths of the separation, and is clearly better in one of the three.
    """
    lost = sorted(set(candidate.missed) - set(incumbent.missed))
    if lost:
        return Verdict(
            is_better=False, reason=f"it misses {lost[0]}, which {incumbent.version} finds"
        )
    shares = (
        f"false alarms on {candidate.alarm_share:.2%} of the rows, "
        f"before {incumbent.alarm_share:.2%}"
    )
    if candidate.alarm_share > max(incumbent.alarm_share, ALARM_SHARE_FREE_MAX):
        return Verdict(is_better=False, reason=shares)
    gain = candidate.separation / max(incumbent.separation, _TINY)
    parts = f"separation of faults {candidate.separation:.2f}, before {incumbent.separation:.2f}"
    if not gain >= SEPARATION_KEPT_MIN:
        return Verdict(is_better=False, reason=parts)
    found = sorted(set(incumbent.missed) - set(candidate.missed))
    if found:
        return Verdict(
            is_better=True, reason=f"it finds {found[0]}, which {incumbent.version} misses"
        )
    is_quieter = (
        incumbent.alarm_share > ALARM_SHARE_FREE_MAX
        and candidate.alarm_share <= ALARM_SHARE_GAIN_MAX * incumbent.alarm_share
    )
    if is_quieter:
        return Verdict(is_better=True, reason=shares)
    return Verdict(is_better=gain >= SEPARATION_GAIN_MIN, reason=f"{parts}; {shares}")


def _sharp_scores(model: bytes, manifest: AnomalyManifest, runs: Float32Array) -> FloatArray:
    """Return scores of runs (f, r, m) that are not cut where faults are large, shape (f, r)."""
    if manifest.method is not Method.DISTANCE:
        return run_scores(model, manifest, runs)
    return row_scores(model, runs.reshape(-1, runs.shape[2])).reshape(runs.shape[:2]).astype(float)


def _separation(typical: FloatArray, level: float) -> float:
    """Return the geometric mean of scores over a level; what is no number separates nothing."""
    if not np.isfinite(level):
        return 0.0
    ratio = np.nan_to_num(typical, nan=0.0) / max(level, _TINY)
    return float(np.exp(np.log(np.maximum(ratio, _TINY)).mean()))
