"""Tries a version out on the cases that its bundle carries, outside the running chain."""

from collections.abc import Callable
from typing import Final

import numpy as np

from analytics.anomaly.engines import open_engine
from analytics.runtime import RowScorer
from analytics.scoring import ALARM_SCORE, open_bundle
from analytics.smoothing import Smoother
from gateway.core.arrays import Float32Array, FloatArray
from gateway.core.manifest import AnomalyManifest
from gateway.core.models import CanaryReport
from gateway.wire.bundle import Canary

CALLS: Final = 200
"""Calls that the latency is measured on: enough for a 99th percentile."""
CALLS_NS_MAX: Final = 1_000_000_000
"""A slow model is cut short, but not before `CALLS_MIN`."""
CALLS_MIN: Final = 20


def try_bundle(data: bytes, *, asset_count: int, monotonic_ns: Callable[[], int]) -> CanaryReport:
    """Run a bundle's canary cases.

    Args:
        data: The bytes of an `.ewm` file.
        asset_count: Rows in each call whose latency is measured.
        monotonic_ns: Tells the time for the latency.
    Raises:
        ModelError: the bundle is damaged, or its graph does not run.
    """
    bundle, manifest = open_bundle(data)
    canary = bundle.canary
    assert canary is not None, "an anomaly bundle has cases"
    peaks = fault_peaks(bundle.model, manifest, canary)
    healthy = run_scores(bundle.model, manifest, canary.healthy[np.newaxis])
    return CanaryReport(
        fault_count=len(canary.fault_names),
        missed=tuple(
            name
            for name, peak in zip(canary.fault_names, peaks, strict=True)
            if not peak > ALARM_SCORE
        ),
        latency_ms_p99=_latency_ms_p99(
            bundle.model,
            manifest,
            canary.healthy,
            asset_count=asset_count,
            monotonic_ns=monotonic_ns,
        ),
        is_finite=bool(np.isfinite(peaks).all() and np.isfinite(healthy).all()),
    )


def row_scores(model: bytes, rows: Float32Array) -> Float32Array:
    """Return the score of each row by itself, not averaged, by a model of distance.

    Args:
        model: The graph.
        rows: Shape (n, m).
    Returns:
        Shape (n,).
    """
    scorer = RowScorer(model, row_count=len(rows), column_count=rows.shape[1])
    score, _ = scorer.run(rows, np.ones(len(rows), dtype=np.bool_))
    return score


def fault_peaks(model: bytes, manifest: AnomalyManifest, canary: Canary) -> FloatArray:
    """Return the highest score, averaged over time, that each fault reaches, shape (f,).

    NaN where the model gave no number for one of its rows.
    """
    return np.asarray(run_scores(model, manifest, canary.faults).max(axis=1), dtype=np.float64)


def run_scores(model: bytes, manifest: AnomalyManifest, runs: Float32Array) -> FloatArray:
    """Return the scores of runs as the detector gives them, each run as an asset of its own.

    Args:
        model: The graph.
        manifest: What is said of it.
        runs: One run each, in time order, shape (f, r, m).
    Returns:
        Shape (f, r); 0 while the model waits for more rows, NaN where it gave no number.
    """
    run_count, row_count, _ = runs.shape
    engine = open_engine(model, manifest, asset_count=run_count)
    counts = np.ones(run_count, dtype=np.bool_)
    scores = np.empty((run_count, row_count))
    for row in range(row_count):
        time_ns = round(row * manifest.period_s * 1e9)
        assessed = engine.update(time_ns, runs[:, row].astype(np.float64), counts)
        scores[:, row] = np.where(assessed.is_waiting, 0.0, assessed.score)
    return scores


def smooth_runs(scores: Float32Array, *, period_s: float, smoothing_s: float) -> FloatArray:
    """Return the scores of runs averaged over time as the detector does it.

    Args:
        scores: One run a row, in time order, shape (f, r).
        period_s: Time between the rows.
        smoothing_s: Time constant of the average.
    Returns:
        Shape (f, r); NaN where a score is no number.
    """
    run_count, row_count = scores.shape
    smoother = Smoother(asset_count=run_count, column_count=1, smoothing_s=smoothing_s)
    nothing = np.zeros((run_count, 1), dtype=np.float32)
    steps = [
        smoother.update(round(r * period_s * 1e9), scores[:, r], nothing, np.isfinite(scores[:, r]))
        for r in range(row_count)
    ]
    return np.stack(steps, axis=1)


def _latency_ms_p99(
    model: bytes,
    manifest: AnomalyManifest,
    healthy: Float32Array,
    *,
    asset_count: int,
    monotonic_ns: Callable[[], int],
) -> float:
    """Return the 99th percentile of the time of one call with a row for each asset."""
    engine = open_engine(model, manifest, asset_count=asset_count)
    counts = np.ones(asset_count, dtype=np.bool_)
    latencies_ns: list[int] = []
    while len(latencies_ns) < CALLS:
        if len(latencies_ns) >= CALLS_MIN and sum(latencies_ns) > CALLS_NS_MAX:
            break
        row = healthy[len(latencies_ns) % len(healthy)].astype(np.float64)
        rows = np.tile(row, (asset_count, 1))
        time_ns = round(len(latencies_ns) * manifest.period_s * 1e9)
        started_ns = monotonic_ns()
        engine.update(time_ns, rows, counts)
        latencies_ns.append(monotonic_ns() - started_ns)
    return float(np.percentile(latencies_ns, 99)) / 1e6
