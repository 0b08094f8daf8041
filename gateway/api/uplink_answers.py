"""What the local API answers about uplinks, as pydantic models; see `gateway.api.answers`."""

from datetime import datetime
from typing import Literal

from gateway.api.answers import Answer


class DeliveryClassAnswer(Answer):
    """What an uplink delivers apart: alarms, live samples, or the backfill behind them."""

    name: Literal["alarms", "live", "backfill"]
    lag_records: int
    """Records that the far end has not confirmed."""
    lag_s: float
    """For how long the oldest of them has been waiting."""
    acknowledged_records: int
    acknowledged_samples: int
    drain_s: float | None
    """How long it takes at the present rate until nothing waits; null while it is not known."""


class UplinkAnswer(Answer):
    """The delivery to one far end; counts are since the start of the gateway."""

    name: str
    address: str
    state: Literal["connecting", "ok", "failing"]
    since: datetime | None
    reason: str
    """Why it is failing, for the engineer."""
    detail: str
    """The same for the expert."""
    retry: datetime | None
    """When it is tried again."""
    lag_records: int
    """Records that the far end has not confirmed."""
    lag_s: float
    """For how long the oldest of them has been waiting."""
    acknowledged_records: int
    acknowledged_samples: int
    duplicate_records: int
    """Records that the far end had already."""
    dead_letters: int
    """Records that the far end will never take; the gateway keeps them."""
    bytes_today: int
    outage_s: float
    """Time without the far end."""
    drained_records: int
    """Records delivered late, after an outage."""
    budget_bytes_per_day: int | None = None
    """What may be sent in a day; null is any amount."""
    classes: tuple[DeliveryClassAnswer, ...] = ()
    """The same by class, the most urgent first."""


class UplinkList(Answer):
    """Every uplink."""

    uplinks: tuple[UplinkAnswer, ...]


class DeadLetterAnswer(Answer):
    """A record that the far end said it will never take."""

    boot: int
    seq: int
    kind: str
    """What the record holds, such as `FRAME` or `EVENT`."""
    size_bytes: int
    reason: str
    """In the far end's words."""
    time: datetime
    """When it was refused."""
    is_historical: bool
    """Whether it was part of the backfill."""


class DeadLetterList(Answer):
    """What an uplink will never take, the oldest records first."""

    letters: tuple[DeadLetterAnswer, ...]


class ResentAnswer(Answer):
    """What came of sending dead letters again."""

    taken: int
    """Records that the far end has now."""
    letters: tuple[DeadLetterAnswer, ...]
    """What is left, the oldest records first."""
