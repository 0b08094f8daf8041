"""An induction motor on a drive: slip, power factor, losses and the heat they leave."""

import math
from dataclasses import dataclass

from gateway.simulate.chance import Hidden, approach

COPPER_PER_K = 0.0039
"""Rise of copper's resistance a kelvin, about 20 Cel."""
WINDING_HOT_DEGC = 75.0
"""Winding temperature that the rating plate speaks of."""
STANDING_SPEED = 0.05
"""Below this share of the rated speed the drive is off."""
MAINS_KV = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorPlate:
    """What stands on the rating plate, and what the factory would not tell."""

    power_kw: float
    current_a: float
    power_factor: float
    slip: float
    """Share of the synchronous speed at rated load."""
    rise_k: float
    """Winding over ambient at rated load."""
    tau_s: float
    """Thermal time constant with the fan at rated speed."""

    def varied(self, hidden: Hidden) -> "MotorPlate":
        """Return one motor of this type, as it really is."""
        return MotorPlate(
            power_kw=self.power_kw,
            current_a=hidden.about(self.current_a, 0.02),
            power_factor=hidden.about(self.power_factor, 0.015),
            slip=hidden.about(self.slip, 0.10),
            rise_k=hidden.about(self.rise_k, 0.08),
            tau_s=hidden.about(self.tau_s, 0.10),
        )


class Motor:
    """State of one motor; the current is measured in the mains, before the drive."""

    def __init__(self, plate: MotorPlate, *, ambient_degc: float) -> None:
        self.plate = plate
        self.winding_degc = ambient_degc + 0.7 * plate.rise_k
        self.current_a = 0.0
        self.slip = plate.slip
        self._magnetising = math.sqrt(1.0 - plate.power_factor**2)
        # What the plate says of itself: all that goes in at rated load and does not come out.
        self._loss_kw = (
            math.sqrt(3.0) * MAINS_KV * plate.current_a * plate.power_factor - plate.power_kw
        )

    def step(
        self, dt_s: float, *, shaft_kw: float, speed: float, voltage: float, ambient_degc: float
    ) -> None:
        """Carry a load for a time.

        Args:
            dt_s: The time.
            shaft_kw: Mechanical power.
            speed: Share of the rated speed; 0 is standing still, without current.
            voltage: Share of the rated mains voltage: about 1.
            ambient_degc: Temperature of the cooling air.
        """
        plate = self.plate
        resistance = 1.0 + COPPER_PER_K * (self.winding_degc - WINDING_HOT_DEGC)
        if speed < STANDING_SPEED:
            losses = 0.0
            self.current_a = 0.0
        else:
            torque = shaft_kw / plate.power_kw / speed
            self.slip = plate.slip * torque * resistance / (voltage * voltage)
            active = plate.power_factor * torque / voltage
            # The iron saturates: the magnetising current grows faster than the voltage.
            magnetising = self._magnetising * voltage**2.4
            copper = (active * active + magnetising * magnetising) * resistance
            losses = 0.28 * speed**1.4 * voltage * voltage + 0.72 * copper
            power_kw = shaft_kw + self._loss_kw * losses
            load = power_kw / (plate.power_kw + self._loss_kw)
            # The drive's rectifier draws from the mains more smoothly the more it is loaded.
            factor = plate.power_factor * (0.86 + 0.20 * load - 0.06 * load * load)
            self.current_a = power_kw / (math.sqrt(3.0) * MAINS_KV * voltage * factor)
        cooling = 0.30 + 0.70 * speed  # the fan sits on the shaft
        self.winding_degc = approach(
            self.winding_degc,
            ambient_degc + plate.rise_k * losses / cooling,
            dt_s,
            plate.tau_s / cooling,
        )
