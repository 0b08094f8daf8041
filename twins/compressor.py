"""Oil-injected screw compressors: an intake filter, the stage with its oil circuit, and a motor."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field, model_validator

from gateway.core.arrays import FloatArray, StatusArray, float_column
from gateway.core.tags import TagId
from twins.model import Explanation, Extra, Relation, Signature, Term, stack_terms, steady
from twins.physics import (
    ATMOSPHERE_BAR,
    KELVIN_AT_0_DEGC,
    SPEED_SHARE_MIN,
    SURROUNDINGS_LAG_S,
    filter_terms,
    oil_circuit_terms,
    oil_injected_terms,
    screw_current_terms,
    screw_flow_terms,
    screw_vibration_terms,
    specific_work,
)
from twins.settings import AssetSettings, Positive

CompressorRole = Literal[
    "speed_rpm",
    "flow_m3h",
    "inlet_dp_mbar",
    "inlet_temperature_degc",
    "discharge_pressure_bar",
    "discharge_temperature_degc",
    "oil_temperature_degc",
    "current_a",
    "vibration_mm_s",
]
"""Signals of a compressor. The inlet's pressure drop is measured across the intake filter, the
discharge pressure is gauge, the flow is that at the intake."""


class CompressorSettings(AssetSettings):
    """An oil-injected screw compressor; figures of the nameplate within about 30 %."""

    type: Literal["compressor"] = "compressor"
    """Kind of asset."""
    tags: Annotated[dict[CompressorRole, TagId], Field(min_length=1)]
    """The tag of each signal. What has no tag is left out, with what depends on it; the speed
    may be left out where it is always the rated one."""
    rated_speed_rpm: Positive = 2950.0
    """Speed at the rated point."""
    rated_flow_m3h: Positive = 450.0
    """Flow at the intake at the rated point."""
    rated_discharge_pressure_bar: Positive = 7.5
    """Gauge pressure behind the compressor at the rated point."""
    rated_current_a: Positive = 95.0
    """Motor current at the rated point."""
    inlet_dp_clean_mbar: Positive = 25.0
    """Pressure drop of the clean intake filter at rated flow."""
    rated_oil_temperature_degc: Positive = 60.0
    """Temperature of the injected oil at the rated point, with intake air of 20 °C."""
    oil_rise_k: Positive = 20.0
    """How much warmer than the injected oil the air leaves at the rated point."""
    rated_vibration_mm_s: Positive = 2.5
    """Vibration velocity (RMS) of the healthy compressor at the rated point."""

    @model_validator(mode="after")
    def _check(self) -> "CompressorSettings":
        if not {"speed_rpm", "current_a"} & set(self.tags):
            raise ValueError("Tags need speed_rpm or current_a: they tell whether it runs")
        return self


RELATIONS = (
    Relation(
        signal="flow_m3h",
        roles=(
            "flow_m3h",
            "speed_rpm",
            "inlet_dp_mbar",
            "inlet_temperature_degc",
            "discharge_pressure_bar",
        ),
        terms=(
            Term(name="swept volume", prior=1.05, spread=0.15),
            Term(name="leakage with pressure", prior=-0.1, spread=0.1),
            Term(name="intake temperature", prior=0.0, spread=0.3),
            Term(name="leakage", prior=-0.05, spread=0.1),
        ),
    ),
    Relation(
        signal="inlet_dp_mbar",
        roles=("inlet_dp_mbar", "flow_m3h"),
        terms=(
            Term(name="turbulent resistance", prior=1.0, spread=0.3),
            Term(name="laminar resistance", prior=0.0, spread=0.2),
        ),
    ),
    Relation(
        signal="current_a",
        roles=("current_a", "speed_rpm", "flow_m3h", "inlet_dp_mbar", "discharge_pressure_bar"),
        terms=(
            Term(name="magnetising current", prior=0.1, spread=0.15),
            Term(name="friction", prior=0.2, spread=0.15),
            Term(name="work on the flow", prior=0.4, spread=0.2),
            Term(name="work on the swept volume", prior=0.3, spread=0.2),
        ),
    ),
    Relation(
        signal="discharge_temperature_degc",
        roles=(
            "discharge_temperature_degc",
            "oil_temperature_degc",
            "inlet_temperature_degc",
            "flow_m3h",
            "inlet_dp_mbar",
            "discharge_pressure_bar",
        ),
        terms=(
            Term(name="oil temperature", prior=1.0, spread=0.03),
            Term(name="share of the intake air", prior=0.0, spread=0.1),
            Term(name="heat over oil flow", prior=1.0, spread=0.5),
            Term(name="offset in kelvin", prior=0.0, spread=3.0),
        ),
    ),
    Relation(
        signal="oil_temperature_degc",
        roles=("oil_temperature_degc", "inlet_temperature_degc", "flow_m3h", "speed_rpm"),
        terms=(
            Term(name="rated temperature", prior=1.0, spread=0.2),
            Term(name="surroundings", prior=0.3, spread=0.3),
            Term(name="heat, in rises", prior=0.2, spread=0.3),
            Term(name="oil flow, in rises", prior=0.0, spread=0.3),
        ),
    ),
    Relation(
        signal="vibration_mm_s",
        roles=("vibration_mm_s", "speed_rpm", "inlet_dp_mbar", "discharge_pressure_bar"),
        terms=(
            Term(name="linear in speed", prior=0.3, spread=0.3),
            Term(name="unbalance", prior=0.4, spread=0.3),
            Term(name="gas pulsation", prior=0.3, spread=0.3),
        ),
    ),
    steady("inlet_temperature_degc"),
    steady("discharge_pressure_bar"),
)

_SIGNALS = [relation.signal for relation in RELATIONS]
_STEADY = [_SIGNALS.index("inlet_temperature_degc"), _SIGNALS.index("discharge_pressure_bar")]

SIGNATURES = (
    Signature(
        cause="intake filter clogged",
        signs=(("inlet_dp_mbar", +1),),
        check="check the differential gauge, change the intake filter",
    ),
    Signature(
        cause="bearing wear",
        signs=(("vibration_mm_s", +1), ("discharge_temperature_degc", +1), ("current_a", +1)),
        check="listen to the bearings, take an oil sample, plan an inspection",
    ),
    Signature(
        cause="too little oil injected",
        signs=(("discharge_temperature_degc", +1),),
        check="check oil level, oil filter and thermostat",
    ),
    Signature(
        cause="oil cooler fouled",
        signs=(("oil_temperature_degc", +1),),
        check="clean the cooler, check its fan",
    ),
    Signature(
        cause="flow reading too high",
        signs=(("flow_m3h", +1), ("inlet_dp_mbar", -1), ("current_a", -1)),
        check="compare the flow meter with a second measurement",
    ),
    Signature(
        cause="flow reading too low, or internal leakage",
        signs=(("flow_m3h", -1), ("inlet_dp_mbar", +1), ("current_a", +1)),
        check="compare the flow meter with a second measurement, check the inlet valve",
    ),
)


class Compressors:
    """The physics of n oil-injected screw compressors; implements `AssetModel`."""

    asset_type = "compressor"
    roles: tuple[str, ...] = get_args(CompressorRole)
    inputs: tuple[str, ...] = ()
    relations = RELATIONS
    extras: tuple[Extra, ...] = ()
    signatures = SIGNATURES

    def __init__(self, settings: Sequence[CompressorSettings]) -> None:
        """Gather the nameplates as arrays of shape (n,)."""
        self._speed_rpm = float_column([each.rated_speed_rpm for each in settings])
        self._flow_m3h = float_column([each.rated_flow_m3h for each in settings])
        self._discharge_bar = float_column([each.rated_discharge_pressure_bar for each in settings])
        self._ratio = (self._discharge_bar + ATMOSPHERE_BAR) / ATMOSPHERE_BAR
        self._current_a = float_column([each.rated_current_a for each in settings])
        self._inlet_mbar = float_column([each.inlet_dp_clean_mbar for each in settings])
        self._vibration_mm_s = float_column([each.rated_vibration_mm_s for each in settings])
        oil_degc = float_column([each.rated_oil_temperature_degc for each in settings])
        rise_k = float_column([each.oil_rise_k for each in settings])
        self._scale = stack_terms(
            (
                (self._flow_m3h,) * 4,
                (self._inlet_mbar,) * 2,
                (self._current_a,) * 4,
                (1.0, 1.0, rise_k, 1.0),
                (oil_degc, 1.0, rise_k, rise_k),
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

        Class 1 instruments, and what the physics leaves out; the air of a hall and the pressure of
        a controlled network move by about so much within an hour.
        """
        return np.stack(
            [
                0.007 * self._flow_m3h,
                0.02 * self._inlet_mbar,
                0.015 * self._current_a,
                np.full_like(self._flow_m3h, 0.5),
                np.full_like(self._flow_m3h, 0.7),
                0.05 * self._vibration_mm_s,
                np.full_like(self._flow_m3h, 0.6),
                0.012 * self._discharge_bar,
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
        speed_rpm, flow_m3h, inlet_mbar, inlet_degc, discharge_bar, _, oil_degc, _, _ = value.T
        speed = speed_rpm / self._speed_rpm
        flow = flow_m3h / self._flow_m3h
        inlet_share = 1.0 - inlet_mbar / (1e3 * ATMOSPHERE_BAR)
        pressure_ratio = (discharge_bar + ATMOSPHERE_BAR) / (ATMOSPHERE_BAR * inlet_share)
        ratio = pressure_ratio / self._ratio
        work = specific_work(pressure_ratio) / np.log(self._ratio)
        warmth = (inlet_degc - 20.0) / (20.0 + KELVIN_AT_0_DEGC)
        # Oil is driven by the discharge pressure through a fixed orifice: as its square root.
        oil_flow = np.sqrt(np.maximum(discharge_bar / self._discharge_bar, 0.1))
        terms = stack_terms(
            (
                screw_flow_terms(speed, inlet_share, ratio, warmth),
                filter_terms(flow),
                screw_current_terms(speed, flow, work),
                oil_injected_terms(oil_degc, inlet_degc, flow * work, oil_flow),
                oil_circuit_terms(inlet_degc, flow * work, speed),
                screw_vibration_terms(speed, ratio),
                (inlet_degc,),
                (np.where(speed < SPEED_SHARE_MIN, np.nan, discharge_bar),),
            ),
            count=len(value),
        )
        lag_s = np.zeros(terms.shape[:2])
        lag_s[:, _STEADY] = SURROUNDINGS_LAG_S
        return Explanation(
            terms=terms * self._scale,
            lag_s=lag_s,
            extras=np.empty((len(value), 0)),
        )
