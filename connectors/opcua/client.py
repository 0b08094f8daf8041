"""asyncua's client with our publish and read responses; the only subclasses of the library.

asyncua keeps the socket, the secure channel, the session and the services. Ours are the publish
requests, `next_notification` decodes the response straight into columns and the library's own
publish loop never starts; and the reads that are repeated: their requests are encoded once, and
`read_columns` decodes the response straight into columns. The private names of asyncua that we use
are listed in `PRIVATE_NAMES`; a test fails when one of them moves.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, cast

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.client.ua_session import UaSession
from asyncua.common.shortcuts import Shortcuts
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_to_binary, struct_to_binary

from connectors.opcua.decode import (
    Notification,
    decode_publish_response,
    decode_read_response,
)
from connectors.opcua.items import Changes
from connectors.opcua.library import decode_item, decode_read, decode_response, decode_value
from gateway.core.ports import Clock

PRIVATE_NAMES: dict[type, tuple[str, ...]] = {
    UaClient: (
        "_make_protocol",
        "_timeout",
        "_pre_request_hook",
        "_on_transport_lost",
        "_is_session_closing",
    ),
    UaSession: ("_send_request", "_client"),
    UASocketProtocol: (
        "_send_request",
        "_setup_request_header",
        "_request_id",
        "_connection",
        "_callbackmap",
    ),
}

APPLICATION_NAME = "Edgewright"
SESSION_TIMEOUT_MS = 60_000
"""So long a server remembers the session of a gateway that lost its power."""
PROBE_S = 20.0
"""asyncua's own check of the session; it also keeps the session alive while we do not publish."""
CLOSE_S = 2.0
_SECURE_MESSAGE = cast("ua.MessageType", ua.MessageType.SecureMessage)
INLINE_BYTES_MAX = 8192
"""Longer answers to `ask` are decoded in a thread, so that the loop goes on meanwhile."""

AnswerT = TypeVar("AnswerT")


class Decode(StrEnum):
    """Who turns responses into numbers."""

    COLUMNS = "columns"
    """We, whole runs at a time."""
    LIBRARY = "library"
    """asyncua, value by value: slower, for a release of it that changed underneath us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A notification and when its bytes came."""

    notification: Notification
    received_ns: int
    """UTC."""
    arrival_ns: int
    """On the monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadValues:
    """What a read brought, and when its bytes came."""

    changes: Changes
    """A value for each node that was asked for, in their order."""
    received_ns: int
    """UTC."""
    arrival_ns: int
    """On the monotonic clock."""


class PreparedRead:
    """A read request that is encoded once and sent many times; only its header is made anew.

    Encoding a request of asyncua costs about as much as everything else that is done for a value.
    """

    def __init__(self, nodes: Sequence[ua.ReadValueId]) -> None:
        """Encode a request for the nodes, with both times and never from the server's cache."""
        request = ua.ReadRequest()
        request.Parameters.MaxAge = 0
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.NodesToRead = list(nodes)
        self.node_count = len(nodes)
        self._kind = nodeid_to_binary(request.TypeId)
        self._parameters = struct_to_binary(request.Parameters)

    def encoded(self, header: ua.RequestHeader) -> bytes:
        """Return the whole request."""
        return b"".join((self._kind, struct_to_binary(header), self._parameters))


class ColumnClient(Client):
    """A client whose session hands out columns. Connect it once: a second time can hang."""

    def __init__(self, endpoint: str, *, timeout_s: float, decode: Decode, clock: Clock) -> None:
        """Begin unconnected; every answer must come within the timeout."""
        super().__init__(endpoint, timeout=timeout_s, watchdog_intervall=PROBE_S)
        self.name = APPLICATION_NAME
        self.description = APPLICATION_NAME
        self.session_timeout = SESSION_TIMEOUT_MS
        # What the library's constructor did for its own `uaclient`, done for ours.
        self.columns = ColumnUaClient(timeout_s, decode=decode, clock=clock)
        self.uaclient = self.columns
        self.uaclient.pre_request_hook = self.check_connection
        self.nodes = Shortcuts(self.uaclient.session)

    async def close(self) -> None:
        """End session, channel and connection, as politely as `CLOSE_S` allows."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.disconnect()
        except TimeoutError:
            pass  # the server does not answer: the socket is closed all the same
        finally:
            self.disconnect_socket()


class ColumnUaClient(UaClient):
    """The library's transport with a session and a protocol of ours."""

    def __init__(self, timeout_s: float, *, decode: Decode, clock: Clock) -> None:
        """Begin unconnected."""
        super().__init__(timeout_s)
        self.stamp = _Stamp(clock)
        self.column_session = ColumnSession(self, decode=decode, stamp=self.stamp)
        self.session = self.column_session

    def _make_protocol(self) -> UASocketProtocol:
        """Do what the library does, with a protocol that notes when bytes come."""
        protocol = _StampingProtocol(self._timeout, security_policy=self.security_policy)
        protocol.stamp = self.stamp
        protocol.pre_request_hook = self._pre_request_hook
        protocol.on_connection_lost = self._on_transport_lost
        protocol.is_session_closing = self._is_session_closing
        self.protocol = protocol
        return protocol


class ColumnSession(UaSession):
    """The library's session without its publish loop."""

    def __init__(self, client: UaClient, *, decode: Decode, stamp: "_Stamp") -> None:
        """Begin without a session."""
        super().__init__(client)
        self._decode = decode
        self._stamp = stamp

    def ensure_publish_loop(self) -> None:
        """Start nothing: whoever subscribes calls `next_notification`."""

    async def ask(self, request: object, decode: Callable[[bytes], AnswerT]) -> AnswerT:
        """Send any request and return its answer, however long, without blocking the loop.

        Args:
            request: As the library has it.
            decode: Makes the answer of a response, in a thread when that is long.
        Raises:
            UaStatusCodeError: the server refuses the call as a whole.
            ValueError: the answer cannot be read.
        """
        buffer = await self._send_request(request)
        body = bytes(buffer.read(len(buffer)))
        if len(body) <= INLINE_BYTES_MAX:
            return decode(body)
        return await asyncio.to_thread(decode, body)

    async def next_notification(self, seen: Sequence[tuple[int, int]]) -> Received:
        """Send one publish request and wait, for as long as it takes, for its response.

        Args:
            seen: Subscription and sequence number of messages to acknowledge.
        """
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = [
            ua.SubscriptionAcknowledgement(SubscriptionId=subscription, SequenceNumber=sequence)
            for subscription, sequence in seen
        ]
        buffer = await self._send_request(request, timeout=0)
        body = bytes(buffer.read(len(buffer)))
        notification = None
        if self._decode is Decode.COLUMNS:
            notification = decode_publish_response(body, decode_item=decode_item)
        return Received(
            notification=notification or decode_response(body),
            received_ns=self._stamp.received_ns,
            arrival_ns=self._stamp.arrival_ns,
        )

    async def read_columns(self, read: PreparedRead) -> ReadValues:
        """Read values once.

        Raises:
            ValueError: the response cannot be read, or is one to another request.
        """
        buffer = await self._send_request(read)
        received_ns, arrival_ns = self._stamp.received_ns, self._stamp.arrival_ns
        body = bytes(buffer.read(len(buffer)))
        changes = None
        if self._decode is Decode.COLUMNS:
            changes = decode_read_response(body, decode_item=decode_value)
        if changes is None:
            changes = decode_read(body)
        if len(changes) != read.node_count:
            raise ValueError(f"{len(changes)} values for {read.node_count} nodes")
        return ReadValues(changes=changes, received_ns=received_ns, arrival_ns=arrival_ns)


class _Stamp:
    """When the last bytes came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.received_ns = 0
        self.arrival_ns = 0

    def set(self) -> None:
        """Take both times, the one for latencies first."""
        self.arrival_ns = self._clock.monotonic_ns()
        self.received_ns = self._clock.now_ns()


class _StampingProtocol(UASocketProtocol):
    """The library's protocol; notes when bytes came, and sends requests encoded before."""

    stamp: _Stamp

    def _send_request(
        self,
        request: object,
        timeout: float = 1,
        message_type: ua.MessageType = _SECURE_MESSAGE,
    ) -> asyncio.Future[Buffer]:
        """Do as the library does, without encoding what is encoded already."""
        if not isinstance(request, PreparedRead):
            return super()._send_request(request, timeout, message_type)
        if self.transport is None:
            raise ConnectionError("Connection is not open")
        header = ua.RequestHeader()
        self._setup_request_header(header, timeout)
        self.revolve_security_token()
        request_id = self._request_id + 1
        message = self._connection.message_to_binary(
            request.encoded(header), message_type=message_type, request_id=request_id
        )
        self._request_id = request_id
        future: asyncio.Future[Buffer] = asyncio.get_running_loop().create_future()
        self._callbackmap[request_id] = future
        self.transport.write(message)
        return future

    def data_received(self, data: bytes) -> None:
        """Take the time, then do as the library does."""
        self.stamp.set()
        super().data_received(data)
