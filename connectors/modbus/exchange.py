"""Requests to a Modbus unit and their answers, whatever carries the bytes.

Requests are submitted in groups; the answers of a group collect in its `Exchange`, which wakes its
owner when all are there, or `GATHER_S` after the first: one wake-up for a scan on a fast device,
and no answer waits for a slow one. The owner may be cancelled at any await: the answers stay, and
`more` may be called again.
"""

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from gateway.core.errors import DeviceError

GATHER_S = 0.005
"""Half of what a decision may take from bytes to action (10 ms)."""

EXCEPTION_FLAG = 0x80
READ_FUNCTIONS = range(1, 5)


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


class Answer(NamedTuple):
    """What a device said to one request.

    A tuple, as all that is made for every request: a frozen dataclass takes four times as long.
    """

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


def read_answer(request: Request, pdu: bytes) -> tuple[bytes, int]:
    """Return the payload and the exception code of an answer to the request.

    Raises:
        MalformedAduError: it is an answer to something else, or of another length.
    """
    function = request.pdu[0]
    if pdu[0] == function | EXCEPTION_FLAG:
        if len(pdu) != 2:
            raise MalformedAduError(f"an exception of {len(pdu)} bytes")
        return b"", pdu[1]
    if pdu[0] != function:
        raise MalformedAduError(f"function {pdu[0]} answers function {function}")
    payload = pdu[1:]
    if function in READ_FUNCTIONS:
        if pdu[1] != request.answer_size:
            raise MalformedAduError(f"{pdu[1]} bytes for a request of {request.answer_size}")
        payload = pdu[2:]
    if len(payload) != request.answer_size:
        raise MalformedAduError(f"{len(payload)} bytes where {request.answer_size} belong")
    return payload, 0
