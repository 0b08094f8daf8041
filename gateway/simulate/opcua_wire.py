"""The places inside asyncua's server where values go out: counted there, or held back.

A connection's processor puts a publish result into a response in `forward_publish_response`, and
takes the request that it answers from `get_publish_request`; both are overridden here. Values that
a Read service returns pass the public `PostRead` callback directly before their response. A
republished notification is not counted again: its values were counted the first time.

A server that hangs reads nothing from its sockets and publishes nothing; what clients sent waits
in the kernel. So a hang loses no byte of a stream, as with a controller whose task is stuck.
"""

import asyncio
import socket
import struct
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, cast
from weakref import WeakKeyDictionary

from asyncua import ua
from asyncua.common.callback import Callback, CallbackService, ServerItemCallback
from asyncua.common.connection import TransportLimits
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.server import Server
from asyncua.server.uaprocessor import PublishRequestData, UaProcessor
from asyncua.ua.attribute_ids import AttributeIds

from gateway.core.ports import Clock
from gateway.simulate.books import OfferedBook, Service

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing the socket resets the connection."""

_Handles: TypeAlias = dict[int, int]


class Counter:
    """Writes what leaves the server into its book."""

    def __init__(self, book: OfferedBook, clock: Clock) -> None:
        self.is_silent = False
        """Whether the server hangs."""
        self._book = book
        self._clock = clock
        self._index_by_node: dict[ua.NodeId, int] = {}
        self._handles: WeakKeyDictionary[InternalSubscription, tuple[int, _Handles]]
        self._handles = WeakKeyDictionary()

    def know(self, node: ua.NodeId, index: int) -> None:
        """Count a node's value from now on, under a position in the book."""
        self._index_by_node[node] = index

    def count_publish(self, result: ua.PublishResult, subscription: InternalSubscription) -> None:
        """Count the values of a notification."""
        tags: list[int] = []
        values: list[ua.DataValue] = []
        for part in result.NotificationMessage.NotificationData:
            if isinstance(part, ua.DataChangeNotification):
                handles = self._handles_of(subscription)
                for item in part.MonitoredItems:
                    index = handles.get(item.ClientHandle)
                    if index is not None:
                        tags.append(index)
                        values.append(item.Value)
        self._write(tags, values, Service.PUBLISH)

    def count_read(self, event: Callback, service: CallbackService) -> None:
        """Count the values of a Read response; asyncua calls this before it is sent."""
        del service
        assert isinstance(event, ServerItemCallback)
        if not event.is_external:
            return
        tags: list[int] = []
        values: list[ua.DataValue] = []
        asked: list[ua.ReadValueId] = event.request_params.NodesToRead
        answers: list[ua.DataValue] = event.response_params
        for read, value in zip(asked, answers, strict=True):
            index = self._index_by_node.get(read.NodeId)
            if index is not None and read.AttributeId == AttributeIds.Value:
                tags.append(index)
                values.append(value)
        self._write(tags, values, Service.READ)

    def _write(self, tags: list[int], values: list[ua.DataValue], service: Service) -> None:
        now_ns = self._clock.now_ns()
        times = [now_ns if v.SourceTimestamp is None else to_ns(v.SourceTimestamp) for v in values]
        self._book.offer(tags, times, offered_ns=now_ns, service=service)

    def _handles_of(self, subscription: InternalSubscription) -> _Handles:
        """Return the position in the book of each client handle of a subscription."""
        service = subscription.monitored_item_srv
        created = service._monitored_item_counter  # noqa: SLF001 - grows with every new item
        known, handles = self._handles.setdefault(subscription, (0, {}))
        if known != created:
            for item in service._monitored_items.values():  # noqa: SLF001 - no public way
                target = item.read_value_id
                if target is None or target.AttributeId != AttributeIds.Value:
                    continue
                index = self._index_by_node.get(target.NodeId)
                if index is not None and item.client_handle is not None:
                    handles[item.client_handle] = index
            self._handles[subscription] = (created, handles)
        return handles


class CountingServer(Server):
    """asyncua's server with a listener of ours; `open` and `close` may be repeated."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self.counter = counter
        self.iserver.disabled_clock = True  # a node of the server's own, and a second to stop it
        self.iserver.allow_remote_admin = False

    async def prepare(self) -> None:
        """Make the end points and start the services, without listening."""
        await self._setup_server_nodes()
        await self.iserver.start()

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the actual port."""
        self.bserver = _Listener(self.iserver, host, port, self.limits, self.counter)
        self.bserver.set_policies(self._policies)
        await self.bserver.start()
        return self.bserver.port

    async def close(self) -> None:
        """Close connections and stop listening; sessions with subscriptions live on."""
        if self.bserver is not None:
            await self.bserver.stop()
            self.bserver = None

    async def reset(self) -> None:
        """Reset connections, stop listening and forget sessions: what a dying process does."""
        for transport in self.transports():
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE
            )
            transport.abort()
        await self.close()
        await self.forget_sessions()

    async def forget_sessions(self) -> None:
        """Drop all sessions and subscriptions."""
        for session in list(self.iserver._external_sessions.values()):  # noqa: SLF001 - no list
            await session.close_session(delete_subs=True)
        service = self.iserver.subscription_service
        await service.delete_subscriptions(list(service.subscriptions))

    def transports(self) -> list[asyncio.Transport]:
        """Return the transports of all connections."""
        return list(self.iserver.asyncio_transports)


class _Listener(BinaryServer):
    """Accepts connections whose processors count."""

    def __init__(
        self,
        iserver: InternalServer,
        host: str,
        port: int,
        limits: TransportLimits,
        counter: Counter,
    ) -> None:
        super().__init__(iserver, host, port, limits)
        self._counter = counter

    def _make_protocol(self) -> OPCUAProtocol:
        return _Protocol(self, self._counter)


class _Protocol(OPCUAProtocol):
    """One connection."""

    def __init__(self, listener: _Listener, counter: Counter) -> None:
        super().__init__(
            iserver=listener.iserver,
            policies=listener._policies,  # noqa: SLF001 - its own base class hands it on as we do
            clients=listener.clients,
            closing_tasks=listener.closing_tasks,
            limits=listener.limits,
        )
        self._counter = counter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; do not read from it while the server hangs."""
        super().connection_made(transport)
        if self.processor is None:
            return
        assert isinstance(transport, asyncio.Transport)
        self.processor = _Processor(self.iserver, transport, self.limits, self._counter)
        self.processor.set_policies(self.policies)  # type: ignore[no-untyped-call]  # theirs
        if self._counter.is_silent:
            transport.pause_reading()


class _Processor(UaProcessor):
    """Answers one connection's requests."""

    def __init__(
        self,
        iserver: InternalServer,
        transport: asyncio.Transport,
        limits: TransportLimits,
        counter: Counter,
    ) -> None:
        super().__init__(iserver, transport, limits)
        self._counter = counter

    def get_publish_request(self, subscription_id: ua.UInt32) -> PublishRequestData | None:
        """Return a request to answer; none while the server hangs: it is asked again later."""
        if self._counter.is_silent:
            return None
        request: PublishRequestData | None = super().get_publish_request(subscription_id)
        return request

    async def forward_publish_response(
        self, result: ua.PublishResult, requestdata: PublishRequestData
    ) -> None:
        """Count the values of a notification and send it."""
        subscriptions = self.iserver.subscription_service.subscriptions
        subscription = subscriptions.get(result.SubscriptionId)
        if subscription is not None and not self._transport.is_closing():
            self._counter.count_publish(result, subscription)
        await super().forward_publish_response(result, requestdata)


def to_ns(time: datetime) -> int:
    """Return a time as nanoseconds since 1970, exact to the microsecond."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - EPOCH) // MICROSECOND * 1000


def to_datetime(time_ns: int) -> ua.DateTime:
    """Return nanoseconds since 1970 as a time, cut to the microsecond."""
    # asyncua's name for a datetime; it makes and takes plain ones.
    return cast(ua.DateTime, EPOCH + timedelta(microseconds=time_ns // 1000))
