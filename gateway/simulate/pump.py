"""One centrifugal pump with suction line, filter, bearing and motor.

Beyond the textbook curve: ring leakage, a linear term in head and power, laminar and turbulent
filter loss that depends on viscosity, cavitation from the real margin of suction head, disc
friction and bearing drag, a structural resonance, and two thermal masses in the bearing.
Heads in m of liquid, pressures in bar (gauge), flows in m³/h, powers in kW.
"""

import math
from dataclasses import dataclass

from gateway.simulate.chance import Hidden, Normals, Wander, approach
from gateway.simulate.motor import Motor, MotorPlate
from gateway.simulate.points import SETPOINT_RPM_MAX

RATED_RPM = 2950.0
RATED_FLOW = 60.0
ATMOSPHERE_BAR = 1.013
STANDING_RPM = 60.0
"""Below this speed the pump delivers nothing."""
RAMP_RPM_S = 260.0
"""How fast the drive changes the speed."""
MOTOR = MotorPlate(
    power_kw=15.0, current_a=27.5, power_factor=0.87, slip=0.0167, rise_k=62.0, tau_s=1100.0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquid:
    """The liquid in the tank, now."""

    temperature_degc: float
    bar_per_m: float
    """Weight of a column of 1 m."""
    vapour_bar: float
    """Vapour pressure, absolute."""
    viscosity: float
    """Relative to that at 28 Cel."""


def liquid_at(temperature_degc: float) -> Liquid:
    """Return water at a temperature between 0 and 80 Cel.

    Source:
        Density: parabola about 4 Cel; vapour pressure: Magnus formula (Sonntag 1990).
    """
    density = 1000.0 - 0.0048 * (temperature_degc - 4.0) ** 2
    exponent = 17.62 * temperature_degc / (243.12 + temperature_degc)
    return Liquid(
        temperature_degc=temperature_degc,
        bar_per_m=density * 9.81e-5,
        vapour_bar=0.006112 * math.exp(exponent),
        viscosity=math.exp(-0.02 * (temperature_degc - 28.0)),
    )


@dataclass(slots=True, kw_only=True)
class PumpFaults:
    """How far each fault has gone; 0 is none."""

    wear: float = 0.0
    """Bearing, up to 1."""
    blockage_bar: float = 0.0
    """Pressure that a blocked suction line takes at the rated flow: the cause of cavitation."""
    clogging: float = 0.0
    """Suction filter, up to 1."""


class Pump:
    """State of one pump; `hydraulics` before, `settle` after the network has found the flow."""

    def __init__(self, hidden: Hidden, normals: Normals, *, ambient_degc: float) -> None:
        self.faults = PumpFaults()
        self.is_ordered_on = True
        self.setpoint_rpm = SETPOINT_RPM_MAX
        self.field_rpm = SETPOINT_RPM_MAX
        self.speed_rpm = RATED_RPM
        self.flow = RATED_FLOW
        self.suction_bar = 0.7
        self.discharge_bar = 6.0
        self.filter_dp_bar = 0.06
        self.vibration = 1.4
        self.cavitation = 0.0
        self.bearing_degc = ambient_degc + 26.0
        self.casing_degc = 28.0
        self.motor = Motor(MOTOR.varied(hidden), ambient_degc=ambient_degc)
        self._housing_degc = ambient_degc + 22.0
        self._draw(hidden)
        self._normals = normals
        self._roughness = Wander(normals, sigma=0.03, tau_s=240.0)
        self._surge = Wander(normals, sigma=1.0, tau_s=3.0)

    def _draw(self, hidden: Hidden) -> None:
        self._head_m = hidden.about(84.0, 0.015)
        self._head_linear = hidden.about(0.06, 0.15)
        self._head_square = hidden.about(0.00525, 0.03)
        self._ring_leak = hidden.about(0.28, 0.15)  # m3/h per root of m
        self._disc_kw = hidden.about(4.9, 0.03)
        self._drag_kw = hidden.about(0.45, 0.10)
        self._power_linear = hidden.about(0.165, 0.02)
        self._power_square = hidden.about(0.0005, 0.05)
        self._line_loss = hidden.about(0.05, 0.10) / RATED_FLOW**2
        self._filter_square = hidden.about(0.045, 0.08) / RATED_FLOW**2
        self._filter_linear = hidden.about(0.015, 0.10) / RATED_FLOW
        self._pipe_loss = hidden.about(0.09, 0.10) / RATED_FLOW**2
        self._best_flow = hidden.about(62.0, 0.03)
        self._vibration = hidden.between(1.15, 1.55)
        self._resonance_rpm = hidden.about(2520.0, 0.02)
        self._resonance = hidden.between(0.12, 0.25)
        self._bearing_rise_k = hidden.about(17.0, 0.10)
        self._ring_tau_s = hidden.about(170.0, 0.10)
        self._housing_tau_s = hidden.about(1500.0, 0.10)

    @property
    def speed(self) -> float:
        """Share of the rated speed."""
        return self.speed_rpm / RATED_RPM

    @property
    def is_turning(self) -> bool:
        """Whether it turns fast enough to deliver."""
        return self.speed_rpm > STANDING_RPM

    def drive(self, dt_s: float) -> None:
        """Let the drive go towards its setpoint, or to a stop."""
        target = self.setpoint_rpm if self.is_ordered_on else 0.0
        change = max(-RAMP_RPM_S * dt_s, min(RAMP_RPM_S * dt_s, target - self.field_rpm))
        self.field_rpm += change
        self.speed_rpm = max(0.0, self.field_rpm * (1.0 - self.motor.slip))
        self._surge.step(dt_s)

    def hydraulics(self, tank_bar: float, liquid: Liquid) -> tuple[float, float, float]:
        """Return c0, c1, c2: it meets a header of c0 - c1 Q - c2 Q² bar with its flow Q."""
        if not self.is_turning:
            return (tank_bar, 0.0, 1.0)
        ratio = self.speed
        loss = 1.0 - 0.24 * self.cavitation * (1.0 + 0.30 * self._surge.value)
        # Older, colder, slower: small machines leave the affinity laws by a few parts in 1000.
        slowness = 1.0 - 0.012 * (1.0 - ratio) * liquid.viscosity
        weight = liquid.bar_per_m
        leak = self._ring_leak * ratio * math.sqrt(self._head_m * 0.75)
        head = self._head_m * ratio * ratio * loss * slowness
        head -= self._head_linear * ratio * leak + self._head_square * leak * leak
        linear = self._head_linear * ratio + 2.0 * self._head_square * leak
        clog = self._clog
        c0 = tank_bar - self.faults.blockage_bar * 0.7 + weight * head
        c1 = weight * linear + self._filter_linear * clog * liquid.viscosity
        c2 = weight * self._head_square + self._filter_square * clog + self._line_loss
        c2 += self._pipe_loss + 0.3 * self.faults.blockage_bar / RATED_FLOW**2
        return (c0, c1, c2)

    def settle(
        self,
        dt_s: float,
        *,
        flow: float,
        header_bar: float,
        tank_bar: float,
        liquid: Liquid,
        ambient_degc: float,
        voltage: float,
        neighbour_vibration: float,
    ) -> None:
        """Take the flow that the network found, and let everything that follows from it follow."""
        self.flow = flow
        clog = self._clog
        self.filter_dp_bar = (
            clog * flow * (self._filter_square * flow + self._filter_linear * liquid.viscosity)
        )
        blocked = self.faults.blockage_bar * (0.7 + 0.3 * (flow / RATED_FLOW) ** 2)
        blocked *= 1.0 if self.is_turning else 0.05
        self.suction_bar = tank_bar - blocked - self._line_loss * flow * flow - self.filter_dp_bar
        if self.is_turning and flow > 0.0:
            self.discharge_bar = header_bar + self._pipe_loss * flow * flow
        else:  # behind the closed check valve the pressure leaks away into the tank
            self.discharge_bar = approach(self.discharge_bar, self.suction_bar, dt_s, 25.0)
        self._cavitate(dt_s, liquid)
        self._load_motor(dt_s, ambient_degc, voltage)
        self._heat(dt_s, liquid, ambient_degc)
        self._shake(dt_s, neighbour_vibration)

    @property
    def _clog(self) -> float:
        return 1.0 + 13.0 * self.faults.clogging

    def _cavitate(self, dt_s: float, liquid: Liquid) -> None:
        available = (self.suction_bar + ATMOSPHERE_BAR - liquid.vapour_bar) / liquid.bar_per_m
        required = 2.2 + 0.00045 * self.flow * self.flow
        # Bubbles form at a multiple of the head at which the pump loses 3 % (Gülich 2014, 6.2).
        margin = (2.8 * required - available) / (2.1 * required)
        share = min(1.0, max(0.0, margin)) if self.is_turning else 0.0
        self.cavitation = approach(self.cavitation, share, dt_s, 2.5)

    def _load_motor(self, dt_s: float, ambient_degc: float, voltage: float) -> None:
        ratio = self.speed
        if self.is_turning:
            reduced = self.flow / ratio
            hydraulic = self._power_linear * reduced - self._power_square * reduced * reduced
            power = ratio**3 * (self._disc_kw + hydraulic * (1.0 - 0.08 * self.cavitation))
            power += ratio * (self._drag_kw + 0.55 * self.faults.wear)
        else:
            power = 0.0
        self.motor.step(
            dt_s, shaft_kw=power, speed=ratio, voltage=voltage, ambient_degc=ambient_degc
        )

    def _heat(self, dt_s: float, liquid: Liquid, ambient_degc: float) -> None:
        ratio = self.speed
        rise = self._bearing_rise_k * ratio**1.6 * (0.8 + 0.2 * self.flow / RATED_FLOW)
        rise += 30.0 * self.faults.wear * ratio
        housing = ambient_degc + 0.13 * (self.motor.winding_degc - ambient_degc)
        housing += 0.18 * (self.casing_degc - ambient_degc) + 0.45 * rise
        self._housing_degc = approach(self._housing_degc, housing, dt_s, self._housing_tau_s)
        ring = self._housing_degc + 0.55 * rise
        self.bearing_degc = approach(self.bearing_degc, ring, dt_s, self._ring_tau_s)
        if self.flow > 1.0:
            warming = 3.2 * ratio**3 / (1.16 * self.flow)
            self.casing_degc = approach(
                self.casing_degc, liquid.temperature_degc + warming, dt_s, 20.0
            )
        else:
            self.casing_degc = approach(self.casing_degc, ambient_degc, dt_s, 2400.0)

    def _shake(self, dt_s: float, neighbour_vibration: float) -> None:
        ratio = self.speed
        off_best = self.flow / max(ratio, 0.1) / self._best_flow - 1.0
        distance = (self.speed_rpm - self._resonance_rpm) / 90.0
        value = self._vibration * ratio**1.7 * (1.0 + 0.9 * off_best * off_best)
        value *= 1.0 + self._resonance / (1.0 + distance * distance)
        value += ratio * 5.5 * self.faults.wear**1.3
        value += 5.5 * self.cavitation * (1.0 + 0.22 * self._surge.value)
        value *= 1.0 + self._roughness.step(dt_s) + 0.025 * self._normals()
        self.vibration = max(0.0, value) + 0.03 * neighbour_vibration + 0.04
