"""Events about addresses that a device refuses, and about those that answer again."""

import structlog

from connectors.modbus.exceptions import exception_text
from connectors.modbus.exchange import Answer
from connectors.modbus.point_group import Change, PointGroup
from gateway.core.events import Event

ADDRESS_REFUSED = "address_refused"
ADDRESS_RESTORED = "address_restored"
REFUSED_SEVERITY = 400
RESTORED_SEVERITY = 100
NAMED_MAX = 5
"""Addresses that one event names; the others are counted in it."""

log = structlog.get_logger()


class RefusalEvents:
    """Words what a scan found out."""

    def __init__(self, source: str) -> None:
        """Speak for a connector, by its name."""
        self._source = source
        self._event_ns = 0

    def event(self, group: PointGroup, change: Change, answer: Answer) -> Event:
        """Return the event for a change, and log it."""
        named = ", ".join(
            f"{group.members[member].point} ({group.members[member].tag})"
            for member in change.members[:NAMED_MAX]
        )
        others = len(change.members) - NAMED_MAX
        named += f" and {others} others" if others > 0 else ""
        # The time tells one event of a condition from another.
        self._event_ns = max(answer.received_ns, self._event_ns + 1)
        if not change.exception_code:
            log.info("addresses_restored", device=self._source, addresses=named)
            return Event(
                time_ns=self._event_ns,
                source=self._source,
                condition=ADDRESS_RESTORED,
                severity=RESTORED_SEVERITY,
                text=f"{self._source} answers {named} again",
            )
        reason = exception_text(change.exception_code)
        log.warning(
            "addresses_refused",
            device=self._source,
            addresses=named,
            reason=reason,
            stage="receiving",
        )
        return Event(
            time_ns=self._event_ns,
            source=self._source,
            condition=ADDRESS_REFUSED,
            severity=REFUSED_SEVERITY,
            text=f"{self._source} refuses {named}: {reason}. Check the address and the type; "
            "it is left out, and tried again now and then",
        )
