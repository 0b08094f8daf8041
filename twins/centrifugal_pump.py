"""Centrifugal pumps: a suction filter, the pump with its bearing, and an induction motor."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field, model_validator

from gateway.core.arrays import FloatArray, StatusArray, float_column
from gateway.core.tags import TagId
from twins.model import Explanation, Extra, Relation, Signature, Term, stack_terms, steady
from twins.physics import (
    FLUID_LAG_S,
    SPEED_SHARE_MIN,
    SURROUNDINGS_LAG_S,
    bearing_terms,
    filter_terms,
    npsh_available_m,
    pressure_bar,
    pump_current_terms,
    pump_flow_terms,
    pump_head_terms,
    pump_vibration_terms,
    thermal_lag_s,
)
from twins.settings import AssetSettings, Positive

PumpRole = Literal[
    "speed_rpm",
    "flow_m3h",
    "suction_pressure_bar",
    "discharge_pressure_bar",
    "filter_dp_bar",
    "current_a",
    "bearing_temperature_degc",
    "fluid_temperature_degc",
    "ambient_temperature_degc",
    "vibration_mm_s",
]
"""Signals of a pump. The suction pressure is measured between the suction filter and the pump, the
filter's pressure drop across the filter; both pressures are gauge."""


class CentrifugalPumpSettings(AssetSettings):
    """A centrifugal pump; the nameplate's figures need to be right within about 30 %."""

    type: Literal["centrifugal_pump"] = "centrifugal_pump"
    """Kind of asset."""
    tags: Annotated[dict[PumpRole, TagId], Field(min_length=1)]
    """The tag of each signal. What has no tag is left out, with what depends on it; the speed
    may be left out where it is always the rated one."""
    rated_speed_rpm: Positive = 2950.0
    """Speed at the rated point."""
    rated_flow_m3h: Positive = 80.0
    """Flow at the rated point, best near the pump's best efficiency."""
    rated_head_m: Positive = 50.0
    """Head at the rated point."""
    shutoff_head_m: Positive | None = None
    """Head at rated speed without flow; 1.25 times the rated head when left out."""
    rated_current_a: Positive = 28.0
    """Motor current at the rated point."""
    filter_dp_clean_bar: Positive = 0.1
    """Pressure drop of the clean suction filter at rated flow."""
    supply_pressure_bar: float = 0.5
    """Gauge pressure before the suction filter without flow."""
    npsh_required_m: Positive = 3.0
    """Net positive suction head that the pump needs at the rated point."""
    density_kg_m3: Positive = 998.0
    """Density of the fluid."""
    bearing_rise_k: Positive = 20.0
    """How much warmer than its surroundings the bearing gets at rated speed."""
    bearing_lag_s: Positive = 900.0
    """Time constant with which the bearing warms up."""
    rated_vibration_mm_s: Positive = 1.5
    """Vibration velocity (RMS) of the healthy pump at the rated point."""

    @model_validator(mode="after")
    def _check(self) -> "CentrifugalPumpSettings":
        if not {"speed_rpm", "current_a"} & set(self.tags):
            raise ValueError("Tags need speed_rpm or current_a: they tell whether the pump runs")
        if self.shutoff_head_m is not None and self.shutoff_head_m <= self.rated_head_m:
            raise ValueError(
                f"The shutoff_head_m {self.shutoff_head_m:g} is not above rated_head_m"
                f" {self.rated_head_m:g}"
            )
        return self


RELATIONS = (
    Relation(
        signal="flow_m3h",
        roles=("flow_m3h", "speed_rpm", "suction_pressure_bar", "discharge_pressure_bar"),
        terms=(
            Term(name="rated flow", prior=1.0, spread=0.2),
            Term(name="fall with head", prior=1.0, spread=0.5),
            Term(name="curvature", prior=1.0, spread=1.0),
        ),
    ),
    Relation(
        signal="suction_pressure_bar",
        roles=("suction_pressure_bar", "filter_dp_bar", "flow_m3h"),
        terms=(
            Term(name="supply pressure", prior=1.0, spread=0.01),
            Term(name="offset in bar", prior=0.0, spread=0.5),
            Term(name="loss in the filter", prior=1.0, spread=0.1),
            Term(name="loss in the pipe", prior=0.0, spread=0.3),
        ),
    ),
    Relation(
        signal="discharge_pressure_bar",
        roles=("discharge_pressure_bar", "suction_pressure_bar", "speed_rpm", "flow_m3h"),
        terms=(
            Term(name="suction pressure", prior=1.0, spread=0.01),
            Term(name="head without flow", prior=1.0, spread=0.2),
            Term(name="linear fall with flow", prior=0.0, spread=0.2),
            Term(name="fall with flow squared", prior=1.0, spread=0.7),
        ),
    ),
    Relation(
        signal="filter_dp_bar",
        roles=("filter_dp_bar", "flow_m3h"),
        terms=(
            Term(name="turbulent resistance", prior=1.0, spread=0.3),
            Term(name="laminar resistance", prior=0.0, spread=0.2),
        ),
    ),
    Relation(
        signal="current_a",
        roles=("current_a", "speed_rpm", "flow_m3h"),
        terms=(
            Term(name="magnetising current", prior=0.2, spread=0.15),
            Term(name="disc friction", prior=0.2, spread=0.15),
            Term(name="hydraulic load", prior=0.4, spread=0.15),
            Term(name="power", prior=0.2, spread=0.15),
        ),
    ),
    Relation(
        signal="bearing_temperature_degc",
        roles=(
            "bearing_temperature_degc",
            "ambient_temperature_degc",
            "fluid_temperature_degc",
            "speed_rpm",
        ),
        terms=(
            Term(name="surroundings", prior=1.0, spread=0.02),
            Term(name="share of the fluid", prior=0.2, spread=0.15),
            Term(name="rise by friction", prior=1.0, spread=0.5),
            Term(name="offset in kelvin", prior=0.0, spread=2.0),
        ),
    ),
    Relation(
        signal="vibration_mm_s",
        roles=("vibration_mm_s", "speed_rpm", "flow_m3h"),
        terms=(
            Term(name="linear in speed", prior=0.3, spread=0.3),
            Term(name="unbalance", prior=0.7, spread=0.3),
            Term(name="away from best efficiency", prior=0.5, spread=0.5),
        ),
    ),
    steady("fluid_temperature_degc"),
    steady("ambient_temperature_degc"),
)

_SIGNALS = [relation.signal for relation in RELATIONS]
_BEARING = _SIGNALS.index("bearing_temperature_degc")
_FLUID = _SIGNALS.index("fluid_temperature_degc")
_AMBIENT = _SIGNALS.index("ambient_temperature_degc")

SIGNATURES = (
    Signature(
        cause="suction filter clogged",
        signs=(("filter_dp_bar", +1),),
        check="check the differential gauge, clean or change the filter",
    ),
    Signature(
        cause="cavitation",
        signs=(
            ("vibration_mm_s", +1),
            ("suction_pressure_bar", -1),
            ("discharge_pressure_bar", -1),
            ("flow_m3h", -1),
        ),
        check="check the suction side: level, valve, filter, fluid temperature",
    ),
    Signature(
        cause="bearing wear",
        signs=(("bearing_temperature_degc", +1), ("vibration_mm_s", +1)),
        check="listen to the bearing, check its grease, plan its change",
    ),
    Signature(
        cause="flow reading too high",
        signs=(("flow_m3h", +1), ("current_a", -1), ("filter_dp_bar", -1)),
        check="compare the flow meter with a second measurement",
    ),
    Signature(
        cause="flow reading too low",
        signs=(("flow_m3h", -1), ("current_a", +1), ("filter_dp_bar", +1)),
        check="compare the flow meter with a second measurement",
    ),
    Signature(
        cause="suction pressure reading too high",
        signs=(("suction_pressure_bar", +1), ("discharge_pressure_bar", -1)),
        check="compare the suction gauge with a second one",
    ),
    Signature(
        cause="filter gauge reading too high",
        signs=(("filter_dp_bar", +1), ("suction_pressure_bar", +1)),
        check="compare the differential gauge with a second one",
    ),
    Signature(
        cause="ambient temperature reading too high",
        signs=(("ambient_temperature_degc", +1), ("bearing_temperature_degc", -1)),
        check="compare the sensor with a thermometer beside it",
    ),
    Signature(
        cause="impeller worn or blocked",
        signs=(("discharge_pressure_bar", -1), ("flow_m3h", -1)),
        check="compare head and flow with the pump's curve at two points",
    ),
)


class CentrifugalPumps:
    """The physics of n centrifugal pumps; implements `AssetModel`."""

    asset_type = "centrifugal_pump"
    roles: tuple[str, ...] = get_args(PumpRole)
    inputs: tuple[str, ...] = ()
    relations = RELATIONS
    extras = (
        Extra(
            column="npsh_margin_m",
            roles=("speed_rpm", "flow_m3h", "suction_pressure_bar", "fluid_temperature_degc"),
        ),
    )
    signatures = SIGNATURES

    def __init__(self, settings: Sequence[CentrifugalPumpSettings]) -> None:
        """Gather the nameplates as arrays of shape (n,)."""
        rated_m = float_column([each.rated_head_m for each in settings])
        shutoff_m = [each.shutoff_head_m or 1.25 * each.rated_head_m for each in settings]
        self._shutoff = float_column(shutoff_m) / rated_m
        self._steepness = 0.5 / (self._shutoff - 1.0)
        self._speed_rpm = float_column([each.rated_speed_rpm for each in settings])
        self._flow_m3h = float_column([each.rated_flow_m3h for each in settings])
        self._density_kg_m3 = float_column([each.density_kg_m3 for each in settings])
        self._head_bar = pressure_bar(rated_m, density_kg_m3=self._density_kg_m3)
        self._current_a = float_column([each.rated_current_a for each in settings])
        self._filter_bar = float_column([each.filter_dp_clean_bar for each in settings])
        self._npsh_m = float_column([each.npsh_required_m for each in settings])
        self._lag_s = float_column([each.bearing_lag_s for each in settings])
        self._vibration_mm_s = float_column([each.rated_vibration_mm_s for each in settings])
        supply_bar = float_column([each.supply_pressure_bar for each in settings])
        rise_k = float_column([each.bearing_rise_k for each in settings])
        self._scale = stack_terms(
            (
                (self._flow_m3h,) * 3,
                (supply_bar, 1.0, -1.0, -self._filter_bar),
                (1.0, *(self._head_bar,) * 3),
                (self._filter_bar,) * 2,
                (self._current_a,) * 4,
                (1.0, 1.0, rise_k, 1.0),
                (self._vibration_mm_s,) * 3,
                (1.0,),
                (1.0,),
            ),
            count=len(settings),
        )

    @property
    def fallback(self) -> FloatArray:
        """Rated speed where the speed is not measured, shape (n, k)."""
        values = np.full((len(self._speed_rpm), len(self.roles)), np.nan)
        values[:, self.roles.index("speed_rpm")] = self._speed_rpm
        return values

    @property
    def noise(self) -> FloatArray:
        """Least standard deviation of a healthy residual, shape (n, r).

        Class 1 instruments, and what the physics leaves out: the level before the pump moves, the
        supply voltage moves, a bearing warms up in more than one step, doors open in a hall.
        """
        return np.stack(
            [
                0.01 * self._flow_m3h,
                np.full_like(self._flow_m3h, 0.05),
                0.005 * self._head_bar,
                0.03 * self._filter_bar,
                0.01 * self._current_a,
                np.full_like(self._flow_m3h, 1.0),
                0.06 * self._vibration_mm_s,
                np.full_like(self._flow_m3h, 1.2),
                np.full_like(self._flow_m3h, 0.8),
            ],
            axis=1,
        )

    def load(self, value: FloatArray, status: StatusArray) -> FloatArray:
        """Return the greater of speed and current as shares of the rated, shape (n,)."""
        del status
        speed = value[:, self.roles.index("speed_rpm")] / self._speed_rpm
        return np.fmax(speed, value[:, self.roles.index("current_a")] / self._current_a)

    def explain(self, value: FloatArray) -> Explanation:
        """Return the terms for these inputs, shape (n, k); NaN in gives NaN out."""
        speed_rpm, flow_m3h, suction_bar, discharge_bar, filter_bar, _, _, fluid, ambient, _ = (
            value.T
        )
        speed = speed_rpm / self._speed_rpm
        flow = flow_m3h / self._flow_m3h
        head = (discharge_bar - suction_bar) / self._head_bar
        # At standstill the sensor shows the casing, which takes the temperature of the hall.
        pumped = np.where(speed < SPEED_SHARE_MIN, np.nan, fluid)
        terms = stack_terms(
            (
                pump_flow_terms(speed, head, steepness=self._steepness),
                (1.0, 1.0, filter_bar, flow**2),
                (suction_bar, *pump_head_terms(speed, flow, shutoff=self._shutoff)),
                filter_terms(flow),
                pump_current_terms(speed, flow),
                bearing_terms(ambient, fluid, speed),
                pump_vibration_terms(speed, flow),
                (pumped,),
                (ambient,),
            ),
            count=len(value),
        )
        lag_s = np.zeros(terms.shape[:2])
        lag_s[:, _BEARING] = thermal_lag_s(self._lag_s, speed)
        lag_s[:, _FLUID] = FLUID_LAG_S
        lag_s[:, _AMBIENT] = SURROUNDINGS_LAG_S
        available_m = npsh_available_m(suction_bar, fluid, density_kg_m3=self._density_kg_m3)
        # At one speed the requirement grows about as flow², and not below a quarter: recirculation.
        required_m = self._npsh_m * np.maximum(flow**2, 0.25 * speed**2)
        return Explanation(
            terms=terms * self._scale, lag_s=lag_s, extras=(available_m - required_m)[:, None]
        )
