"""Events: something happened to an asset, a device or the gateway itself."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import NewType

EventId = NewType("EventId", str)
"""Made from the event's content: the same happening always has the same id."""


class Transition(StrEnum):
    """What an event does to the state of its condition (ISA-18.2-2016, figure 4)."""

    NOTED = "noted"
    """Nothing: a plain message without a state."""
    RAISED = "raised"
    RETURNED = "returned"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    RESET = "reset"
    """A person has let go of a latch."""
    SUPPRESSED = "suppressed"
    """By design: the plant is in a state in which the alarm means nothing."""
    UNSUPPRESSED = "unsuppressed"
    OUT_OF_SERVICE = "out_of_service"
    """Taken out by a person, without a time at which it comes back."""
    IN_SERVICE = "in_service"
    CHATTERING = "chattering"
    """The state stays: the alarm came too often, and is held until its condition is calm."""
    CALMED = "calmed"
    """It is no longer held; what it returned to is told beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One reason for an event."""

    name: str
    """The tag or the feature it speaks of."""
    value: float
    """What was found; NaN when the value itself was bad."""
    expected: float | None = None
    """What would have been normal, in the same unit; None is unknown."""
    share: float | None = None
    """Part of the whole that this reason explains, 0 to 1; None is unknown."""
    unit: str = ""
    """UCUM code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a time, to a source, under a named condition.

    Follows OPC UA Alarms & Conditions (OPC 10000-9) in its words: source, condition, severity.
    """

    time_ns: int
    """When it happened, in the time of the data, UTC."""
    source: str
    """Asset, device, uplink or `gateway`."""
    condition: str
    """Stable name of the condition, such as `filter_clogged` or `device_lost`."""
    severity: int
    """1 (nothing to do) to 1000 (act now), as in OPC UA."""
    transition: Transition = Transition.NOTED
    """What it does to the state of the condition."""
    text: str
    """One sentence for a person."""
    onset_ns: int | None = None
    """When the cause began, as far as known; None is unknown."""
    until_ns: int | None = None
    """When a shelved alarm comes back by itself; None for every other transition."""
    operator: str = ""
    """Who did it; empty when the gateway did."""
    reason: str = ""
    """Why a person did it, in their words."""
    is_quiet: bool = False
    """Recorded, but not to be announced: part of a flood that an event of its own announces."""
    group: str = ""
    """Group of alarms that a raise belongs to, such as a trip; empty is none."""
    group_order: int = 0
    """Its place among the raises of the group since all of them were gone: 1 is the first out,
    0 is none."""
    evidence: tuple[Evidence, ...] = ()
    """The reasons, the weightiest first."""

    def __post_init__(self) -> None:
        """Check the severity's range."""
        assert 1 <= self.severity <= 1000, self.severity

    @property
    def id(self) -> EventId:
        """Id made from source, condition, transition and time: 16 hexadecimal digits."""
        content = f"{self.source}\0{self.condition}\0{self.transition}\0{self.time_ns}"
        return EventId(blake2b(content.encode(), digest_size=8).hexdigest())
