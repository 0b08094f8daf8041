"""What the anomaly model costs with forty tags: made-up signals, for time does not ask what of."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray
from gateway.proof.reading import recording, steady_times
from gateway.proof.rows import Row
from gateway.proof.subject import Subject
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "budget"
TAGS: Final = 40
LOADS: Final = 4
"""So many common causes move all tags."""
INERTIA: Final = 0.9
HEALTHY_ROWS: Final = 3_000
TEST_ROWS: Final = 600
ASSETS: Final = 1_000
SEED: Final = 1


def is_there(folder: Path) -> bool:
    """Whether it can be measured: always, it needs no recordings."""
    del folder
    return True


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return all figures, measured in this process with nothing else in it."""
    del folder, workers
    value = signals(HEALTHY_ROWS + TEST_ROWS)
    columns = [f"tag_{k}" for k in range(TAGS)]
    times_ns = steady_times(len(value), 1.0)
    healthy = recording(times_ns[:HEALTHY_ROWS], columns, value[:HEALTHY_ROWS])
    test = recording(times_ns[HEALTHY_ROWS:], columns, value[HEALTHY_ROWS:])
    watched = subject.watch(healthy, test)
    tell(f"{TAGS} tags")
    crowd_ms = None if watched.refusal else subject.crowd_ms(healthy, ASSETS)
    tell(f"{ASSETS} assets")
    value_by_metric = {
        "anomaly, ms a row of 40 tags": watched.latency_ms,
        "anomaly, kB of the bundle": watched.size_kb,
        "anomaly, kB remembered": watched.state_kb,
        "anomaly, ms for 1,000 assets": crowd_ms,
    }
    return [
        Row(
            set_name=NAME,
            metric=metric,
            value=value,
            target=target(NAME, metric),
            latency_ms=watched.latency_ms,
            size_kb=watched.size_kb,
            note=watched.refusal,
        )
        for metric, value in value_by_metric.items()
    ]


def signals(count: int) -> FloatArray:
    """Return slow signals with common causes and noise of their own, shape (count, 40)."""
    rng = np.random.default_rng(SEED)
    loads = np.zeros((count, LOADS))
    for k in range(1, count):
        loads[k] = INERTIA * loads[k - 1] + rng.normal(size=LOADS)
    return np.asarray(loads @ rng.normal(size=(LOADS, TAGS)) + rng.normal(size=(count, TAGS)))
