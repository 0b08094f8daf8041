"""Whether a far end is there, for all classes of an uplink: when it is tried again, what is told.

The edges, and only they, are told: lost, back, drained.
"""

import asyncio
from typing import Final

import structlog

from cloud_sync.edge.lane import Note
from cloud_sync.edge.link import Link
from gateway.core.errors import StoreError, UplinkError
from gateway.core.events import Event
from gateway.core.ports import Clock
from gateway.core.records import Seq
from gateway.wire.backoff import Backoff

RETRY_AFTER_S_MAX: Final = 3600.0
"""A far end that asks for a longer pause is tried after this one."""

_NS_PER_S: Final = 1_000_000_000

log = structlog.get_logger()


class Contact:
    """One link and one back-off, shared by the tasks of an uplink."""

    def __init__(
        self, uplink: str, link: Link, backoff: Backoff, *, clock: Clock, note: Note
    ) -> None:
        """Begin without knowing whether there is anybody."""
        self.link = link
        self._uplink = uplink
        self._backoff = backoff
        self._clock = clock
        self._note = note
        self._answered_ns: int | None = None
        self._retry_ns = 0
        self._is_stalled = False

    @property
    def is_connected(self) -> bool:
        """Whether the far end answers, as far as is known."""
        return self.link.is_connected is True

    def has_answered_since(self, begun_ns: int) -> bool:
        """Return whether any batch was confirmed after this time, on the monotonic clock."""
        return self._answered_ns is not None and self._answered_ns >= begun_ns

    def answered(self, *, lag: int, end: Seq) -> None:
        """Note that the far end confirmed something; see `Link.answered`."""
        self._answered_ns = self._clock.monotonic_ns()
        self._retry_ns = 0
        self._is_stalled = False
        self._backoff.succeeded(now_ns=self._answered_ns)
        self.tell(self.link.answered(lag=lag, end=end, now_ns=self._clock.now_ns()))

    async def pause(self) -> None:
        """Wait until the next attempt is due; returns at once where none has failed."""
        while (wait_ns := self._retry_ns - self._clock.monotonic_ns()) > 0:
            await asyncio.sleep(wait_ns / _NS_PER_S)

    def lost(self, error: UplinkError) -> None:
        """Note a failed attempt, and when the next one is due."""
        now_ns = self._clock.monotonic_ns()
        wait_s = max(self._backoff.failed(now_ns=now_ns), asked_wait_s(error))
        self._retry_ns = now_ns + int(wait_s * _NS_PER_S)
        event = self.link.failed(error, now_ns=self._clock.now_ns(), retry_s=wait_s)
        if event is not None:
            log.warning(
                "uplink_lost",
                uplink=self._uplink,
                reason=error.text,
                detail=error.detail,
                retry_s=round(wait_s, 1),
                stage="sending",
            )
            self._note(event)

    def stalled(self, error: StoreError) -> float:
        """Note that our own disk stands in the way, and return how many seconds to wait.

        The far end is not to blame.
        """
        if not self._is_stalled:
            log.error("delivery_stalled", uplink=self._uplink, reason=str(error), stage="sending")
        self._is_stalled = True
        return self._backoff.failed(now_ns=self._clock.monotonic_ns())

    def tell(self, event: Event | None) -> None:
        """Pass on what is worth telling, if anything is."""
        if event is not None:
            log.info(event.condition, uplink=self._uplink, text=event.text)
            self._note(event)


def asked_wait_s(error: UplinkError) -> float:
    """Return for how long the far end asks to be left alone, within the bound."""
    return min(error.retry_after_s or 0.0, RETRY_AFTER_S_MAX)
