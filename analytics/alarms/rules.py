"""What holds for all alarms of a gateway: targets, floods, chattering and shelving."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from analytics.comparators import ChatterRule
from analytics.instants import NS_PER_S
from gateway.core.settings import Settings


class AlarmRules(Settings):
    """What holds for all alarms, for the person who has to answer them (ISA-18.2, IEC 62682)."""

    target_per_hour: Annotated[float, Field(gt=0, le=1000)] = 6.0
    """Announced alarms in an hour that a person can deal with, on average; 6 is about the 150 in a
    day that IEC 62682 calls very likely to be acceptable."""
    flood_per_10min: Annotated[int, Field(ge=1, le=1000)] = 10
    """More new alarms than this in 10 minutes are a flood."""
    flood_end_per_10min: Annotated[int, Field(ge=1, le=1000)] = 5
    """A flood is over when fewer than this came in 10 minutes."""
    flood_severity_min: Annotated[int, Field(ge=1, le=1001)] = 700
    """Alarms of this severity or more are announced one by one in a flood, too; 1001 is none."""
    chatter_raises: Annotated[int, Field(ge=0, le=20)] = 3
    """An alarm that comes so many times within `chatter_window_s` chatters and is held: 2 or
    more; 0 lets every alarm chatter."""
    chatter_window_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """Time in which the raises of one alarm are counted for that, in the time of the data."""
    chatter_hold_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """How long the condition of a held alarm must be gone, without a break, before it returns."""
    shelve_h_max: Annotated[float, Field(gt=0, le=168)] = 24.0
    """Longest time for which an alarm can be shelved, in hours."""
    fleeting_s: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """An alarm that is gone again in less time, before anybody saw it, counts as fleeting."""
    stale_h: Annotated[float, Field(gt=0, le=8760)] = 24.0
    """An alarm that stands for longer counts as stale, in hours."""

    @field_validator("chatter_raises")
    @classmethod
    def _is_more_than_one(cls, chatter_raises: int) -> int:
        if chatter_raises == 1:
            raise ValueError("1 raise is no chattering: 2 or more, or 0 for never")
        return chatter_raises

    @model_validator(mode="after")
    def _ends_below_begin(self) -> "AlarmRules":
        if self.flood_end_per_10min > self.flood_per_10min + 1:
            raise ValueError(
                f"flood_end_per_10min: {self.flood_end_per_10min} is above flood_per_10min, "
                f"{self.flood_per_10min}: a flood would be over as it begins"
            )
        return self

    @property
    def chatter(self) -> ChatterRule | None:
        """When an alarm is held; None when none ever is."""
        if self.chatter_raises == 0:
            return None
        return ChatterRule(
            raises=self.chatter_raises,
            window_ns=round(self.chatter_window_s * NS_PER_S),
            hold_ns=round(self.chatter_hold_s * NS_PER_S),
        )
