"""The twins against the simulated plant as a black box: its parameters are hidden and random.

The nameplates are the defaults, so they are off by what they are off. Plants have a random seed
each; a row is 5 s of the plant's time, so that a day fits into a test.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from gateway.core.rows import AssetId, OperatingState
from gateway.simulate.faults import Fault, FaultKind, kinds_of
from gateway.simulate.plant import Plant
from tests.twins.frames import bound, plant_frames, plant_settings
from twins import AssetTwin, build_twins
from twins.health import NORMAL_SIGMAS

STEP_S = 5.0
COMMISSIONING_ROWS = 240
DAY_ROWS = round(86_400 / STEP_S)
ONSET_ROWS = 500
FAULT_ROWS = 500

ASSETS = ("P-101", "P-102", "K-01")


def twins_on(plant: Plant, *, rows: int) -> dict[str, AssetTwin]:
    """Let new twins watch the plant for a time and return each asset's."""
    return watch(build_twins(settings()), plant, rows=rows)


def settings() -> dict[AssetId, object]:
    return dict(plant_settings(commissioning_rows=COMMISSIONING_ROWS, period_s=STEP_S))


def watch(twins: Sequence[AssetTwin], plant: Plant, *, rows: int) -> dict[str, AssetTwin]:
    table = bound(twins)
    for frame in plant_frames(plant, table, rows=rows, step_s=STEP_S):
        for twin in twins:
            twin.update(frame)
    return {asset: twin for twin in twins for asset in twin.assets}
