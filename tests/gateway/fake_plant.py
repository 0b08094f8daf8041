"""The assets and tags of a small plant: a pump with a clogged filter, a warm compressor."""

from dataclasses import dataclass

from gateway.core.prognosis import Prognosis
from gateway.core.quality import Status
from gateway.core.rows import OperatingState
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable

NOW_NS = 1_772_370_131_000_000_000
"""2026-03-01 13:02:11 UTC."""
S = 1_000_000_000
HOUR = 3600 * S
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPlan:
    """How one signal of the fake plant goes: normal value, and where it has drifted to."""

    name: str
    node: str
    unit: str
    normal: float
    drift: float = 0.0
    tolerance: float | None = None
    share: float | None = None
    status: Status = Status.GOOD
    silent_s: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetPlan:
    """One asset of the fake plant."""

    asset: str
    asset_type: str
    prefix: str
    signals: tuple[SignalPlan, ...]
    state: OperatingState = OperatingState.RUNNING
    health: float | None = None
    health_before: float = 1.0
    score: float | None = None
    worst_sign: str = ""
    reasons: tuple[str, ...] = ()
    prognosis: Prognosis | None = None
    advice: str = ""


def pump_signals(*, clogged: float, running: bool = True) -> tuple[SignalPlan, ...]:
    """Signals of a centrifugal pump; `clogged` is 0 to 1."""
    on = 1.0 if running else 0.0
    wide = 0.6 if clogged else None
    return (
        SignalPlan(name="speed_rpm", node="Speed", unit="{rev}/min", normal=2950 * on),
        SignalPlan(
            name="flow_m3h",
            node="Flow",
            unit="m3/h",
            normal=61.8 * on,
            drift=-9.4 * clogged,
            tolerance=2.1 if running else None,
            share=0.19 if clogged else None,
        ),
        SignalPlan(
            name="suction_pressure_bar",
            node="SuctionPressure",
            unit="bar",
            normal=0.82,
            drift=-0.41 * clogged,
            tolerance=0.08 if running else None,
            share=0.24 if clogged else None,
        ),
        SignalPlan(
            name="discharge_pressure_bar",
            node="DischargePressure",
            unit="bar",
            normal=4.6 * on,
            drift=-0.22 * clogged,
        ),
        SignalPlan(
            name="filter_dp_bar",
            node="FilterDp",
            unit="bar",
            normal=0.12 * on,
            drift=0.377 * clogged,
            tolerance=0.04 if running else None,
            share=0.51 if clogged else None,
        ),
        SignalPlan(
            name="current_a", node="Current", unit="A", normal=21.4 * on, drift=-1.6 * clogged
        ),
        SignalPlan(
            name="bearing_temperature_degc", node="BearingTemperature", unit="Cel", normal=52.4
        ),
        SignalPlan(name="fluid_temperature_degc", node="FluidTemperature", unit="Cel", normal=38.1),
        SignalPlan(
            name="ambient_temperature_degc",
            node="AmbientTemperature",
            unit="Cel",
            normal=21.7,
            status=Status.BAD_SENSOR_FAILURE if clogged else Status.GOOD,
        ),
        SignalPlan(
            name="vibration_mm_s",
            node="Vibration",
            unit="mm/s",
            normal=1.84 * on,
            drift=0.3 * clogged,
            tolerance=wide,
            silent_s=252.0 if clogged else 0.4,
        ),
    )


COMPRESSOR_SIGNALS = (
    SignalPlan(name="speed_rpm", node="Speed", unit="{rev}/min", normal=4480),
    SignalPlan(name="flow_m3h", node="Flow", unit="m3/h", normal=1042),
    SignalPlan(
        name="inlet_dp_mbar", node="InletDp", unit="mbar", normal=29.5, drift=2.0, tolerance=4.0
    ),
    SignalPlan(name="inlet_temperature_degc", node="InletTemperature", unit="Cel", normal=22.4),
    SignalPlan(name="discharge_pressure_bar", node="DischargePressure", unit="bar", normal=7.51),
    SignalPlan(
        name="discharge_temperature_degc",
        node="DischargeTemperature",
        unit="Cel",
        normal=82.2,
        drift=5.1,
        tolerance=4.0,
        share=0.61,
    ),
    SignalPlan(name="oil_temperature_degc", node="OilTemperature", unit="Cel", normal=71.3),
    SignalPlan(name="current_a", node="Current", unit="A", normal=143.0),
    SignalPlan(name="vibration_mm_s", node="Vibration", unit="mm/s", normal=2.31),
)

PLANT = (
    AssetPlan(
        asset="P-102",
        asset_type="centrifugal_pump",
        prefix="pumps.P102",
        signals=pump_signals(clogged=0.0, running=False),
        state=OperatingState.OFF,
        health=0.97,
        health_before=0.97,
    ),
    AssetPlan(
        asset="K-01",
        asset_type="compressor",
        prefix="compressor",
        signals=COMPRESSOR_SIGNALS,
        health=0.82,
        health_before=0.86,
        score=0.61,
        worst_sign="discharge temperature 5.1 °C above expected",
        advice="Watch the oil cooler; look again at the next round.",
    ),
    AssetPlan(
        asset="P-101",
        asset_type="centrifugal_pump",
        prefix="pumps.P101",
        signals=pump_signals(clogged=1.0),
        health=0.51,
        health_before=0.93,
        score=1.42,
        worst_sign="suction filter clogged: 4 × its normal pressure drop",
        reasons=("behaves unlike the healthy machine",),
        prognosis=Prognosis(hours=152.0, low_hours=120.0, high_hours=200.0),
        advice="Clean or change the suction filter; the pump loses flow and suction pressure.",
    ),
)


def build_table(plant: tuple[AssetPlan, ...], *, extra_tags: int) -> TagTable:
    """Return the tags of the plant, one writable setpoint, and more tags that never change."""
    tags = [Tag(id=TagId("compressor.PressureSetpoint"), unit="bar", writable=True)]
    for plan in plant:
        tags += [
            Tag(id=TagId(f"{plan.prefix}.{signal.node}"), unit=signal.unit)
            for signal in plan.signals
        ]
        tags.append(Tag(id=TagId(f"{plan.asset}.health_index"), is_derived=True))
    tags += [Tag(id=TagId(f"hall.T{number:05}"), unit="Cel") for number in range(extra_tags)]
    return TagTable.build(tags, epoch=ConfigEpoch(1))
