"""Sets whose labels are compared with the scores themselves, without a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.scorers.ranking import period_rows, vus_pr
from gateway.core.arrays import BoolArray, FloatArray
from gateway.proof.costs import largest, median
from gateway.proof.plain import fit_components, largest_z, window_distance
from gateway.proof.reading import recording, steady_times
from gateway.proof.rows import Row, Target
from gateway.proof.subject import Subject, Watched

BASELINE: Final = "max |z|"
RANDOM_SEED: Final = 1
REFUSALS_MAX: Final = 3
"""So many are told in full."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """A healthy recording and a test recording of the same m columns."""

    name: str
    columns: tuple[str, ...]
    healthy: FloatArray
    """Shape (n, m)."""
    test: FloatArray
    """Shape (k, m)."""
    truth: BoolArray
    """Shape (k,)."""
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """How well the scores of one series rank its labelled rows."""

    name: str
    volume: float
    """VUS-PR of the subject."""
    volume_by_plain: tuple[tuple[str, float], ...]
    latency_ms: float | None
    size_kb: float | None
    refusal: str


def rank(subject: Subject, series: Series) -> tuple[Ranked, Watched]:
    """Train on the healthy recording and score the other one."""
    healthy, test = series.healthy, series.test
    watched = subject.watch(
        recording(steady_times(len(healthy), series.period_s), series.columns, healthy),
        recording(steady_times(len(test), series.period_s), series.columns, test),
    )
    window = period_rows(test[:, 0])
    plain = {
        BASELINE: largest_z(healthy, test),
        "PCA": fit_components(healthy).ratios(test),
        "window k-means": window_distance(healthy, test),
        "at random": np.random.default_rng(RANDOM_SEED).random(len(test)),
    }
    ranked = Ranked(
        name=series.name,
        volume=vus_pr(series.truth, watched.ranking, window_rows=window),
        volume_by_plain=tuple(
            (name, vus_pr(series.truth, score, window_rows=window)) for name, score in plain.items()
        ),
        latency_ms=watched.latency_ms,
        size_kb=watched.size_kb,
        refusal=watched.refusal,
    )
    return ranked, watched


def volume_row(
    judged: Sequence[Ranked], *, set_name: str, metric: str, limits: Target, note: str = ""
) -> Row:
    """Return the mean over the series, with those beside that could not be learnt."""
    plain = {
        name: float(np.mean([dict(each.volume_by_plain)[name] for each in judged]))
        for name, _ in judged[0].volume_by_plain
    }
    refusals = [f"{each.name} refused: {each.refusal}" for each in judged if each.refusal]
    return Row(
        set_name=set_name,
        metric=metric,
        value=float(np.mean([each.volume for each in judged])),
        target=limits,
        baseline=plain.pop(BASELINE),
        baseline_name=BASELINE,
        beside=tuple(plain.items()),
        latency_ms=median(each.latency_ms for each in judged),
        size_kb=largest(each.size_kb for each in judged),
        note="; ".join([note] * bool(note) + refusals[:REFUSALS_MAX]),
    )
