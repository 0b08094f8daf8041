"""An oil-injected screw compressor with intake filter, oil circuit and compressed-air network.

Beyond the textbook: leakage through the rotor gaps that depends on speed and pressure ratio, an
adiabatic efficiency that falls away from its best pressure ratio, an oil circuit with thermostat
and cooler whose air comes through the same intake mat, and a network with other compressors on it.
"""

import math

from gateway.simulate.chance import Hidden, Normals, Wander, approach
from gateway.simulate.motor import Motor, MotorPlate

RATED_RPM = 2950.0
RATED_FLOW = 480.0
ATMOSPHERE_MBAR = 1013.0
KAPPA = 1.4
OIL_KJ_KG_K = 2.0
SPEED_RPM_MIN = 2050.0
SPEED_RPM_MAX = 3000.0
MOTOR = MotorPlate(
    power_kw=55.0, current_a=97.0, power_factor=0.88, slip=0.0145, rise_k=70.0, tau_s=1700.0
)
TEMPERATURE_DEGC_MAX = 105.0
INLET_DP_MBAR_MAX = 60.0
VIBRATION_MM_S_MAX = 7.0


class Compressor:
    """State of the compressor and of the network that it feeds."""

    def __init__(self, hidden: Hidden, normals: Normals, *, ambient_degc: float) -> None:
        self.wear = 0.0
        """How far bearing wear has gone, 0 to 1."""
        self.clogging = 0.0
        """How far the intake filter is clogged, 0 to 1."""
        self.speed_rpm = 2700.0
        self.flow = 430.0
        self.inlet_dp_mbar = 22.0
        self.inlet_degc = ambient_degc + 2.0
        self.pressure_bar = 7.5
        self.discharge_degc = 80.0
        self.oil_degc = 59.0
        self.vibration = 2.8
        self.motor = Motor(MOTOR.varied(hidden), ambient_degc=ambient_degc)
        self._sump_degc = 80.0
        self._field_rpm = 2740.0
        self._inlet_mbar = ATMOSPHERE_MBAR
        self._pressure_ratio = 8.4
        self._draw(hidden)
        self._normals = normals
        self._demand_slow = Wander(normals, sigma=0.05, tau_s=1800.0)
        self._demand_fast = Wander(normals, sigma=0.02, tau_s=45.0)
        self._weather_mbar = Wander(normals, sigma=4.0, tau_s=20_000.0)
        self._roughness = Wander(normals, sigma=0.025, tau_s=300.0)

    def _draw(self, hidden: Hidden) -> None:
        self._displacement = hidden.about(RATED_FLOW / RATED_RPM / 0.905, 0.02)  # m3/h a rpm
        self._gap_leak = hidden.about(0.0126, 0.08)
        self._efficiency = hidden.about(0.775, 0.015)
        self._idle_kw = hidden.about(2.6, 0.08)
        self._filter_mbar = hidden.about(26.0, 0.08)
        self._oil_kg_s = hidden.about(1.08, 0.04)
        self._sump_kj_k = hidden.about(225.0, 0.08)
        self._cooler_kw_k = hidden.about(1.35, 0.04)
        self._thermostat_degc = hidden.about(70.0, 0.02)
        self._vibration = hidden.between(2.3, 2.9)
        self._load_share = hidden.about(0.90, 0.02)

    @property
    def alarm_word(self) -> int:
        """Its own alarms by bit: 0 discharge hot, 1 intake clogged, 2 vibration, 3 overload."""
        return (
            (self.discharge_degc > TEMPERATURE_DEGC_MAX)
            | (self.inlet_dp_mbar > INLET_DP_MBAR_MAX) << 1
            | (self.vibration > VIBRATION_MM_S_MAX) << 2
            | (self.motor.current_a > 1.1 * self.motor.plate.current_a) << 3
        )

    def step(self, dt_s: float, *, day_s: float, ambient_degc: float, voltage: float) -> None:
        """Go on by a time."""
        shift = 0.05 * math.sin(2.0 * math.pi * day_s / 86_400.0 - 2.2)
        share = self._load_share + shift + self._demand_slow.step(dt_s)
        self._run_drive(dt_s, share)
        self._breathe(dt_s, share + self._demand_fast.step(dt_s), ambient_degc)
        heat_kw = self._load_motor(dt_s, ambient_degc, voltage)
        self._cool(dt_s, heat_kw, ambient_degc)
        ratio = self.speed_rpm / RATED_RPM
        value = self._vibration * ratio**1.5 * (0.85 + 0.15 * self.pressure_bar / 7.5)
        value += 5.2 * self.wear**1.3 * ratio
        value *= 1.0 + self._roughness.step(dt_s) + 0.025 * self._normals()
        self.vibration = max(0.0, value)

    def _run_drive(self, dt_s: float, share: float) -> None:
        """Follow the load that the station's master asks for, in steps of 25 rpm."""
        wanted = max(SPEED_RPM_MIN, min(SPEED_RPM_MAX, SPEED_RPM_MAX * share))
        if abs(wanted - self._field_rpm) > 20.0:
            target = 25.0 * round(wanted / 25.0)
            self._field_rpm = approach(self._field_rpm, target, dt_s, 12.0)
        self.speed_rpm = self._field_rpm * (1.0 - self.motor.slip)

    def _breathe(self, dt_s: float, demand: float, ambient_degc: float) -> None:
        self.inlet_degc = approach(self.inlet_degc, ambient_degc + 2.5, dt_s, 200.0)
        atmosphere = ATMOSPHERE_MBAR + self._weather_mbar.step(dt_s)
        inlet_mbar = atmosphere - self.inlet_dp_mbar
        pressure_ratio = (self.pressure_bar * 1000.0 + atmosphere) / inlet_mbar
        ratio = self.speed_rpm / RATED_RPM
        volumetric = 1.0 - self._gap_leak * (pressure_ratio - 1.0) / max(ratio, 0.3)
        # Free air delivered: what goes in, at the pressure before the filter.
        self.flow = self._displacement * self.speed_rpm * volumetric * inlet_mbar / atmosphere
        clog = 1.0 + 5.0 * self.clogging
        dp_mbar = clog * self._filter_mbar * (self.flow / RATED_FLOW) ** 1.8
        self.inlet_dp_mbar = approach(self.inlet_dp_mbar, dp_mbar, dt_s, 1.5)
        # The others on the network give more when its pressure falls.
        others = 380.0 * (7.5 - self.pressure_bar)
        surplus = self.flow + others - RATED_FLOW * demand * 1.01
        self.pressure_bar += dt_s * surplus / 3600.0 / 6.0
        self._pressure_ratio = pressure_ratio
        self._inlet_mbar = inlet_mbar

    def _load_motor(self, dt_s: float, ambient_degc: float, voltage: float) -> float:
        """Return the heat that goes into the oil, in kW."""
        exponent = (KAPPA - 1.0) / KAPPA
        work = (math.pow(self._pressure_ratio, exponent) - 1.0) / exponent
        drawn_m3_s = self._displacement * self.speed_rpm / 3600.0
        gas_kw = self._inlet_mbar * 0.1 * drawn_m3_s * work
        ratio = self.speed_rpm / RATED_RPM
        over = self._pressure_ratio - 8.2
        efficiency = self._efficiency - 0.0045 * over * over - 0.06 * (ratio - 0.9) ** 2
        shaft_kw = 0.93 * gas_kw / efficiency + ratio * (self._idle_kw + 2.2 * self.wear)
        self.motor.step(
            dt_s, shaft_kw=shaft_kw, speed=ratio, voltage=voltage, ambient_degc=ambient_degc
        )
        return 0.95 * shaft_kw

    def _cool(self, dt_s: float, heat_kw: float, ambient_degc: float) -> None:
        oil_kw_k = self._oil_kg_s * math.sqrt(max(self.pressure_bar, 1.0) / 7.5) * OIL_KJ_KG_K
        opening = max(0.12, min(1.0, (self._sump_degc - self._thermostat_degc) / 14.0))
        # The intake mat is also the cooler's: when it clogs, cooling suffers with it.
        cooler_kw_k = self._cooler_kw_k * opening * (1.0 - 0.34 * self.clogging)
        removed_kw = cooler_kw_k * (self._sump_degc - ambient_degc - 4.0)
        self._sump_degc += dt_s * (heat_kw - removed_kw) / self._sump_kj_k
        oil_degc = self._sump_degc - removed_kw / oil_kw_k
        self.oil_degc = approach(self.oil_degc, oil_degc, dt_s, 20.0)
        air_kw_k = self.flow * 1.2e3 / 3600.0 / 1000.0
        discharge = self.oil_degc + heat_kw / (oil_kw_k + air_kw_k) + 1.5 * self.wear
        self.discharge_degc = approach(self.discharge_degc, discharge, dt_s, 6.0)
