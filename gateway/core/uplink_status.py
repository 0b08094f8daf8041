"""How an uplink is doing, as the console and the local API show it."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.records import Boot, RecordKind, Seq


class DeliveryClass(StrEnum):
    """What an uplink delivers apart, each on a place of its own in the log."""

    ALARMS = "alarms"
    """Events, commands, ledger entries and tag tables: in order, at once."""
    LIVE = "live"
    """Samples of the present."""
    BACKFILL = "backfill"
    """Samples that were left behind to be in the present again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassStatus:
    """One class of an uplink; the totals count from the start of the service."""

    name: DeliveryClass
    lag_records: int
    """Positions of the log that are not confirmed yet; never below the number of records."""
    lag_s: float
    """For how long the oldest of them has been waiting; 0 when there is none."""
    acknowledged_records: int
    """Records confirmed by the far end."""
    acknowledged_samples: int
    """Raw samples in them, as counted by the far end."""
    drain_s: float | None = None
    """How long it takes at the present rate until nothing waits; None while that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that a far end said it will never take; it is kept on the gateway."""

    boot: Boot
    seq: Seq
    kind: RecordKind
    size_bytes: int
    """Of its body."""
    reason: str
    """In the far end's words."""
    time_ns: int
    """When it was refused, UTC."""
    is_historical: bool
    """Whether it was part of the backfill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkStatus:
    """One uplink as it stands now; the totals count from the start of the service."""

    name: str
    """Name of the uplink in the configuration; also of its cursor."""
    address: str
    """Where it delivers to, for a person."""
    is_connected: bool | None
    """Whether the last attempt succeeded; None before the first one."""
    since_ns: int | None
    """When it was connected or lost, UTC; None before the first attempt."""
    error: str
    """What is wrong and what to check, for the engineer; empty while connected."""
    error_detail: str
    """The same for the expert: code, address, exception; empty while connected."""
    retry_ns: int | None
    """When the next attempt is due, UTC; None while connected."""
    cursor: Seq
    """The far end has everything up to here."""
    lag_records: int
    """Positions of the log that are not confirmed yet; never below the number of records."""
    lag_s: float
    """For how long the oldest unconfirmed record has been waiting; 0 when there is none."""
    acknowledged_records: int
    """Records confirmed by the far end."""
    acknowledged_samples: int
    """Raw samples in them, as counted by the far end."""
    duplicate_records: int
    """Records that the far end had already."""
    dead_letters: int
    """Records that the far end will never take; they are kept on the gateway."""
    bytes_today: int
    """Sent in confirmed batches since midnight UTC; without a budget, since the start if that was
    later."""
    outage_s: float
    """Time without the far end, the running outage included."""
    drained_records: int
    """Records delivered late, after an outage."""
    budget_bytes_per_day: int | None = None
    """What may be sent in a day; None is any amount."""
    classes: tuple[ClassStatus, ...] = ()
    """The same by class, the most urgent first."""
