"""One session with one unit of a Modbus line: what a connector holds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol

from connectors.messages import device_error
from connectors.modbus.exchange import Exchange, Request
from connectors.modbus.line_figures import Latencies
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import DeviceError
from gateway.core.ports import Clock


def monotonic_s(clock: Clock) -> float:
    """Return the clock that never jumps in seconds."""
    return clock.monotonic_ns() / 1e9


class Connection(Protocol):
    """What a session asks of the connection that it has its place on."""

    @property
    def address(self) -> str:
        """Where it is connected to."""

    def submit(
        self, client: "UnitClient", requests: Sequence[Request], *, priority: int
    ) -> Exchange:
        """Queue a group of requests of a unit."""

    def withdraw(self, exchange: Exchange) -> None:
        """Take the requests of a group back that are not on the wire yet."""

    def leave(self, client: "UnitClient") -> None:
        """Let a unit go."""

    def busy_share(self, now_s: float) -> float:
        """Return the part of the time that requests are on the wire."""


class UnitClient:
    """One session with one unit of a line."""

    def __init__(
        self,
        *,
        device: str,
        unit: int,
        timeout_s: float,
        clock: Clock,
        join: Callable[["UnitClient"], Awaitable[Connection]],
    ) -> None:
        """Begin unconnected; a line makes it.

        Args:
            device: Name and address, for messages.
            unit: Unit number.
            timeout_s: Longest wait for the connection and for every answer.
            clock: Time.
            join: Opens the line's connection if need be, and returns it with the unit added.
        """
        self.device = device
        self.unit = unit
        self.timeout_s = timeout_s
        self.failure: DeviceError | None = None
        self.in_flight_count = 0
        self._clock = clock
        self._join = join
        self._connection: Connection | None = None
        self._answered_ns: int | None = None
        self._latencies = Latencies(monotonic_s(clock))
        self._ended = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Get a place on the line; the first opens it.

        Raises:
            DeviceError: refused, unreachable, or not there within the timeout.
        """
        self._connection = await self._join(self)

    @property
    def address(self) -> str:
        """Where the line is connected to."""
        assert self._connection is not None
        return self._connection.address

    @property
    def is_proven(self) -> bool:
        """Whether the unit has answered in this session."""
        return self._answered_ns is not None

    def submit(self, requests: Sequence[Request], *, priority: int) -> Exchange:
        """Queue a group of requests; a lower number goes first.

        Raises:
            DeviceError: the session has ended, or too many requests wait already.
        """
        if self.failure is not None:
            raise self.failure
        assert self._connection is not None
        return self._connection.submit(self, requests, priority=priority)

    def withdraw(self, exchange: Exchange) -> None:
        """Take the requests of a group back that are not on the wire yet."""
        if self._connection is not None:
            self._connection.withdraw(exchange)

    async def ended(self) -> NoReturn:
        """Wait until the session has ended, and say why.

        Raises:
            DeviceError: always.
        """
        await asyncio.shield(self._ended)
        assert self.failure is not None
        raise self.failure

    def close(self) -> None:
        """Leave the line; requests that have no answer yet fail. The last one closes it."""
        if self._connection is not None:
            self._connection.leave(self)

    def report(self) -> ConnectorReport:
        """Return latency and rate of the unit, and how busy its line is."""
        if self._connection is None:
            return ConnectorReport()
        now_s = monotonic_s(self._clock)
        median_s = self._latencies.median_s()
        return ConnectorReport(
            latency_ms=None if median_s is None else median_s * 1000,
            requests_per_s=self._latencies.per_s(now_s),
            busy_share=self._connection.busy_share(now_s),
        )

    def note_answer(self, elapsed_s: float, *, now_s: float, received_ns: int) -> None:
        """Take in that an answer came; called by the connection."""
        self._answered_ns = received_ns
        self._latencies.note(elapsed_s, now_s)

    def fail(self, what: str, *, check: str, expert: str) -> DeviceError:
        """End the session and return why; called by the connection, once."""
        assert self.failure is None
        self.failure = device_error(
            self.device, what, check=check, expert=expert, since_ns=self._answered_ns
        )
        if not self._ended.done():
            self._ended.set_result(None)
        return self.failure
