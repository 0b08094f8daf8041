"""What the local API answers about devices, as pydantic models; see `gateway.api.answers`."""

from datetime import datetime
from typing import Literal

from gateway.api.answers import Answer


class DeviceAnswer(Answer):
    """The connection to one device; counts are since the start of the gateway."""

    name: str
    address: str
    state: Literal["connecting", "ok", "lost"]
    since: datetime
    reason: str
    """Why it is not ok, for the engineer."""
    detail: str
    """The same for the expert."""
    retry: datetime | None
    """When it is tried again."""
    tag_count: int
    frame_count: int
    frames_per_s: float
    sample_count: int
    skipped_count: int
    """Samples not asked for, because a scan could not start in time."""
    latency_ms: float | None


class DeviceList(Answer):
    """Every device."""

    devices: tuple[DeviceAnswer, ...]
