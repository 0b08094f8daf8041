"""How the alarms of a gateway do as a whole, against what a person can deal with (IEC 62682)."""

from dataclasses import dataclass

from gateway.core.alarms import AlarmId


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCount:
    """How often one alarm came."""

    alarm: AlarmId
    count: int
    """Raises, announced or not."""
    share: float
    """Of all raises, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmMetrics:
    """Figures of a period; an announced alarm is one that asked for a person by itself.

    Rates of a period that is shorter than an hour are those of an hour with no more in it.
    """

    from_ns: int
    """Begin of the period, UTC, by the gateway's clock."""
    to_ns: int
    """Its end: now."""
    announced: int
    """Raises that were announced, floods among them as one each."""
    raised: int
    """All raises, those that a flood collected among them."""
    last_hour: int
    """Announced in the last hour."""
    per_hour: float
    """Announced, on average."""
    target_per_hour: float
    """What is wanted of `per_hour`."""
    peak_per_10min: int
    """Most announced in any 10 minutes."""
    peak_raised_per_10min: int
    """Most raised in any 10 minutes."""
    flood_count: int
    """Floods that began in the period."""
    flood_share: float
    """Part of the period that was in a flood, 0 to 1."""
    flood_since_ns: int | None
    """Begin of the flood that goes on; None is none."""
    high: int
    """Announced with a severity of 667 or more; the wanted share is about 5 % (IEC 62682)."""
    medium: int
    """From 334 to 666; about 15 %."""
    low: int
    """The rest; about 80 %."""
    fleeting: int
    """Raises that were gone again before anybody could have acted."""
    chattering: int
    """How often an alarm began to chatter."""
    chattering_now: tuple[AlarmId, ...]
    """Alarms that are held now."""
    stale: tuple[AlarmId, ...]
    """Alarms that stand for too long, the oldest first."""
    most_frequent: tuple[AlarmCount, ...]
    """The ten that came most often, the worst first."""

    @property
    def per_10min(self) -> float:
        """Announced in 10 minutes, on average."""
        return self.per_hour / 6

    @property
    def per_day(self) -> float:
        """Announced in a day, on average."""
        return self.per_hour * 24

    @property
    def is_within_target(self) -> bool:
        """Whether the average is no more than what is wanted."""
        return self.per_hour <= self.target_per_hour
