"""What is known of a far end: connected or lost, how much it has, and what to tell a person. Pure.

Only edges become events: lost once, back once, and drained once the backlog of an outage is gone.
"""

from dataclasses import dataclass
from typing import Final

from gateway.core.errors import UplinkError
from gateway.core.events import Event, Transition
from gateway.core.ports import SendResult
from gateway.core.records import Seq
from gateway.core.uplink_status import UplinkStatus

LOST_SEVERITY: Final = 500
BACK_SEVERITY: Final = 100

_NS_PER_S: Final = 1_000_000_000
_NS_PER_DAY: Final = 86_400 * _NS_PER_S


@dataclass(slots=True, kw_only=True)
class _Drain:
    """The backlog of an outage on its way out."""

    begun_ns: int
    end: Seq
    """Last record of the backlog."""
    records: int = 0
    samples: int = 0


class Link:
    """State and totals of one uplink since the start of the service; the time is handed in."""

    def __init__(self, name: str, *, address: str) -> None:
        """Begin without knowing whether there is anybody."""
        self._name = name
        self._address = address
        self._is_connected: bool | None = None
        self._since_ns: int | None = None
        self._error: UplinkError | None = None
        self._retry_ns: int | None = None
        self._outage_ns = 0
        self._drain: _Drain | None = None
        self._records = 0
        self._samples = 0
        self._duplicates = 0
        self._drained = 0
        self._dead_letters = 0
        self._day = 0
        self._bytes_today = 0

    def failed(self, error: UplinkError, *, now_ns: int, retry_s: float) -> Event | None:
        """Note a failure; returns an event on the falling edge."""
        self._error = error
        self._retry_ns = now_ns + int(retry_s * _NS_PER_S)
        if self._is_connected is False:
            return None
        self._is_connected = False
        self._since_ns = now_ns
        return Event(
            time_ns=now_ns,
            source=self._name,
            condition="uplink_lost",
            severity=LOST_SEVERITY,
            transition=Transition.RAISED,
            text=f"{self._name} is lost, records are kept here: {error}",
        )

    def confirmed(
        self, result: SendResult, *, cursor: Seq, end: Seq, now_ns: int
    ) -> tuple[Event, ...]:
        """Note what the far end took; returns an event when it is back, and when all is drained.

        Args:
            result: As the far end counted.
            cursor: How far the far end has everything now.
            end: Last committed record of the log.
            now_ns: Wall time, UTC.
        """
        events = self._connected(lag=end - cursor + result.accepted, end=end, now_ns=now_ns)
        day = now_ns // _NS_PER_DAY
        if day != self._day:
            self._day, self._bytes_today = day, 0
        self._bytes_today += result.size_bytes
        self._records += result.accepted
        self._samples += result.sample_count
        self._duplicates += result.duplicate_count
        return (*events, *self._progress(result, cursor=cursor, now_ns=now_ns))

    def buried(self) -> None:
        """Count a record that the far end will never take."""
        self._dead_letters += 1

    def status(self, *, cursor: Seq, end: Seq, lag_s: float, now_ns: int) -> UplinkStatus:
        """Return all of it; positions and lag are the caller's."""
        running_ns = now_ns - (self._since_ns or now_ns) if self._is_connected is False else 0
        return UplinkStatus(
            name=self._name,
            address=self._address,
            is_connected=self._is_connected,
            since_ns=self._since_ns,
            error=self._error.text if self._error else "",
            error_detail=self._error.detail if self._error else "",
            retry_ns=self._retry_ns,
            cursor=cursor,
            lag_records=end - cursor,
            lag_s=lag_s,
            acknowledged_records=self._records,
            acknowledged_samples=self._samples,
            duplicate_records=self._duplicates,
            dead_letters=self._dead_letters,
            bytes_today=self._bytes_today if self._day == now_ns // _NS_PER_DAY else 0,
            outage_s=(self._outage_ns + running_ns) / _NS_PER_S,
            drained_records=self._drained,
        )

    def _connected(self, *, lag: int, end: Seq, now_ns: int) -> tuple[Event, ...]:
        """Note the rising edge, if it is one."""
        was, since_ns = self._is_connected, self._since_ns
        self._error = self._retry_ns = None
        if was is True:
            return ()
        self._is_connected = True
        self._since_ns = now_ns
        if was is None or since_ns is None:
            return ()
        outage_ns = max(now_ns - since_ns, 0)
        self._outage_ns += outage_ns
        self._drain = _Drain(begun_ns=now_ns, end=end)
        return (
            Event(
                time_ns=now_ns,
                source=self._name,
                condition="uplink_lost",
                severity=BACK_SEVERITY,
                transition=Transition.RETURNED,
                text=f"{self._name} is back after {outage_ns / _NS_PER_S:.1f} s;"
                f" {lag} records were kept",
                onset_ns=since_ns,
            ),
        )

    def _progress(self, result: SendResult, *, cursor: Seq, now_ns: int) -> tuple[Event, ...]:
        """Count what is drained, and say when the backlog is gone."""
        drain = self._drain
        if drain is None:
            return ()
        self._drained += result.accepted
        drain.records += result.accepted
        drain.samples += result.sample_count
        if cursor < drain.end:
            return ()
        self._drain = None
        return (
            Event(
                time_ns=now_ns,
                source=self._name,
                condition="uplink_drained",
                severity=BACK_SEVERITY,
                text=f"{self._name} has everything again: {drain.records} records with"
                f" {drain.samples} samples in {(now_ns - drain.begun_ns) / _NS_PER_S:.1f} s",
            ),
        )
