"""A Modbus TCP client: several requests in flight on one connection.

Theory. A request waits in a queue (by priority, then by age), goes on the wire when fewer than
`in_flight_max` are there, and is answered by the ADU with its transaction number (MODBUS
Messaging on TCP/IP 3.1.3). Requests are submitted in groups; the answers of a group collect in
its `Exchange`, which wakes its owner when all are there, or `GATHER_S` after the first: one
wake-up for a scan on a fast device, and no answer waits for a slow one.

- An exception of the device (function code + 0x80) is a value, not an error.
- Anything that is not a correct answer to a request in flight ends the connection: after one
  wrong length or number nothing behind it can be trusted.
- So does an answer that does not come within `timeout_s`. One timer watches the oldest request
  in flight; that is why no await here sits in a timeout of its own.
- When the connection ends, what was answered stays in the exchanges; the rest fails.
- The owner of an exchange may be cancelled at any await: the answers stay, and `more` may be
  called again.
"""

import asyncio
import heapq
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn

from connectors.messages import device_error
from gateway.core.errors import DeviceError
from gateway.core.ports import Clock

GATHER_S = 0.005
"""Half of what a decision may take from bytes to action (10 ms)."""
CONNECT_CHECK = "Check that it is switched on, its address, and the network to it."
ANSWER_CHECK = "Check its load, the unit number, and whether another client blocks it."
MALFORMED_CHECK = "Check that the address is that of a Modbus TCP server."

_HEADER = struct.Struct(">HHHB")
"""Transaction, protocol (0), length of what follows, unit."""
_LENGTH_MIN = 3
"""Unit, function code, exception code."""
_LENGTH_MAX = 254
"""Messaging on TCP/IP 3.1.3: an ADU has at most 260 bytes."""
_EXCEPTION_FLAG = 0x80
_READ_FUNCTIONS = range(1, 5)


class ExceptionCode(IntEnum):
    """Why a device refuses (Modbus 7)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_DATA_ADDRESS = 2
    ILLEGAL_DATA_VALUE = 3
    SERVER_DEVICE_FAILURE = 4
    ACKNOWLEDGE = 5
    SERVER_DEVICE_BUSY = 6
    MEMORY_PARITY_ERROR = 8
    GATEWAY_PATH_UNAVAILABLE = 10
    GATEWAY_TARGET_FAILED_TO_RESPOND = 11


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask, and how long a correct answer is."""

    pdu: bytes
    """Function code first."""
    answer_size: int
    """Bytes behind the function code (and behind the byte count of a read)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device said to one request."""

    payload: bytes
    """Behind the function code and byte count; empty for an exception."""
    exception_code: int
    """0 for none; see `ExceptionCode`."""
    received_ns: int
    """When the bytes came, UTC."""
    arrival_ns: int
    """The same on the monotonic clock."""


class MalformedAduError(ValueError):
    """The bytes are not a correct answer."""


class Exchange:
    """A group of requests and the answers that came so far."""

    def __init__(self, count: int) -> None:
        """Expect this many answers."""
        self._outstanding = count
        self._arrived: list[tuple[int, Answer]] = []
        self._failure: DeviceError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every answer came and was taken."""
        return self._outstanding == 0 and not self._arrived and self._failure is None

    def take(self) -> list[tuple[int, Answer]]:
        """Return the answers that came since the last call, with their positions in the group."""
        arrived, self._arrived = self._arrived, []
        return arrived

    async def more(self) -> None:
        """Return when there is something to take: all that is outstanding, or what came so far.

        Raises:
            DeviceError: the connection ended, and all that came before was taken.
        """
        if self._outstanding and self._failure is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._failure is not None and not self._arrived:
            raise self._failure

    def deliver(self, position: int, answer: Answer) -> None:
        """Take in one answer; called by the client."""
        assert self._outstanding
        self._arrived.append((position, answer))
        self._outstanding -= 1
        if self._outstanding == 0:
            self._wake()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._wake)

    def withdraw(self, count: int) -> None:
        """Expect this many answers less; called by the client."""
        self._outstanding -= count
        if self._outstanding == 0:
            self._wake()

    def fail(self, failure: DeviceError) -> None:
        """Expect nothing any more; called by the client."""
        self._failure = failure
        self._outstanding = 0
        self._wake()

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class _Flight:
    """A request on the wire."""

    request: Request
    exchange: Exchange
    position: int
    deadline_s: float


class MbapClient(asyncio.Protocol):
    """One connection to one unit; see the module's theory."""

    def __init__(
        self, *, device: str, unit: int, in_flight_max: int, timeout_s: float, clock: Clock
    ) -> None:
        """Begin unconnected; `connect` makes a connected one."""
        self._device = device
        self._unit = unit
        self._in_flight_max = in_flight_max
        self._timeout_s = timeout_s
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._transaction = 0
        self._submitted = 0
        self._waiting: list[tuple[int, int, Exchange, int, Request]] = []
        self._flights: dict[int, _Flight] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._failure: DeviceError | None = None
        self._answered_ns: int | None = None
        self._ended = self._loop.create_future()

    async def connect(self, host: str, port: int) -> None:
        """Open the connection.

        Raises:
            DeviceError: refused, unreachable, or not there within the timeout.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._loop.create_connection(lambda: self, host, port)
        except OSError as error:  # TimeoutError is one of them
            raise device_error(
                self._device, "cannot be reached", check=CONNECT_CHECK, expert=repr(error)
            ) from error

    def submit(self, requests: Sequence[Request], *, priority: int) -> Exchange:
        """Queue a group of requests; a lower number goes first.

        Raises:
            DeviceError: the connection has ended.
        """
        if self._failure is not None:
            raise self._failure
        exchange = Exchange(len(requests))
        for position, request in enumerate(requests):
            self._submitted += 1
            heapq.heappush(self._waiting, (priority, self._submitted, exchange, position, request))
        self._send_waiting()
        return exchange

    def withdraw(self, exchange: Exchange) -> None:
        """Take the requests of a group back that are not on the wire yet."""
        kept = [entry for entry in self._waiting if entry[2] is not exchange]
        count = len(self._waiting) - len(kept)
        if count:
            heapq.heapify(kept)
            self._waiting = kept
            exchange.withdraw(count)

    async def ended(self) -> NoReturn:
        """Wait until the connection has ended, and say why.

        Raises:
            DeviceError: always.
        """
        await asyncio.shield(self._ended)
        assert self._failure is not None
        raise self._failure

    def close(self) -> None:
        """Close the connection; requests that have no answer yet fail."""
        self._fail("was closed by us", check="Nothing is to be done.", expert="close")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is open; called by asyncio."""
        self._fail("closed the connection", check=ANSWER_CHECK, expert=repr(exc))

    def data_received(self, data: bytes) -> None:
        """Deliver the answers in these bytes; called by asyncio."""
        arrival_ns = self._clock.monotonic_ns()
        received_ns = self._clock.now_ns()
        if self._failure is not None:
            return
        try:
            adus, self._buffer = split_adus(self._buffer + data)
            for transaction, unit, pdu in adus:
                flight = self._flights.pop(transaction, None)
                if flight is None:
                    raise MalformedAduError(f"transaction {transaction} is not one in flight")
                if unit != self._unit:
                    raise MalformedAduError(f"unit {unit} answers for unit {self._unit}")
                payload, code = read_answer(flight.request, pdu)
                answer = Answer(payload, code, received_ns, arrival_ns)
                flight.exchange.deliver(flight.position, answer)
                self._answered_ns = received_ns
        except MalformedAduError as error:
            self._fail(
                "sends what is not Modbus TCP",
                check=MALFORMED_CHECK,
                expert=f"{error}; received {data[:32]!r}",
            )
            return
        self._send_waiting()

    def _send_waiting(self) -> None:
        adus = []
        while self._waiting and len(self._flights) < self._in_flight_max:
            _, _, exchange, position, request = heapq.heappop(self._waiting)
            # At most 125 are in flight, so a number is free again long before it returns.
            self._transaction = (self._transaction + 1) & 0xFFFF
            self._flights[self._transaction] = _Flight(
                request, exchange, position, self._loop.time() + self._timeout_s
            )
            header = _HEADER.pack(self._transaction, 0, len(request.pdu) + 1, self._unit)
            adus.append(header + request.pdu)
        if adus:
            assert self._transport is not None
            self._transport.write(b"".join(adus))
            if self._timer is None:
                self._watch()

    def _watch(self) -> None:
        """Set the timer to the deadline of the oldest request in flight."""
        self._timer = None
        if not self._flights:
            return
        deadline_s = next(iter(self._flights.values())).deadline_s
        if deadline_s <= self._loop.time():
            self._fail(
                f"does not answer within {self._timeout_s:g} s",
                check=ANSWER_CHECK,
                expert=f"timeout, {len(self._flights)} requests in flight",
            )
        else:
            self._timer = self._loop.call_at(deadline_s, self._watch)

    def _fail(self, what: str, *, check: str, expert: str) -> None:
        """End the connection, once; what was delivered stays delivered."""
        if self._failure is not None:
            return
        self._failure = device_error(
            self._device, what, check=check, expert=expert, since_ns=self._answered_ns
        )
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        owners = {id(flight.exchange): flight.exchange for flight in self._flights.values()}
        owners |= {id(entry[2]): entry[2] for entry in self._waiting}
        self._flights.clear()
        self._waiting.clear()
        for exchange in owners.values():
            exchange.fail(self._failure)
        if self._transport is not None:
            self._transport.abort()
        if not self._ended.done():
            self._ended.set_result(None)


def split_adus(data: bytes) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """Return the whole ADUs as (transaction, unit, PDU), and the bytes of an unfinished one.

    Raises:
        MalformedAduError: a header is not Modbus TCP.
    """
    adus = []
    position = 0
    while len(data) - position >= _HEADER.size:
        transaction, protocol, length, unit = _HEADER.unpack_from(data, position)
        if protocol != 0:
            raise MalformedAduError(f"protocol {protocol} is not 0")
        if not _LENGTH_MIN <= length <= _LENGTH_MAX:
            raise MalformedAduError(f"length {length} is not {_LENGTH_MIN} to {_LENGTH_MAX}")
        end = position + 6 + length
        if end > len(data):
            break
        adus.append((transaction, unit, data[position + _HEADER.size : end]))
        position = end
    return adus, data[position:]


def read_answer(request: Request, pdu: bytes) -> tuple[bytes, int]:
    """Return the payload and the exception code of an answer to the request.

    Raises:
        MalformedAduError: it is an answer to something else, or of another length.
    """
    function = request.pdu[0]
    if pdu[0] == function | _EXCEPTION_FLAG:
        if len(pdu) != 2:
            raise MalformedAduError(f"an exception of {len(pdu)} bytes")
        return b"", pdu[1]
    if pdu[0] != function:
        raise MalformedAduError(f"function {pdu[0]} answers function {function}")
    payload = pdu[1:]
    if function in _READ_FUNCTIONS:
        if pdu[1] != request.answer_size:
            raise MalformedAduError(f"{pdu[1]} bytes for a request of {request.answer_size}")
        payload = pdu[2:]
    if len(payload) != request.answer_size:
        raise MalformedAduError(f"{len(payload)} bytes where {request.answer_size} belong")
    return payload, 0
