"""Measures what a new model costs, and refuses one that a small gateway should not carry."""

import time
from collections.abc import Callable
from itertools import count
from typing import Final

import numpy as np

from analytics.anomaly.engines import open_engine
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest
from gateway.core.model_cost import ModelCost
from gateway.wire.bundle import Bundle, write_bundle

SIZE_BYTES_MAX: Final = 5_000_000
ROW_MS_MAX: Final = 1.0
"""Of one row on one core, the median: a percentile further out speaks of the training machine."""
_CALLS: Final = 300
_WARM_UP_CALLS: Final = 20
_DURATION_NS_MAX: Final = 3_000_000_000


def measure_cost(run_row: Callable[[], object], *, size_bytes: int) -> ModelCost:
    """Return what a model costs, in time of the processor: other work does not count.

    Args:
        run_row: Runs one row of one asset through the whole model.
        size_bytes: Of the bundle.
    """
    for _ in range(_WARM_UP_CALLS):
        run_row()
    times_ns: list[int] = []
    began_ns = time.perf_counter_ns()
    while len(times_ns) < _CALLS and time.perf_counter_ns() - began_ns < _DURATION_NS_MAX:
        started_ns = time.thread_time_ns()
        run_row()
        times_ns.append(time.thread_time_ns() - started_ns)
    p50, p99 = np.percentile(times_ns, [50, 99]) / 1e6
    return ModelCost(
        size_bytes=size_bytes, row_ms_p50=round(float(p50), 4), row_ms_p99=round(float(p99), 4)
    )


def anomaly_cost(bundle: Bundle, manifest: AnomalyManifest) -> ModelCost:
    """Return what an anomaly model costs, scoring one row of one asset."""
    assert bundle.canary is not None, "an anomaly model has canary cases"
    engine = open_engine(bundle.model, manifest, asset_count=1)
    row = bundle.canary.healthy[:1].astype(np.float64)
    counts = np.ones(1, dtype=np.bool_)
    times_ns = (round(k * manifest.period_s * 1e9) for k in count())
    return measure_cost(
        lambda: engine.update(next(times_ns), row, counts), size_bytes=len(write_bundle(bundle))
    )


def check_cost(cost: ModelCost, *, row_ms_max: float = ROW_MS_MAX) -> None:
    """Refuse a model above the budget.

    Args:
        cost: As measured.
        row_ms_max: What a row may take.
    Raises:
        ModelError: it is too large or too slow; says by how much, and what may be done.
    """
    complaints = []
    if cost.size_bytes > SIZE_BYTES_MAX:
        complaints.append(f"has {cost.size_bytes / 1e6:.1f} MB, at most {SIZE_BYTES_MAX / 1e6:g}")
    if cost.row_ms_p50 > row_ms_max:
        complaints.append(f"takes {cost.row_ms_p50:.2f} ms a row, at most {row_ms_max:g}")
    if complaints:
        raise ModelError(
            f"the model {' and '.join(complaints)}: train it on fewer columns, or say that it may "
            "be larger with --over-budget"
        )
