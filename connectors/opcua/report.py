"""What an OPC UA connector knows of its own doings: how its reads go, and what is refused."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from asyncua.ua.status_codes import get_name_and_doc

from connectors.opcua.tags import OpcuaRow
from gateway.core.device_status import ConnectorReport, SetAside
from gateway.core.tags import TagId

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
WINDOW_NS = 10 * NS_PER_S
"""Requests are counted over so long."""
READS_MAX = 1000
"""Of them, so many are remembered."""


class ReadFigures:
    """The reads of the last seconds."""

    def __init__(self) -> None:
        """Begin without any."""
        self._reads: deque[tuple[int, int]] = deque(maxlen=READS_MAX)

    def note(self, *, sent_ns: int, answered_ns: int) -> None:
        """Note a read that was answered; times on the monotonic clock."""
        self._reads.append((answered_ns, answered_ns - sent_ns))

    def latency_ms(self, now_ns: int) -> float | None:
        """Return the median time to an answer; None when nothing was read lately."""
        recent = self._recent(now_ns)
        return median(recent) / NS_PER_MS if recent else None

    def requests_per_s(self, now_ns: int) -> float | None:
        """Return the rate of reads; None when nothing was read lately."""
        recent = self._recent(now_ns)
        return len(recent) * NS_PER_S / WINDOW_NS if recent else None

    def _recent(self, now_ns: int) -> list[int]:
        return [latency for answered, latency in self._reads if now_ns - answered <= WINDOW_NS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A node that the server does not give."""

    status: int
    since_ns: int
    """UTC."""


def report_of(
    figures: ReadFigures,
    refusals: dict[int, Refusal],
    *,
    rows: Sequence[OpcuaRow],
    names: Sequence[TagId],
    node_retry_s: float,
    now_ns: int,
    monotonic_ns: int,
) -> ConnectorReport:
    """Return the report of a connector.

    Args:
        figures: Of its reads.
        refusals: Refused nodes by the position of their tag.
        rows: The node list.
        names: Of the tags, in the same order.
        node_retry_s: How often refused nodes are asked for again.
        now_ns: UTC.
        monotonic_ns: The same instant on the monotonic clock.
    """
    return ConnectorReport(
        latency_ms=figures.latency_ms(monotonic_ns),
        requests_per_s=figures.requests_per_s(monotonic_ns),
        set_aside=tuple(
            SetAside(
                tag=names[handle],
                address=str(rows[handle].node),
                reason=get_name_and_doc(refusal.status)[0],
                since_ns=refusal.since_ns,
                retry_ns=_next_retry_ns(refusal.since_ns, now_ns, node_retry_s),
            )
            for handle, refusal in sorted(refusals.items())
        ),
    )


def _next_retry_ns(since_ns: int, now_ns: int, node_retry_s: float) -> int:
    """Return about when a node is asked for again: the tries repeat from its refusal on."""
    retry_ns = round(node_retry_s * NS_PER_S)
    return since_ns + max(1, math.ceil((now_ns - since_ns) / retry_ns)) * retry_ns
