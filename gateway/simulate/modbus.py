"""The Modbus TCP server of the compressor: holding registers of unit 1, read-only.

Zero-based addresses: float32 in two registers each (ABCD) from 0 in the order of the points,
`poll_count` uint32 at 100, `alarm_word` uint16 at 102; what lies between is reserved and reads 0,
so that one request can take all of it; everything else answers exception 02.
`poll_count` grows by one with every response that contains it, and begins at 0 when the server
was dead. One request at a time on a connection, as with many controllers: pymodbus, which serves
here, forgets a request that comes before the response to the one before it.
"""

import asyncio
import socket
import struct
from collections.abc import Sequence

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadHoldingRegistersResponse
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.core.errors import ConfigError
from gateway.core.ports import Clock
from gateway.simulate.books import OfferedBook, Service
from gateway.simulate.points import (
    ALARM_WORD_ADDRESS,
    COMPRESSOR_POINTS,
    MODBUS_TAGS,
    MODBUS_UNIT,
    POLL_COUNT_ADDRESS,
)
from gateway.simulate.server import ServerState

FLOAT_REGISTERS = 2 * len(COMPRESSOR_POINTS)
REGISTERS = ALARM_WORD_ADDRESS + 1
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
UINT32_COUNT = 1 << 32

_SPANS = (
    *((2 * index, 2 * index + 2) for index in range(len(COMPRESSOR_POINTS))),
    (POLL_COUNT_ADDRESS, POLL_COUNT_ADDRESS + 2),
    (ALARM_WORD_ADDRESS, ALARM_WORD_ADDRESS + 1),
)
"""Registers of each of `MODBUS_TAGS`: first, and the one after the last."""


class ModbusServer:
    """Implements `SimulatedServer` with pymodbus."""

    def __init__(self, *, host: str, port: int, book: OfferedBook, clock: Clock) -> None:
        """Prepare; connects to nothing.

        Args:
            host: Address to listen on.
            port: 0 takes a free one, and keeps it over restarts.
            book: Counts what is offered; must know `MODBUS_TAGS`.
            clock: Stamps the book.
        """
        self.name = "modbus"
        self.book = book
        self.state = ServerState.STOPPED
        self._host = host
        self._port = port
        self._clock = clock
        self._positions = tuple(book.index(tag) for tag in MODBUS_TAGS)
        self._words = [0] * FLOAT_REGISTERS
        self._alarm_word = 0
        self._poll_count = 0
        self._listener: _Listener | None = None

    @property
    def endpoint(self) -> str:
        """Where it listens, as `host:port`."""
        return f"{self._host}:{self._port}"

    @property
    def poll_count(self) -> int:
        """Responses so far that contained the poll count."""
        return self._poll_count

    async def start(self, values: Sequence[float], time_ns: int) -> None:
        """Listen."""
        await self.show(values, time_ns)
        await self._listen()

    async def stop(self) -> None:
        """Close everything."""
        await self._close()
        self.state = ServerState.STOPPED

    async def show(self, values: Sequence[float], time_ns: int) -> None:
        """Make these the present values: the compressor's points, then the alarm word."""
        del time_ns  # Modbus has no source time
        if self.state is ServerState.HUNG:
            return
        *points, alarm_word = values
        packed = struct.pack(f">{len(points)}f", *points)
        self._words = list(struct.unpack(f">{FLOAT_REGISTERS}H", packed))
        self._alarm_word = int(alarm_word)

    async def fail(self, state: ServerState) -> None:
        """Die, hang or refuse."""
        if self.state is not ServerState.SERVING:
            await self.restore()
        if state is ServerState.DEAD:
            for transport in self._transports():
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE
                )
                transport.abort()
            await self._close()
            self._poll_count = 0
        elif state is ServerState.REFUSING:
            await self._close()
        else:
            assert state is ServerState.HUNG, state
            for transport in self._transports():
                transport.pause_reading()
        self.state = state

    async def restore(self) -> None:
        """Serve again; after a death the poll count begins anew."""
        if self.state is ServerState.HUNG:
            for transport in self._transports():
                transport.resume_reading()
            self.state = ServerState.SERVING
        elif self.state is not ServerState.SERVING:
            await self._listen()

    async def refresh(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        registers: list[int],
        new_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Put the present values into the registers; pymodbus calls this before it reads them."""
        del function_code, start_address
        if new_values is not None:
            return ExcCodes.ILLEGAL_ADDRESS
        registers[:FLOAT_REGISTERS] = self._words
        registers[ALARM_WORD_ADDRESS] = self._alarm_word
        if _covers(address, count, POLL_COUNT_ADDRESS, POLL_COUNT_ADDRESS + 2):
            self._poll_count = (self._poll_count + 1) % UINT32_COUNT
        high, low = divmod(self._poll_count, 1 << 16)
        registers[POLL_COUNT_ADDRESS : POLL_COUNT_ADDRESS + 2] = (high, low)
        return None

    def count(self, address: int, count: int) -> None:
        """Write the values of a response into the book, before it is sent."""
        now_ns = self._clock.now_ns()
        covered = [
            position
            for position, (first, end) in zip(self._positions, _SPANS, strict=True)
            if _covers(address, count, first, end)
        ]
        has_poll_count = _covers(address, count, POLL_COUNT_ADDRESS, POLL_COUNT_ADDRESS + 2)
        self.book.offer(
            covered,
            [now_ns] * len(covered),
            offered_ns=now_ns,
            service=Service.READ,
            poll_count=self._poll_count if has_poll_count else 0,
        )

    async def _listen(self) -> None:
        listener = _Listener(self, (self._host, self._port))
        if not await listener.listen():
            raise ConfigError(
                f"modbus: cannot listen on {self.endpoint}; "
                "choose another address, or port 0 for a free one"
            )
        assert isinstance(listener.transport, asyncio.Server)
        self._port = listener.transport.sockets[0].getsockname()[1]
        self._listener = listener
        self.state = ServerState.SERVING

    async def _close(self) -> None:
        if self._listener is not None:
            await self._listener.shutdown()  # type: ignore[no-untyped-call]  # theirs
            self._listener = None

    def _transports(self) -> list[asyncio.Transport]:
        assert self._listener is not None
        connections = self._listener.active_connections.values()
        return [
            connection.transport
            for connection in connections
            if isinstance(connection.transport, asyncio.Transport)
        ]


class _Listener(ModbusTcpServer):
    """Accepts connections whose handlers count."""

    def __init__(self, owner: ModbusServer, address: tuple[str, int]) -> None:
        device = SimDevice(
            MODBUS_UNIT,
            simdata=[
                SimData(0, count=REGISTERS, datatype=DataType.REGISTERS),
            ],
            action=owner.refresh,
        )
        super().__init__(device, address=address)
        self.owner = owner

    def callback_new_connection(self) -> ServerRequestHandler:
        """Return the handler of a new connection."""
        return _Handler(self)


class _Handler(ServerRequestHandler):
    """One connection."""

    def __init__(self, listener: _Listener) -> None:
        super().__init__(listener, None, None, None)  # type: ignore[no-untyped-call]  # theirs
        self._owner = listener.owner

    def callback_connected(self) -> None:
        """Take the connection; do not read from it while the server hangs."""
        super().callback_connected()
        if self._owner.state is ServerState.HUNG:
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.pause_reading()

    def server_send(self, pdu: ModbusPDU, addr: tuple[str, int] | None) -> None:
        """Count the values of a response and send it."""
        request = self.last_pdu
        is_open = isinstance(self.transport, asyncio.Transport) and not self.transport.is_closing()
        if (
            isinstance(pdu, ReadHoldingRegistersResponse)
            and isinstance(request, ReadHoldingRegistersRequest)
            and is_open
        ):
            self._owner.count(request.address, request.count)
        super().server_send(pdu, addr)  # type: ignore[no-untyped-call]  # theirs


def _covers(address: int, count: int, first: int, end: int) -> bool:
    """Return whether a read of `count` registers from `address` holds all from first to end."""
    return address <= first and end <= address + count
