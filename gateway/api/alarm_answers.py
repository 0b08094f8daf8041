"""What the local API answers about alarms, as pydantic models."""

from datetime import datetime
from typing import Literal

from gateway.api.answers import Answer, EvidenceAnswer


class AlarmAnswer(Answer):
    """One alarm that is not normal."""

    id: str
    source: str
    condition: str
    severity: int
    """1 to 1000."""
    state: Literal[
        "normal",
        "unacknowledged",
        "acknowledged",
        "returned",
        "latched_unacknowledged",
        "latched_acknowledged",
        "shelved",
        "suppressed",
        "out_of_service",
    ]
    is_active: bool
    """Whether the condition holds, also while it is silenced."""
    raised: datetime | None
    onset: datetime | None
    """When the cause began, as far as known."""
    shelved_until: datetime | None
    silenced_since: datetime | None = None
    """Since when it is shelved, suppressed or out of service."""
    silenced_by: str = ""
    """Who shelved it or took it out of service."""
    silenced_reason: str = ""
    """Why, in their words; for a suppressed alarm what suppresses it."""
    is_quiet: bool = False
    """Whether it came in a flood and was not announced by itself."""
    is_chattering: bool = False
    """Whether it came too often and is held until its condition is calm."""
    group: str = ""
    """Group of alarms whose order of raising is kept; empty is none."""
    group_order: int = 0
    """Place in that order: 1 is the first out, 0 is none."""
    text: str
    evidence: tuple[EvidenceAnswer, ...]


class AlarmList(Answer):
    """Every alarm that is not normal, the worst first."""

    alarms: tuple[AlarmAnswer, ...]


class AlarmCountAnswer(Answer):
    """How often one alarm came."""

    alarm: str
    """`source/condition`."""
    count: int
    share: float
    """Of all raises, 0 to 1."""


class AlarmMetricsAnswer(Answer):
    """How the alarms did against what a person can deal with (IEC 62682)."""

    since: datetime
    """Begin of the period: at the most the last seven days."""
    until: datetime
    announced: int
    """Alarms that asked for a person by themselves; a flood counts as one more."""
    raised: int
    """All raises, those that a flood collected among them."""
    last_hour: int
    """Announced in the last hour."""
    per_10min: float
    """Announced, on average; likewise the next two."""
    per_hour: float
    per_day: float
    target_per_hour: float
    """What is wanted of `per_hour`."""
    is_within_target: bool
    peak_per_10min: int
    """Most announced in any 10 minutes."""
    peak_raised_per_10min: int
    """Most raised in any 10 minutes."""
    flood_count: int
    flood_share: float
    """Part of the period that was in a flood, 0 to 1."""
    flood_since: datetime | None
    """Begin of the flood that goes on; null is none."""
    high: int
    """Announced with a severity of 667 or more; about 5 % of all are wanted."""
    medium: int
    """From 334 to 666; about 15 %."""
    low: int
    """The rest; about 80 %."""
    fleeting: int
    """Raises that were gone again before anybody could have acted."""
    chattering: int
    """How often an alarm began to chatter."""
    chattering_now: tuple[str, ...]
    """Alarms that are held now, until their conditions are calm."""
    stale: tuple[str, ...]
    """Alarms that stand for too long, the oldest first."""
    most_frequent: tuple[AlarmCountAnswer, ...]
    """The ten that came most often, the worst first."""
