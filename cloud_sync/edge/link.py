"""What is known of a far end: connected or lost, how much it has, and what to tell a person. Pure.

Only edges become events: lost once, back once, and drained once the backlog of an outage is gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core.errors import UplinkError
from gateway.core.events import Event, Transition
from gateway.core.ports import SendResult
from gateway.core.records import Seq
from gateway.core.uplink_status import ClassStatus, DeliveryClass, UplinkStatus

LOST_SEVERITY: Final = 500
BACK_SEVERITY: Final = 100

_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What one class has not delivered yet."""

    records: int
    """Positions of the log."""
    age_s: float
    """Of the oldest of them."""
    drain_s: float | None = None
    """How long it takes at the present rate; None while that is not known."""


@dataclass(slots=True, kw_only=True)
class _Drain:
    """The backlog of an outage on its way out."""

    begun_ns: int
    end: Seq
    """Last record of the backlog."""
    records: int = 0
    samples: int = 0


@dataclass(slots=True, kw_only=True)
class _Taken:
    """What the far end took of one class."""

    records: int = 0
    samples: int = 0


class Link:
    """State and totals of one uplink since the start of the service; the time is handed in."""

    def __init__(self, name: str, *, address: str) -> None:
        """Begin without knowing whether there is anybody."""
        self._name = name
        self._address = address
        self.is_connected: bool | None = None
        """Whether the last attempt that counts succeeded; None before the first one."""
        self._since_ns: int | None = None
        self._error: UplinkError | None = None
        self._retry_ns: int | None = None
        self._outage_ns = 0
        self._drain: _Drain | None = None
        self._taken = {kind: _Taken() for kind in DeliveryClass}
        self._duplicates = 0
        self._drained = 0

    def failed(self, error: UplinkError, *, now_ns: int, retry_s: float) -> Event | None:
        """Note a failure; returns an event on the falling edge."""
        self._error = error
        self._retry_ns = now_ns + int(retry_s * _NS_PER_S)
        if self.is_connected is False:
            return None
        self.is_connected = False
        self._since_ns = now_ns
        return Event(
            time_ns=now_ns,
            source=self._name,
            condition="uplink_lost",
            severity=LOST_SEVERITY,
            transition=Transition.RAISED,
            text=f"{self._name} is lost, records are kept here: {error}",
        )

    def answered(self, *, lag: int, end: Seq, now_ns: int) -> Event | None:
        """Note that the far end is there; returns an event on the rising edge.

        Args:
            lag: Positions that were kept for it.
            end: Up to where the backlog goes that is to be drained now.
            now_ns: Wall time, UTC.
        """
        was, since_ns = self.is_connected, self._since_ns
        self._error = self._retry_ns = None
        if was is True:
            return None
        self.is_connected = True
        self._since_ns = now_ns
        if was is None or since_ns is None:
            return None
        outage_ns = max(now_ns - since_ns, 0)
        self._outage_ns += outage_ns
        self._drain = _Drain(begun_ns=now_ns, end=end)
        return Event(
            time_ns=now_ns,
            source=self._name,
            condition="uplink_lost",
            severity=BACK_SEVERITY,
            transition=Transition.RETURNED,
            text=f"{self._name} is back after {outage_ns / _NS_PER_S:.1f} s;"
            f" {lag} records were kept",
            onset_ns=since_ns,
        )

    def took(self, kind: DeliveryClass, result: SendResult) -> None:
        """Count what the far end took."""
        self._taken[kind].records += result.accepted
        self._taken[kind].samples += result.sample_count
        self._duplicates += result.duplicate_count
        if self._drain is not None:
            self._drained += result.accepted
            self._drain.records += result.accepted
            self._drain.samples += result.sample_count

    def progressed(self, complete_to: Seq, *, now_ns: int) -> Event | None:
        """Return an event when the backlog of an outage is gone.

        Args:
            complete_to: Up to where the far end lacks nothing, of any class.
            now_ns: Wall time, UTC.
        """
        drain = self._drain
        if drain is None or complete_to < drain.end:
            return None
        self._drain = None
        return Event(
            time_ns=now_ns,
            source=self._name,
            condition="uplink_drained",
            severity=BACK_SEVERITY,
            text=f"{self._name} has everything again: {drain.records} records with"
            f" {drain.samples} samples in {(now_ns - drain.begun_ns) / _NS_PER_S:.1f} s",
        )

    def status(
        self,
        waiting: Mapping[DeliveryClass, Waiting],
        *,
        cursor: Seq,
        lag_records: int,
        dead_letters: int,
        bytes_today: int,
        budget_bytes_per_day: int | None,
        now_ns: int,
    ) -> UplinkStatus:
        """Return all of it; positions, waits and bytes are the caller's."""
        running_ns = now_ns - (self._since_ns or now_ns) if self.is_connected is False else 0
        return UplinkStatus(
            name=self._name,
            address=self._address,
            is_connected=self.is_connected,
            since_ns=self._since_ns,
            error=self._error.text if self._error else "",
            error_detail=self._error.detail if self._error else "",
            retry_ns=self._retry_ns,
            cursor=cursor,
            lag_records=lag_records,
            lag_s=max(each.age_s for each in waiting.values()),
            acknowledged_records=sum(taken.records for taken in self._taken.values()),
            acknowledged_samples=sum(taken.samples for taken in self._taken.values()),
            duplicate_records=self._duplicates,
            dead_letters=dead_letters,
            bytes_today=bytes_today,
            outage_s=(self._outage_ns + running_ns) / _NS_PER_S,
            drained_records=self._drained,
            budget_bytes_per_day=budget_bytes_per_day,
            classes=tuple(
                ClassStatus(
                    name=kind,
                    lag_records=waiting[kind].records,
                    lag_s=waiting[kind].age_s,
                    acknowledged_records=taken.records,
                    acknowledged_samples=taken.samples,
                    drain_s=waiting[kind].drain_s,
                )
                for kind, taken in self._taken.items()
            ),
        )
