"""A vibration sensor of an asset, as a person describes it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from analytics.vibration.bearings import bearing
from analytics.vibration.indicators import Axis, Machine
from analytics.vibration.iso20816 import Foundation, Group
from gateway.core.errors import ConfigError
from gateway.core.rows import AssetId
from gateway.core.settings import Settings
from gateway.core.tags import TagId


class SensorSettings(Settings):
    """A vibration sensor of an asset, whose tag gives waveforms."""

    tag: TagId
    """The tag with the waveforms."""
    speed: TagId | None = None
    """A tag with the speed of the shaft, in turns a minute."""
    speed_rpm: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """The speed, where it never changes and no tag has it."""
    bearing: str = ""
    """At the sensor: a designation such as `6205`, `n=9 d=7.94 D=39.04 angle=0`, or
    `bpfo=3.58 bpfi=5.42 bsf=2.36 ftf=0.4`; empty is unknown."""
    unit: str = "g"
    """Of the values: `g`, or `m/s2`."""
    samples: Annotated[int, Field(ge=256, le=65_536)] = 4096
    """Of one waveform."""
    machine_group: Group = 2
    """Of ISO 20816-3: 1 above 300 kW, 2 from 15 kW on."""
    foundation: Foundation = "rigid"
    """Of ISO 20816-3."""
    axis: Axis = "radial"
    """Direction of the sensor, against the shaft."""

    @field_validator("bearing")
    @classmethod
    def _is_known(cls, text: str) -> str:
        if text:
            try:
                bearing(text)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return text

    @field_validator("unit")
    @classmethod
    def _is_acceleration(cls, unit: str) -> str:
        if unit not in ("g", "m/s2"):
            raise ValueError(f"{unit!r} is no acceleration: g or m/s2")
        return unit

    @property
    def machine(self) -> Machine:
        """What is known of the machine."""
        return Machine(
            bearing=bearing(self.bearing) if self.bearing else None,
            group=self.machine_group,
            foundation=self.foundation,
            axis=self.axis,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One sensor of one asset."""

    asset: AssetId
    name: str
    settings: SensorSettings

    @property
    def prefix(self) -> str:
        """What the ids of its derived tags begin with."""
        return f"{self.asset}.{self.name}_"
