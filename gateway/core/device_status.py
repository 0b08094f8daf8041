"""What the gateway knows of the connection to one device."""

from dataclasses import dataclass
from enum import StrEnum


class DeviceState(StrEnum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    """No session yet, and none was lost since the start."""
    OK = "ok"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """One device as its connector sees it now; counts are since the start of the gateway."""

    name: str
    """Name of the connector in the configuration."""
    address: str
    """Where it connects to."""
    state: DeviceState
    since_ns: int
    """When it entered this state, UTC."""
    reason: str = ""
    """Why it is not ok, for the engineer; empty when it is."""
    detail: str = ""
    """The same for the expert: code, address, exception."""
    retry_ns: int | None = None
    """When it is tried again, UTC; None while connected."""
    tag_count: int = 0
    """Tags it provides."""
    frame_count: int = 0
    """Frames received."""
    frames_per_s: float = 0.0
    """Over the last few seconds."""
    sample_count: int = 0
    """Samples received."""
    skipped_count: int = 0
    """Samples not asked for, because a scan could not start in time."""
    latency_ms: float | None = None
    """Time of the last request to its answer; None where nothing is requested."""
