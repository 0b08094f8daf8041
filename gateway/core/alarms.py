"""The state of an alarm, as the console and the local API show it (ISA-18.2-2016)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from gateway.core.events import Evidence

AlarmId = NewType("AlarmId", str)
"""`source/condition`; stable over the life of a configuration."""


class AlarmState(StrEnum):
    """States of ISA-18.2-2016, figure 4, as far as the gateway has them."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    """Active, and nobody has seen it."""
    ACKNOWLEDGED = "acknowledged"
    """Active, and a person has seen it."""
    RETURNED = "returned"
    """No longer active, and nobody has seen it."""
    SHELVED = "shelved"
    """Silenced by a person until a time, whatever its condition does."""


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
    text: str
    """One sentence for a person."""
    evidence: tuple[Evidence, ...] = ()
    """Reasons at the time it was raised, the weightiest first."""
