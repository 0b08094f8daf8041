"""One connection of a Modbus line, and the units that are asked over it.

Theory. A request waits until it is its unit's turn (see `line_queue`), goes on the wire when fewer
than `requests_in_flight_max` are there and the line had its pause, and is answered, refused, or
given up when its time is over. One timer watches everything; that is why no await here sits in a
timeout of its own.

- An exception of the device (function code + 0x80) is a value, not an error.
- A unit that lets its time pass fails alone: its session ends, the others go on. So does one that
  its gateway says it cannot reach (exceptions 10 and 11).
- When every unit with a session has let its time pass and none has answered since, the connection
  is dead, whatever the network says: it ends, and all sessions with it.
- On a shared line, a unit that has not answered in its session has at most one request on the
  wire, and only as much time as `Turnarounds` gives it: a dead one costs the others little.
- An answer that comes too late is known by its number, counted, and dropped; it teaches how slow
  the unit is. RTU has no numbers, so there a unit that let its time pass is left alone for longer
  than its time-out, and nothing is sent before the line is silent.
- When a unit or the connection fails, what was answered stays in the exchanges; the rest fails.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from connectors.address_choice import Ending
from connectors.exchange import Answer, ExceptionCode, Exchange, Request
from connectors.framing import Asked, Found
from connectors.line_figures import BusyTime, Turnarounds
from connectors.line_format import LineFormat
from connectors.line_queue import LineQueue, Waiting
from connectors.messages import device_error
from connectors.unit_client import UnitClient, monotonic_s
from gateway.core.ports import Clock

ANSWER_CHECK = "Check its load, the unit number, and whether another client blocks it."
GATEWAY_CHECK = "Check that the device behind the gateway is on, its wiring and its unit number."
WAITING_MAX = 10_000
"""Requests of one unit that may wait; a scan of more would take minutes."""
EXPIRED_MAX = 64
"""Requests given up whose late answers are still known."""
UNASKED_SIZE_MAX = 4096
"""Bytes that belong to no answer, in a row, before the line counts as unusable."""
QUIET_FACTOR = 1.5
"""On RTU a unit that let its time pass is left alone for so many time-outs from the request on."""

_DEAD_BEHIND_GATEWAY = frozenset(
    {ExceptionCode.GATEWAY_PATH_UNAVAILABLE, ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND}
)

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class LineMemory:
    """What a line keeps from one connection to the next."""

    turnarounds: Turnarounds
    busy: BusyTime
    quiet_until_s: dict[int, float] = field(default_factory=dict)
    """When a unit may be asked again after it let its time pass; RTU only."""
    late_answer_count: int = 0
    """Answers that nobody waited for any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """A request on the wire, or one given up."""

    client: UnitClient
    asked: Asked
    exchange: Exchange
    position: int
    sent_s: float
    transmission_s: float
    """What the bytes themselves take on a serial line, both ways."""
    limit_s: float
    """How long the unit may think."""

    @property
    def deadline_s(self) -> float:
        """When the unit has had its time."""
        return self.sent_s + self.transmission_s + self.limit_s


class LineConnection(asyncio.Protocol):
    """See the module's theory."""

    def __init__(
        self,
        *,
        address: str,
        line_format: LineFormat,
        memory: LineMemory,
        clock: Clock,
        on_end: Callable[["LineConnection", Ending], None],
    ) -> None:
        """Begin unconnected and without units.

        Args:
            address: Where it will be connected to.
            line_format: How the line wants its requests.
            memory: What the line knows already.
            clock: Time.
            on_end: Called once, when the connection has ended.
        """
        self.address = address
        self.is_ended = False
        self._format = line_format
        self._memory = memory
        self._clock = clock
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._clients: set[UnitClient] = set()
        self._queue = LineQueue[UnitClient]()
        self._flights: dict[int, _Flight] = {}
        self._expired: dict[int, _Flight] = {}
        self._asked: dict[int, Asked] = {}
        """Of the flights and of the expired."""
        self._silent_units: set[int] = set()
        """Let their time pass since the last answer of any."""
        self._number = 0
        self._rest = b""
        self._unasked_size = 0
        self._send_from_s = 0.0
        self._wake_s = 0.0

    def add(self, client: UnitClient) -> None:
        """Give a unit's session its place."""
        self._clients.add(client)

    def submit(self, client: UnitClient, requests: Sequence[Request], *, priority: int) -> Exchange:
        """Queue a group of requests of a unit; see `UnitClient.submit`."""
        waiting_count = self._queue.waiting_count(client) + len(requests)
        if waiting_count > WAITING_MAX:
            raise device_error(
                client.device,
                "has too many requests waiting",
                check="Read fewer registers, or more seldom.",
                expert=f"{waiting_count} requests, at most {WAITING_MAX}",
            )
        exchange = Exchange(len(requests))
        now_s = monotonic_s(self._clock)
        for position, request in enumerate(requests):
            waiting = Waiting(
                exchange=exchange,
                position=position,
                request=request,
                priority=priority,
                since_s=now_s,
            )
            self._queue.push(client, waiting)
        self._go_on()
        return exchange

    def withdraw(self, exchange: Exchange) -> None:
        """Take the requests of a group back that are not on the wire yet."""
        self._queue.withdraw(exchange)

    def leave(self, client: UnitClient) -> None:
        """Let a unit go; does nothing when it has gone already."""
        if client in self._clients:
            self._fail(client, "was closed by us", check="Nothing is to be done.", expert="close")
            self._go_on()

    def busy_share(self, now_s: float) -> float:
        """Return the part of the time that requests are on the wire."""
        return self._memory.busy.share(now_s)

    def abort(self) -> None:
        """Close the connection at once."""
        self._end(Ending.WANTED, "was closed by us", check="Nothing is to be done.", expert="close")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        if self.is_ended:
            transport.abort()
            return
        self._transport = transport
        self._send_from_s = monotonic_s(self._clock) + self._format.pause_after_connect_s
        if self._clients:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail everybody; called by asyncio."""
        is_silent = isinstance(exc, TimeoutError)
        what = "takes in nothing any more" if is_silent else self._format.lost_text
        ending = Ending.SILENT if is_silent else Ending.BROKEN
        self._end(ending, what, check=ANSWER_CHECK, expert=repr(exc))

    def data_received(self, data: bytes) -> None:
        """Deliver the answers in these bytes; called by asyncio."""
        arrival_ns = self._clock.monotonic_ns()
        received_ns = self._clock.now_ns()
        if self.is_ended:
            return
        self._send_from_s = max(self._send_from_s, arrival_ns / 1e9 + self._format.pause_s)
        heard = self._format.framing.hear(self._rest + data, self._asked)
        self._rest = heard.rest
        self._unasked_size = 0 if heard.found else self._unasked_size + len(data)
        for found in heard.found:
            self._take(found, received_ns, arrival_ns)
        if heard.mistake or self._unasked_size > UNASKED_SIZE_MAX:
            self._end(
                Ending.BROKEN,
                f"sends what is not {self._format.framing.protocol}",
                check=self._format.malformed_check,
                expert=f"{heard.mistake or 'no answer among the bytes'}; received {data[:32]!r}",
            )
            return
        self._go_on()

    def _take(self, found: Found, received_ns: int, arrival_ns: int) -> None:
        """Deliver one answer, or drop it when nobody waits for it any more."""
        now_s = arrival_ns / 1e9
        del self._asked[found.number]
        self._silent_units.clear()
        flight = self._flights.pop(found.number, None)
        is_dead = found.exception_code in _DEAD_BEHIND_GATEWAY
        if flight is None:
            self._drop_late(self._expired.pop(found.number), now_s, is_dead=is_dead)
            return
        client = flight.client
        client.in_flight_count -= 1
        if client.failure is not None:
            self._drop_late(flight, now_s, is_dead=is_dead)
        elif is_dead:
            self._fail(
                client,
                "does not answer its gateway",
                check=GATEWAY_CHECK,
                expert=f"exception {found.exception_code} to {flight.asked.request.pdu.hex(' ')}",
            )
        else:
            elapsed_s = max(0.0, now_s - flight.sent_s)
            self._memory.turnarounds.learn(client.unit, max(0.0, elapsed_s - flight.transmission_s))
            client.note_answer(elapsed_s, now_s=now_s, received_ns=received_ns)
            answer = Answer(found.payload, found.exception_code, received_ns, arrival_ns)
            flight.exchange.deliver(flight.position, answer)

    def _drop_late(self, flight: _Flight, now_s: float, *, is_dead: bool) -> None:
        elapsed_s = now_s - flight.sent_s - flight.transmission_s
        self._memory.late_answer_count += 1
        if not is_dead:
            self._memory.turnarounds.learn_late(flight.asked.unit, max(0.0, elapsed_s))
        log.info(
            "late_answer_dropped",
            device=flight.client.device,
            late_s=round(elapsed_s, 3),
            count=self._memory.late_answer_count,
            stage="receiving",
        )

    def _go_on(self) -> None:
        """Give up what is overdue, send what may go, and set the timer for the rest."""
        if self.is_ended:
            return
        now_s = monotonic_s(self._clock)
        self._give_up_overdue(now_s)
        if not self._clients:
            self.abort()
            return
        self._send(now_s)
        self._memory.busy.set(now_s, is_busy=bool(self._flights))
        self._set_timer(now_s)

    def _give_up_overdue(self, now_s: float) -> None:
        overdue = [(n, flight) for n, flight in self._flights.items() if flight.deadline_s <= now_s]
        for number, flight in overdue:
            del self._flights[number]
            self._expired[number] = flight
            if len(self._expired) > EXPIRED_MAX:
                oldest = next(iter(self._expired))
                del self._expired[oldest], self._asked[oldest]
            client, unit = flight.client, flight.asked.unit
            client.in_flight_count -= 1
            self._send_from_s = max(self._send_from_s, now_s + self._format.pause_s)
            if not self._format.has_numbers:
                self._memory.quiet_until_s[unit] = (
                    flight.sent_s + flight.transmission_s + QUIET_FACTOR * client.timeout_s
                )
            self._silent_units.add(unit)
            what = f"does not answer within {flight.limit_s:.3g} s"
            expert = (
                f"timeout, {len(overdue)} requests given up, "
                f"{self._unasked_size} bytes that belong to no answer"
            )
            if {each.unit for each in self._clients} <= self._silent_units:
                self._end(Ending.SILENT, what, check=ANSWER_CHECK, expert=expert)
                return
            if client.failure is None:
                self._fail(client, what, check=ANSWER_CHECK, expert=expert)

    def _send(self, now_s: float) -> None:
        adus = []
        while (
            self._transport is not None
            and len(self._flights) < self._format.in_flight_max
            and self._send_from_s <= now_s
        ):
            taken = self._queue.take(now_s, lambda client: self._may_go(client, now_s))
            if taken is None:
                break
            adus.append(self._launch(*taken, now_s))
        if adus:
            assert self._transport is not None
            self._transport.write(b"".join(adus))

    def _may_go(self, client: UnitClient, now_s: float) -> bool:
        return self._is_free(client) and self._quiet_until_s(client) <= now_s

    def _is_free(self, client: UnitClient) -> bool:
        """Return whether a unit may have one more request on the wire."""
        return client.is_proven or not client.in_flight_count or len(self._clients) == 1

    def _quiet_until_s(self, client: UnitClient) -> float:
        return self._memory.quiet_until_s.get(client.unit, 0.0)

    def _launch(self, client: UnitClient, waiting: Waiting, now_s: float) -> bytes:
        """Put a request among the flights and return its bytes."""
        if not self._format.has_numbers:
            # Its time has passed: from now on only this request can be answered by the unit.
            for number in [n for n, old in self._expired.items() if old.asked.unit == client.unit]:
                del self._expired[number], self._asked[number]
        # Far fewer are open than there are numbers, so one is free again long before it returns.
        self._number = (self._number + 1) & 0xFFFF
        asked = Asked(client.unit, waiting.request)
        limit_s = client.timeout_s
        if not client.is_proven and len(self._clients) > 1:
            limit_s = self._memory.turnarounds.probe_s(client.unit, client.timeout_s)
        self._asked[self._number] = asked
        self._flights[self._number] = _Flight(
            client=client,
            asked=asked,
            exchange=waiting.exchange,
            position=waiting.position,
            sent_s=now_s,
            transmission_s=self._format.transmission_s(waiting.request),
            limit_s=limit_s,
        )
        client.in_flight_count += 1
        if self._format.pause_s:
            self._send_from_s = now_s + self._format.pause_s
        return self._format.framing.request_adu(self._number, asked)

    def _set_timer(self, now_s: float) -> None:
        """Wake up when something is overdue or may be sent; a timer that is early enough stays."""
        times = [flight.deadline_s for flight in self._flights.values()]
        if len(self._flights) < self._format.in_flight_max and self._transport is not None:
            times += [
                max(self._send_from_s, self._quiet_until_s(client))
                for client in self._clients
                if self._queue.waiting_count(client) and self._is_free(client)
            ]
        if not times:
            return
        wake_s = min(times)
        if self._timer is not None:
            if self._wake_s <= wake_s:
                return
            self._timer.cancel()
        self._wake_s = wake_s
        self._timer = asyncio.get_running_loop().call_later(max(0.0, wake_s - now_s), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._go_on()

    def _fail(self, client: UnitClient, what: str, *, check: str, expert: str) -> None:
        """End the session of one unit; its requests on the wire keep their place there."""
        self._clients.discard(client)
        failure = client.fail(what, check=check, expert=expert)
        owners = {id(each.exchange): each.exchange for each in self._queue.remove(client)}
        for flight in (*self._flights.values(), *self._expired.values()):
            if flight.client is client:
                owners[id(flight.exchange)] = flight.exchange
        for exchange in owners.values():
            exchange.fail(failure)

    def _end(self, ending: Ending, what: str, *, check: str, expert: str) -> None:
        """End the connection, once; what was delivered stays delivered."""
        if self.is_ended:
            return
        self.is_ended = True
        for client in tuple(self._clients):
            self._fail(client, what, check=check, expert=expert)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flights.clear()
        self._expired.clear()
        self._asked.clear()
        self._memory.busy.set(monotonic_s(self._clock), is_busy=False)
        if self._transport is not None:
            self._transport.abort()
        self._on_end(self, ending)
