"""What connectors behind a broker have in common: writes, and what they report of themselves."""

import math
from collections.abc import Sequence
from typing import Protocol

from connectors.messages import device_error
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import CommandError
from gateway.core.tags import Tag


class Receiver(Protocol):
    """One session."""

    @property
    def is_connected(self) -> bool:
        """Whether it can write."""

    @property
    def certificate_expires_ns(self) -> int | None:
        """When the broker's certificate expires, UTC."""

    async def write(self, position: int, raw: float) -> float:
        """Write to the tag at a position and return what is then reported, both unscaled."""


class BrokerConnector:
    """Implements `Connector`, but for its sessions."""

    def __init__(self, name: str, address: str, tags: Sequence[Tag]) -> None:
        """Begin without a session; the address is the broker's."""
        self.name = name
        self.address = address
        self.tags = tuple(tags)
        self._receiver: Receiver | None = None
        """That of the present session."""

    async def write(self, tag: Tag, value: float) -> float:
        """Write one value in engineering units and return what is read back."""
        if not tag.writable:
            raise CommandError(f"{tag.id} is not declared writable")
        if self._receiver is None or not self._receiver.is_connected:
            raise device_error(
                self._device,
                "is not connected",
                check="Write again when it is.",
                expert=f"write {tag.id}",
            )
        raw = (value - tag.offset) / tag.scale
        if not math.isfinite(raw):
            raise CommandError(f"{tag.id}: {raw} cannot be written")
        found = await self._receiver.write(self.tags.index(tag), raw)
        return found * tag.scale + tag.offset

    def report(self) -> ConnectorReport:
        """Return what it knows of its own doings."""
        receiver = self._receiver
        expires_ns = receiver.certificate_expires_ns if receiver is not None else None
        return ConnectorReport(certificate_expires_ns=expires_ns)

    @property
    def _device(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self.address})"
