"""What the local API answers about devices, as pydantic models; see `gateway.api.answers`."""

from datetime import datetime
from typing import Literal

from gateway.api.answers import Answer, TagAnswer


class SetAsideAnswer(Answer):
    """A point that the device refuses: left out of ordinary requests, and tried now and then."""

    tag: str
    address: str
    """Where it is on the device, as people write it."""
    reason: str
    since: datetime
    """When it was refused first."""
    retry: datetime
    """When it is asked for again."""


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
    """From a request to its answer; null where nothing is requested, like all of these."""
    requests_per_s: float | None
    busy_share: float | None
    """Part of the time that the line is busy with us, 0 to 1."""
    set_aside: tuple[SetAsideAnswer, ...]
    """Points that the device refuses at present."""
    certificate_expires: datetime | None
    """When the earlier of both sides' certificates expires."""
    untrusted_certificate: str
    """SHA-256 of a certificate that a person must trust first; empty when there is none."""


class DeviceList(Answer):
    """Every device."""

    devices: tuple[DeviceAnswer, ...]


class DeviceTags(Answer):
    """The newest value of every tag of one device; the counts are of all its tags, each once."""

    device: str
    good_count: int
    uncertain_count: int
    stale_count: int
    """Not Bad, but nothing came from the device for too long."""
    waiting_count: int
    """Without any value since the start of the gateway."""
    bad_count: int
    tags: tuple[TagAnswer, ...]
    """Those in trouble first, then in the order of the tag list."""
