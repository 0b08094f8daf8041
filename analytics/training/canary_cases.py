"""Makes the canary cases of a new model: known faults at the smallest size that it finds well."""

from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np

from analytics.canary import fault_peaks
from analytics.training.faults import FaultPattern, with_fault
from gateway.core.arrays import Float32Array, FloatArray
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest
from gateway.wire.bundle import Canary

FAULT_SIZES: Final = (
    *(4.0, 4.5, 5.0, 5.6, 6.3, 7.0, 8.0, 9.0, 10.0, 11.0, 12.5, 14.0, 16.0, 24.0),
    *(36.0, 50.0, 75.0, 100.0, 200.0, 500.0, 1000.0),
)
"""Spreads that a known fault is tried with, until the model finds it well."""
FAULT_PEAK_MIN: Final = 1.3
"""A known fault is found well when its score reaches this: no later version, a little less
sensitive for good reasons, fails on it by a hair."""
HEALTHY_ROWS_MAX: Final = 200
"""Healthy rows among the canary cases."""
CASES_SIZE_BYTES_MAX: Final = 2_000_000
"""Of the faults together: a machine of hundreds of columns has some of them as cases, not all."""
_FAULT_ROWS_MIN: Final = 30
_FAULT_ROWS_MAX: Final = 120
_FAULT_SMOOTHINGS: Final = 6.0


def make_canary(
    model: bytes,
    manifest: AnomalyManifest,
    held_back: Sequence[FloatArray],
    patterns: Sequence[FaultPattern],
    spread: FloatArray,
) -> tuple[Canary, float, list[str]]:
    """Return the cases, the largest size that a fault needed, and the faults never found.

    Args:
        model: The graph.
        manifest: What is said of it.
        held_back: Healthy stretches, shape (r, m) each, in the order of time.
        patterns: Known faults.
        spread: Of each column, in which the sizes are counted, shape (m,).
    Raises:
        ModelError: the model finds no fault of any size.
    """
    source = max(held_back, key=len)
    wanted = ceil(_FAULT_SMOOTHINGS * manifest.smoothing_s / manifest.period_s)
    count = min(max(wanted, _FAULT_ROWS_MIN), _FAULT_ROWS_MAX, len(source))
    patterns = _some(patterns, case_size_bytes=count * source.shape[1] * 4)
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


def _some(patterns: Sequence[FaultPattern], *, case_size_bytes: int) -> list[FaultPattern]:
    """Return evenly chosen patterns, as many as there is room for."""
    count = min(len(patterns), max(CASES_SIZE_BYTES_MAX // case_size_bytes, 1))
    return [patterns[k] for k in np.linspace(0, len(patterns) - 1, num=count).round().astype(int)]


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
