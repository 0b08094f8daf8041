"""What the gateway knows of the connection to one device."""

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.core.tags import TagId


class DeviceState(StrEnum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    """No session yet, and none was lost since the start."""
    OK = "ok"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A point that the device refuses: left out of ordinary requests, and tried now and then."""

    tag: TagId
    """The tag that reads it."""
    address: str
    """Where it is on the device, as people write it: `holding 9000`, `ns=2;s=P101.Nothing`."""
    reason: str
    """Why, in a few words, such as `exception 2, illegal data address`."""
    since_ns: int
    """When it was refused first, UTC."""
    retry_ns: int
    """When it is asked for again, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorReport:
    """What a connector knows of its own doings; None is not known, or not there."""

    latency_ms: float | None = None
    """From a request to its answer, over the last few; None where nothing is requested."""
    requests_per_s: float | None = None
    """Over the last few seconds."""
    busy_share: float | None = None
    """Part of the time that the line was busy with us, 0 to 1, over the last few seconds."""
    set_aside: tuple[SetAside, ...] = ()
    """Points that the device refuses at present."""
    certificate_expires_ns: int | None = None
    """When the earlier of both sides' certificates expires, UTC."""
    untrusted_certificate: str = ""
    """SHA-256 of a certificate that a person must trust before the session can stand."""


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
    report: ConnectorReport = field(default_factory=ConnectorReport)
    """What the connector itself says."""
