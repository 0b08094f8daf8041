"""The twins against the simulated plant as a black box: its parameters are hidden and random.

The nameplates are the defaults, so they are off by whatever they are off. Plants have a seed each;
a row is 5 s of the plant's time, so that a day fits into a test.
"""

import numpy as np
import pytest

from gateway.core.arrays import FloatArray
from gateway.core.rows import AssetId, OperatingState
from gateway.simulate.faults import Fault, FaultKind
from gateway.simulate.plant import Plant
from tests.twins.frames import bound, plant_frames, plant_settings
from twins import AssetTwin, build_twins
from twins.health import NORMAL_SIGMAS

STEP_S = 5.0
COMMISSIONING_ROWS = 240
DAY_ROWS = round(86_400 / STEP_S)
ONSET_ROWS = 400
"""Of a fault: after commissioning."""
FAULT_ROWS = 400
GROWTH_S = 600.0


class Watch:
    """The twins of a plant, and what they thought of it over time."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.twins = build_twins(
            plant_settings(commissioning_rows=COMMISSIONING_ROWS, period_s=STEP_S)
        )
        self._table = bound(self.twins)
        self.health: dict[AssetId, list[float]] = {}
        self.sigmas: dict[AssetId, list[FloatArray]] = {}
        self.residuals: dict[AssetId, list[FloatArray]] = {}

    def run(self, rows: int) -> None:
        for frame in plant_frames(self.plant, self._table, rows=rows, step_s=STEP_S):
            for twin in self.twins:
                for row in twin.update(frame).rows:
                    self._note(twin, row.value[:, twin._layout.residuals])

    def twin_of(self, asset: str) -> AssetTwin:
        return next(twin for twin in self.twins if AssetId(asset) in twin.assets)

    def _note(self, twin: AssetTwin, residuals: FloatArray) -> None:
        for i, asset in enumerate(twin.assets):
            self.health.setdefault(asset, []).append(float(twin._health.value[i]))
            self.sigmas.setdefault(asset, []).append(twin._health.sigmas[i])
            self.residuals.setdefault(asset, []).append(residuals[i] / twin._sigma[i])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_a_healthy_day_stays_within_bounds(seed: int) -> None:
    """Twenty minutes of commissioning, then a day of demand and weather that it never saw.

    Residuals stay near zero in every single row (99 % of rows within 4 sigmas), and health, which
    smooths them, never falls below 0.9 (5 sigmas).
    """
    watch = Watch(Plant(seed))
    watch.run(DAY_ROWS)
    for asset, health in watch.health.items():
        assert np.isfinite(health[-1]), asset
        assert np.nanmin(health) > 0.9, asset
        sigmas = np.array(watch.sigmas[asset])
        assert np.abs(sigmas.mean(axis=0)).max() < NORMAL_SIGMAS, asset
        rows = np.array(watch.residuals[asset])[COMMISSIONING_ROWS:]
        assert np.nanpercentile(np.abs(rows), 99.0, axis=0).max() < 4.0, asset


@pytest.mark.parametrize("seed", [21, 22])
@pytest.mark.parametrize(
    ("asset", "kind", "signal", "sign"),
    [
        ("P-101", FaultKind.BEARING_WEAR, None, "likely: bearing wear"),
        ("P-102", FaultKind.CAVITATION, None, "likely: cavitation"),
        ("P-101", FaultKind.CLOGGED_FILTER, None, "likely: suction filter clogged"),
        ("K-01", FaultKind.BEARING_WEAR, None, "likely: bearing wear"),
        ("K-01", FaultKind.CLOGGED_FILTER, None, "likely: intake filter clogged"),
        ("P-102", FaultKind.SENSOR_FROZEN, "flow_m3h", "flow does not move any more"),
        ("K-01", FaultKind.SENSOR_FROZEN, "current_a", "current does not move any more"),
        ("P-101", FaultKind.SENSOR_DRIFT, "vibration_mm_s", "vibration does not fit"),
        ("P-101", FaultKind.SENSOR_DRIFT, "filter_dp_bar", "likely: filter gauge reading"),
        ("K-01", FaultKind.SENSOR_DRIFT, "flow_m3h", "likely: flow reading too high"),
    ],
)
def test_every_kind_of_fault_shows_and_is_named(
    seed: int, asset: str, kind: FaultKind, signal: str | None, sign: str
) -> None:
    """Health was full before, is a half or less after, and the others stay well."""
    plant = Plant(seed)
    watch = Watch(plant)
    watch.run(ONSET_ROWS)
    state = watch.twin_of(asset).state(AssetId(asset))
    assert state.state is OperatingState.RUNNING
    assert state.health is not None
    assert state.health > 0.95
    plant.inject(
        Fault(
            kind=kind,
            asset=asset,
            signal=signal,
            onset_s=plant.elapsed_s,
            growth_s=GROWTH_S,
        )
    )
    watch.run(FAULT_ROWS)
    state = watch.twin_of(asset).state(AssetId(asset))
    assert state.health is not None
    assert state.health <= 0.5
    assert state.worst_sign
    assert state.advice.startswith(sign)
    for other in {"P-101", "P-102", "K-01"} - {asset}:
        assert watch.health[AssetId(other)][-1] > 0.9, other
