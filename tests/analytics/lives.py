"""Simulated lives: machines at one of two settings, whose wear grows faster and faster."""

from functools import cache

import numpy as np

from analytics.training.rul import Life, RulPurpose, TrainedLife, train_rul
from gateway.core.arrays import FloatArray

COLUMNS = ("load", "still", "heat", "shake", "flow")
CAP = 40.0
FADING = 15.0
"""Cycles in which the wear grows by the factor e."""


def life(seed: int, *, unit: str = "", period: float = 1.0) -> Life:
    """One machine of 60 to 120 rows; what it shows depends more on its setting than on wear."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(60, 120))
    left = np.arange(count)[::-1]
    wear = np.exp(-left / FADING)
    load = generator.choice([10.0, 30.0], count) + generator.normal(0, 0.01, count)
    own = generator.normal(0, 0.3, 2)
    noise = generator.normal(0, 0.15, (count, 3))
    return Life(
        unit=unit or f"machine-{seed}",
        time=np.arange(count, dtype=np.float64) * period + 1.0,
        value=np.column_stack(
            [
                load,
                np.full(count, 7.0),
                2 * load + 3 * wear + own[0] + noise[:, 0],
                50 - load + 4 * wear**2 + own[1] + noise[:, 1],
                300 - 5 * load + noise[:, 2],
            ]
        ),
    )


def purpose(*, cap: float | None = CAP) -> RulPurpose:
    """What the simulated lives are learnt for."""
    return RulPurpose(
        name="machine-life", version="1.0", asset_type="machine", columns=COLUMNS, cap=cap
    )


@cache
def trained() -> TrainedLife:
    """One model for all tests: learning takes seconds."""
    return train_rul([life(seed) for seed in range(30)], purpose())


def rows_of(lives: list[Life], k: int) -> tuple[FloatArray, FloatArray]:
    """Time and values of the k-th row of each life."""
    return np.array([each.time[k] for each in lives]), np.array([each.value[k] for each in lives])
