"""The state of an alarm, as the console and the local API show it (ISA-18.2-2016)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from gateway.core.events import Evidence

AlarmId = NewType("AlarmId", str)
"""`source/condition`; stable over the life of a configuration."""


class AlarmState(StrEnum):
    """The states of ISA-18.2-2016, figure 4, its letter behind each.

    While several things silence an alarm it shows the first of: out of service, shelved,
    suppressed.
    """

    NORMAL = "normal"
    """A."""
    UNACKNOWLEDGED = "unacknowledged"
    """B: active, and nobody has seen it."""
    ACKNOWLEDGED = "acknowledged"
    """C: active, and a person has seen it."""
    RETURNED = "returned"
    """D: no longer active, and nobody has seen it."""
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    """E: the condition is gone, but the alarm stays; nobody has seen it."""
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    """F: the same, seen; it waits for a person to reset it."""
    SHELVED = "shelved"
    """G: silenced by a person until a time, whatever its condition does."""
    SUPPRESSED = "suppressed"
    """H: silenced by design, while the plant is in a state in which it means nothing."""
    OUT_OF_SERVICE = "out_of_service"
    """I: silenced by a person until a person puts it back, such as for maintenance."""


class AlarmAction(StrEnum):
    """What a person can do to an alarm."""

    ACKNOWLEDGE = "acknowledge"
    """They have seen it."""
    RESET = "reset"
    """A latched alarm whose condition is gone may go."""
    SHELVE = "shelve"
    """Silence it until a time."""
    UNSHELVE = "unshelve"
    """End that before the time."""
    TAKE_OUT = "take_out"
    """Out of service, until a person puts it back."""
    PUT_BACK = "put_back"
    """Into service again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmOrder:
    """A person's wish to do something to an alarm."""

    alarm: AlarmId
    action: AlarmAction
    time_ns: int
    """When they asked for it, by the gateway's clock."""
    operator: str
    """Who."""
    reason: str = ""
    """Why, in their words."""
    until_ns: int | None = None
    """Until when to shelve it; None for every other action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm as it stands now."""

    id: AlarmId
    source: str
    """The asset or the device."""
    condition: str
    """Name of the condition."""
    severity: int
    """1 to 1000."""
    state: AlarmState
    active: bool
    """Whether the condition holds, also while shelved."""
    raised_ns: int | None
    """When it last became active, in the time of the data; None is never."""
    onset_ns: int | None
    """When the condition first held before the on-delay, for the last raise."""
    shelved_until_ns: int | None
    """When a shelved alarm comes back by itself."""
    silenced_by: str = ""
    """Who shelved it or took it out of service; empty when neither."""
    silenced_reason: str = ""
    """Why, in their words; for a suppressed alarm what suppresses it."""
    silenced_since_ns: int | None = None
    """Since when it is shelved, suppressed or out of service."""
    is_quiet: bool = False
    """Whether it came in a flood and was not announced by itself."""
    is_chattering: bool = False
    """Whether it came too often and is held until its condition is calm."""
    group: str = ""
    """Group of alarms, such as those of a trip; empty is none."""
    group_order: int = 0
    """Its place in the group's present sequence: 1 is the first out, 0 is none."""
    text: str
    """One sentence for a person."""
    evidence: tuple[Evidence, ...] = ()
    """Reasons at the time it was raised, the weightiest first."""
