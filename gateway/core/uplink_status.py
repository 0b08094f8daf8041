"""What the gateway knows of the delivery to one far end."""

from dataclasses import dataclass
from enum import StrEnum


class UplinkState(StrEnum):
    """Where a delivery stands."""

    CONNECTING = "connecting"
    """Nothing sent yet since the start."""
    OK = "ok"
    FAILING = "failing"
    """The far end refuses or does not answer; records wait in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkStatus:
    """One uplink now; counts are since the start of the gateway."""

    name: str
    """Name of the uplink in the configuration."""
    address: str
    """Where it delivers to."""
    state: UplinkState
    since_ns: int
    """When it entered this state, UTC."""
    reason: str = ""
    """Why it is failing, for the engineer; empty when it is not."""
    detail: str = ""
    """The same for the expert: code, address, exception."""
    lag_records: int = 0
    """Records in the log that the far end has not confirmed."""
    lag_s: float = 0.0
    """Age of the oldest of them; 0 when there is none."""
    record_count: int = 0
    """Records confirmed."""
    sample_count: int = 0
    """Raw samples confirmed."""
    duplicate_count: int = 0
    """Records that the far end had already."""
    sent_bytes: int = 0
    """Bytes of the batches confirmed."""
