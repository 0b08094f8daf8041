"""One connection of a Modbus line, and the units that are asked over it.

Theory. A request waits until it is its unit's turn (see `line_queue`), goes on the wire when fewer
than `requests_in_flight_max` are there and the line had its pause, and is answered, refused, or
given up when its time is over. One timer watches everything; that is why no await here sits in a
timeout of its own.

- An exception of the device (function code + 0x80) is a value, not an error.
- A unit that lets its time pass fails alone: its session ends, the others go on. So does one that
  its gateway says it cannot reach (exceptions 10 and 11).
- When the connection itself counts as dead (see `silences`), whatever the network says, it ends,
  and all sessions with it.
- On a shared line, a unit that has not answered in its session has at most one request on the
  wire, and only as much time as `Turnarounds` gives it: a dead one costs the others little.
- An answer that comes too late is known by its number, counted, and dropped; it teaches how slow
  the unit is. RTU has no numbers, so there a unit that let its time pass is left alone for longer
  than its time-out, and nothing is sent before the line is silent.
- A read whose answer came damaged (RTU) goes on the wire once more; a second time it counts as
  none.
- When a unit or the connection fails, what was answered stays in the exchanges; the rest fails.
"""

import asyncio
import math
from collections.abc import Callable, Sequence

import structlog

from connectors.messages import device_error
from connectors.modbus.address_choice import Ending
from connectors.modbus.exchange import READ_FUNCTIONS, Answer, ExceptionCode, Exchange, Request
from connectors.modbus.flights import Flight, Flights
from connectors.modbus.framing import Asked, Found
from connectors.modbus.line_format import LineFormat
from connectors.modbus.line_memory import LineMemory
from connectors.modbus.line_queue import URGENT, LineQueue, Waiting
from connectors.modbus.silences import Silences
from connectors.modbus.unit_client import UnitClient, monotonic_s
from gateway.core.ports import Clock

ANSWER_CHECK = "Check its load, the unit number, and whether another client blocks it."
GATEWAY_CHECK = "Check that the device behind the gateway is on, its wiring and its unit number."
WAITING_MAX = 10_000
"""Requests of one unit that may wait; a scan of more would take minutes."""
UNASKED_SIZE_MAX = 4096
"""Bytes that belong to no answer, in a row, before the line counts as unusable."""
QUIET_FACTOR = 1.5
"""On RTU a unit that let its time pass is left alone for so many time-outs from the request on."""

_DEAD_BEHIND_GATEWAY = frozenset(
    {ExceptionCode.GATEWAY_PATH_UNAVAILABLE, ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND}
)

log = structlog.get_logger()


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
        self._flights = Flights()
        self._silences = Silences()
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
        is_away = isinstance(exc, OSError) and not isinstance(exc, ConnectionError)
        if is_away and not self._format.is_serial:
            what, ending = "takes in nothing any more", Ending.SILENT
        else:
            what, ending = self._format.lost_text, Ending.BROKEN
        self._end(ending, what, check=self._format.lost_check, expert=repr(exc))

    def data_received(self, data: bytes) -> None:
        """Deliver the answers in these bytes; called by asyncio."""
        arrival_ns = self._clock.monotonic_ns()
        received_ns = self._clock.now_ns()
        if self.is_ended:
            return
        self._send_from_s = max(self._send_from_s, arrival_ns / 1e9 + self._format.pause_s)
        heard = self._format.framing.hear(self._rest + data, self._flights.asked)
        self._rest = heard.rest
        self._unasked_size = 0 if heard.found else self._unasked_size + len(data)
        for found in heard.found:
            self._take(found, received_ns, arrival_ns)
        for number in heard.damaged:
            self._repeat(number)
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
        flight, is_late = self._flights.land(found.number)
        self._silences.answered(flight.asked.unit)
        is_dead = found.exception_code in _DEAD_BEHIND_GATEWAY
        client = flight.client
        if is_late or client.failure is not None:
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

    def _repeat(self, number: int) -> None:
        """Let a read go on the wire once more; a write may have been carried out already."""
        flight = self._flights.on_wire(number)
        self._memory.damaged_answer_count += 1
        if (
            flight is None
            or flight.is_repeat
            or flight.client.failure is not None
            or flight.asked.request.pdu[0] not in READ_FUNCTIONS
        ):
            return
        self._flights.land(number)
        waiting = Waiting(
            exchange=flight.exchange,
            position=flight.position,
            request=flight.asked.request,
            priority=URGENT,
            since_s=flight.sent_s,
            is_repeat=True,
        )
        self._queue.push(flight.client, waiting)

    def _drop_late(self, flight: Flight, now_s: float, *, is_dead: bool) -> None:
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
        """Send what may go, and set the timer for the rest; without units, close."""
        if self.is_ended:
            return
        if not self._clients:
            self.abort()
            return
        now_s = monotonic_s(self._clock)
        self._send(now_s)
        self._memory.busy.set(now_s, is_busy=len(self._flights) > 0)
        self._set_timer(now_s)

    def _give_up_overdue(self, now_s: float) -> None:
        overdue = self._flights.give_up_overdue(now_s)
        for flight in overdue:
            client = flight.client
            self._send_from_s = max(self._send_from_s, now_s + self._format.pause_s)
            self._leave_alone(flight)
            if client.failure is not None:
                continue
            self._silences.passed(client.unit)
            what = f"does not answer within {flight.limit_s:.3g} s"
            expert = (
                f"timeout{' of a probe' if flight.limit_s < client.timeout_s else ''}, "
                f"{len(overdue)} requests given up, "
                f"{self._unasked_size} bytes that belong to no answer"
            )
            if self._silences.is_connection_dead({each.unit for each in self._clients}):
                self._end(Ending.SILENT, what, check=ANSWER_CHECK, expert=expert)
                return
            self._fail(client, what, check=ANSWER_CHECK, expert=expert)

    def _leave_alone(self, flight: Flight) -> None:
        """Let a unit be until its answer, which has no number, is out of the way."""
        if not self._format.has_numbers:
            self._memory.quiet_until_s[flight.asked.unit] = (
                flight.sent_s + flight.transmission_s + QUIET_FACTOR * flight.client.timeout_s
            )

    def _send(self, now_s: float) -> None:
        def may_go(client: UnitClient) -> bool:
            return self._is_free(client) and self._quiet_until_s(client) <= now_s

        adus = []
        while (
            self._transport is not None
            and len(self._flights) < self._format.in_flight_max
            and self._send_from_s <= now_s
        ):
            taken = self._queue.take(now_s, may_go)
            if taken is None:
                break
            adus.append(self._launch(*taken, now_s))
        if adus:
            assert self._transport is not None
            self._transport.write(b"".join(adus))

    def _is_free(self, client: UnitClient) -> bool:
        """Return whether a unit may have one more request on the wire."""
        return client.is_proven or not client.in_flight_count or len(self._clients) == 1

    def _quiet_until_s(self, client: UnitClient) -> float:
        return self._memory.quiet_until_s.get(client.unit, 0.0)

    def _launch(self, client: UnitClient, waiting: Waiting, now_s: float) -> bytes:
        """Put a request among the flights and return its bytes."""
        if not self._format.has_numbers:
            # Its time has passed: from now on only this request can be answered by the unit.
            self._flights.forget_expired(client.unit)
        limit_s = client.timeout_s
        if not client.is_proven and len(self._clients) > 1:
            limit_s = self._memory.turnarounds.probe_s(client.unit, client.timeout_s)
        transmission_s = self._format.transmission_s(waiting.request)
        flight = Flight(
            client=client,
            asked=Asked(client.unit, waiting.request),
            exchange=waiting.exchange,
            position=waiting.position,
            sent_s=now_s,
            transmission_s=transmission_s,
            limit_s=limit_s,
            deadline_s=now_s + transmission_s + limit_s,
            is_repeat=waiting.is_repeat,
        )
        number = self._flights.launch(flight)
        if self._format.pause_s:
            self._send_from_s = now_s + self._format.pause_s
        return self._format.framing.request_adu(number, flight.asked)

    def _set_timer(self, now_s: float) -> None:
        """Wake up when something is overdue or may be sent; a timer that is early enough stays."""
        wake_s = self._flights.next_deadline_s()
        if (
            self._queue.has_waiting
            and len(self._flights) < self._format.in_flight_max
            and self._transport is not None
        ):
            times = [
                max(self._send_from_s, self._quiet_until_s(client))
                for client in self._clients
                if self._queue.waiting_count(client) and self._is_free(client)
            ]
            wake_s = min((wake_s, *times))
        if self._timer is not None:
            if self._wake_s <= wake_s:
                return
            self._timer.cancel()
            self._timer = None
        if wake_s < math.inf:
            self._wake_s = wake_s
            delay_s = max(0.0, wake_s - now_s)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._give_up_overdue(monotonic_s(self._clock))
        self._go_on()

    def _fail(self, client: UnitClient, what: str, *, check: str, expert: str) -> None:
        """End the session of one unit; its requests on the wire keep their place there."""
        self._clients.discard(client)
        failure = client.fail(what, check=check, expert=expert)
        exchanges = {each.exchange for each in self._queue.remove(client)}
        for exchange in exchanges.union(self._flights.exchanges_of(client)):
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
        for flight in self._flights.clear():
            if ending is Ending.WANTED:
                self._leave_alone(flight)
        self._memory.busy.set(monotonic_s(self._clock), is_busy=False)
        if self._transport is not None:
            self._transport.abort()
        self._on_end(self, ending)
