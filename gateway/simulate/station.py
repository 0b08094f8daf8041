"""The pump station: two pumps from one tank into one header, and the automation that runs them."""

import math

from gateway.simulate.chance import Hidden, Normals, Wander, approach
from gateway.simulate.points import PUMPS, SETPOINT_RPM_MAX, SETPOINT_RPM_MIN
from gateway.simulate.pump import Liquid, Pump, liquid_at

DAY_S = 86_400.0
AUTO_RPM_MIN = 2500.0
HEADER_TARGET_BAR = 5.6
NEWTON_STEPS = 3
"""From the last step's pressure; a fourth one changes the fifth digit only."""
STOP_FIRST_S = (1500.0, 2700.0)
STOP_PAUSE_S = (2400.0, 7200.0)
STOP_LENGTH_S = (420.0, 1300.0)
SECOND_PUMP_SHARE = 0.7
"""How often it is the second pump that is stopped."""


class Station:
    """Two pumps in parallel; the header pressure is where their curves meet the system's."""

    def __init__(self, hidden: Hidden, normals: Normals, *, ambient_degc: float) -> None:
        self.pumps = tuple(Pump(hidden, normals, ambient_degc=ambient_degc) for _ in PUMPS)
        self.liquid: Liquid = liquid_at(28.0)
        self.header_bar = HEADER_TARGET_BAR
        self.tank_bar = 0.9
        self._hidden = hidden
        self._static_bar = hidden.about(3.6, 0.02)
        self._resistance = hidden.about(1.45e-4, 0.03)
        self._tank_mean_bar = hidden.about(0.9, 0.03)
        self._liquid_degc = hidden.about(28.0, 0.05)
        self._demand_slow = Wander(normals, sigma=0.045, tau_s=2400.0)
        self._demand_fast = Wander(normals, sigma=0.010, tau_s=70.0)
        self._tank = Wander(normals, sigma=0.03, tau_s=1500.0)
        self._warmth = Wander(normals, sigma=0.6, tau_s=5400.0)
        self._command_rpm = SETPOINT_RPM_MAX - 120.0
        self._is_manual = [False] * len(PUMPS)
        self._stopped = -1
        self._switch_s = hidden.between(*STOP_FIRST_S)

    def set_speed(self, index: int, rpm: float) -> None:
        """Set a pump's speed by hand: the automation leaves it alone from now on."""
        self._is_manual[index] = True
        self.pumps[index].setpoint_rpm = max(SETPOINT_RPM_MIN, min(SETPOINT_RPM_MAX, rpm))

    def step(
        self, dt_s: float, *, elapsed_s: float, day_s: float, ambient_degc: float, voltage: float
    ) -> None:
        """Go on by a time."""
        hour_angle = 2.0 * math.pi * day_s / DAY_S
        demand = 0.90 + 0.045 * math.sin(hour_angle - 2.0) + 0.015 * math.sin(3.0 * hour_angle)
        demand += self._demand_slow.step(dt_s) + self._demand_fast.step(dt_s)
        self.tank_bar = self._tank_mean_bar + self._tank.step(dt_s)
        mean_degc = self._liquid_degc + 0.15 * (ambient_degc - 20.0)
        self.liquid = liquid_at(mean_degc + self._warmth.step(dt_s))
        self._schedule(elapsed_s)
        self._automate(dt_s)
        for pump in self.pumps:
            pump.drive(dt_s)
        flows = self._meet(self._resistance / (demand * demand))
        shaking = [pump.vibration for pump in self.pumps]
        for index, pump in enumerate(self.pumps):
            pump.settle(
                dt_s,
                flow=flows[index],
                header_bar=self.header_bar,
                tank_bar=self.tank_bar,
                liquid=self.liquid,
                ambient_degc=ambient_degc,
                voltage=voltage,
                neighbour_vibration=shaking[1 - index],
            )

    def _schedule(self, elapsed_s: float) -> None:
        """Stop one pump now and then, and start it again."""
        if elapsed_s < self._switch_s:
            return
        if self._stopped >= 0:
            self.pumps[self._stopped].is_ordered_on = True
            self._is_manual[self._stopped] = False
            self._stopped = -1
            self._switch_s = elapsed_s + self._hidden.between(*STOP_PAUSE_S)
        else:
            self._stopped = int(self._hidden.between(0.0, 1.0) < SECOND_PUMP_SHARE)
            self.pumps[self._stopped].is_ordered_on = False
            self._switch_s = elapsed_s + self._hidden.between(*STOP_LENGTH_S)

    def _automate(self, dt_s: float) -> None:
        """Hold the header pressure with the speed, slowly, in steps of 10 rpm."""
        error = HEADER_TARGET_BAR - self.header_bar
        change = max(-4.0, min(4.0, 10.0 * error)) * dt_s
        self._command_rpm = max(AUTO_RPM_MIN, min(SETPOINT_RPM_MAX, self._command_rpm + change))
        for index, pump in enumerate(self.pumps):
            if not self._is_manual[index] and abs(pump.setpoint_rpm - self._command_rpm) > 10.0:
                pump.setpoint_rpm = round(self._command_rpm, -1)

    def _meet(self, resistance: float) -> list[float]:
        """Return the flow of each pump; finds the header pressure with Newton's method."""
        curves = [pump.hydraulics(self.tank_bar, self.liquid) for pump in self.pumps]
        pressure = self.header_bar
        for _ in range(NEWTON_STEPS):
            drawn = math.sqrt(max(pressure - self._static_bar, 1e-4) / resistance)
            excess = -drawn
            slope = -0.5 / (resistance * drawn)
            for c0, c1, c2 in curves:
                flow = _flow(c0 - pressure, c1, c2)
                excess += flow
                if flow > 0.0:
                    slope -= 1.0 / (c1 + 2.0 * c2 * flow)
            pressure -= excess / slope
            pressure = max(pressure, self._static_bar + 1e-3)
        self.header_bar = pressure
        return [_flow(c0 - pressure, c1, c2) for c0, c1, c2 in curves]


def _flow(head_bar: float, c1: float, c2: float) -> float:
    """Return Q of c1 Q + c2 Q² = head; 0 where the check valve closes."""
    if head_bar <= 0.0:
        return 0.0
    return (math.sqrt(c1 * c1 + 4.0 * c2 * head_bar) - c1) / (2.0 * c2)


class Weather:
    """Ambient temperature in the hall and the mains voltage."""

    def __init__(self, hidden: Hidden, normals: Normals) -> None:
        self._mean_degc = hidden.between(17.0, 23.0)
        self._swing_k = hidden.between(2.5, 4.5)
        self._air = Wander(normals, sigma=0.7, tau_s=9000.0)
        self._mains = Wander(normals, sigma=0.008, tau_s=700.0)
        self.ambient_degc = self._mean_degc
        self.voltage = 1.0

    def step(self, dt_s: float, *, day_s: float) -> None:
        """Go on by a time; warmest in the afternoon."""
        swing = self._swing_k * math.sin(2.0 * math.pi * (day_s / DAY_S - 0.40))
        target = self._mean_degc + swing + self._air.step(dt_s)
        self.ambient_degc = approach(self.ambient_degc, target, dt_s, 900.0)
        self.voltage = 1.0 + self._mains.step(dt_s)
