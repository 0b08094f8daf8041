"""One session with an OPC UA server, in our types.

It and what is derived from it (`event_link`, `control`) are all that calls asyncua's
services.

A session is used once: connecting an asyncua client a second time can hang for ever, so every
session has a client of its own (`connect` makes it).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import (
    BadNoSubscription,
    BadNotImplemented,
    BadServiceUnsupported,
    BadTimeout,
    BadTooManyPublishRequests,
    BadTooManySubscriptions,
    UaError,
    UaStatusCodeError,
)
from cryptography.exceptions import InvalidSignature

from connectors.messages import device_error
from connectors.opcua.client import (
    SESSION_TIMEOUT_MS,
    AnswerT,
    ColumnClient,
    ColumnSession,
    PreparedRead,
    ReadValues,
    Received,
)
from connectors.opcua.decode import Notification
from connectors.opcua.library import decode_republished
from connectors.opcua.limits import Profile, ServerFacts, Traits, traits_of
from connectors.opcua.monitor import REVISION_RATIO, Item, MonitoredItems, read_value_id
from connectors.opcua.node_ids import node_id
from connectors.opcua.nodes import NodeAddress
from gateway.core.errors import DeviceError
from gateway.core.quality import Status

MS_PER_S = 1000

LIBRARY_FAILURES = (
    OSError,
    UaError,
    ValueError,
    InvalidSignature,
)
"""What asyncua raises when server or network are to blame; a timeout is an OSError."""
_CHECK_BY_CODE = {
    StatusCodes.BadUserAccessDenied: "Check user and password_file, or user_certificate.",
    StatusCodes.BadIdentityTokenRejected: "Check user and password_file, or user_certificate.",
    StatusCodes.BadIdentityTokenInvalid: "Check user and password_file, or user_certificate.",
    StatusCodes.BadCertificateUntrusted: "Let the server trust the gateway's certificate.",
    StatusCodes.BadSecurityChecksFailed: "Let the server trust the gateway's certificate.",
    StatusCodes.BadTooManySessions: "End other sessions, or raise the server's limit.",
}
_FACTS: dict[str, int] = {
    "manufacturer": ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    "product": ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    "items_per_call": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    "nodes_per_read": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "items": ObjectIds.Server_ServerCapabilities_MaxMonitoredItems,
    "items_per_subscription": ObjectIds.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
    "subscriptions": ObjectIds.Server_ServerCapabilities_MaxSubscriptions,
    "session_subscriptions": ObjectIds.Server_ServerCapabilities_MaxSubscriptionsPerSession,
    "sampling_ms_min": ObjectIds.Server_ServerCapabilities_MinSupportedSampleRate,
}
"""Where a server says what it is and can take (OPC 10000-5, 6.3.2 and 6.3.11)."""
_CHECK = "Check that the server runs, its address, and the network to it."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as the server granted it."""

    id: int
    keep_alive_s: float
    """Longest silence of the server while nothing changes."""


class NoSubscriptionError(DeviceError):
    """The session stands, and the server has ended all of its subscriptions."""


class UaLink:
    """One session with a server; made by `connect`, used once."""

    def __init__(self, client: ColumnClient, device: str) -> None:
        """Take over a connected client."""
        self._client = client
        self._session = client.columns.column_session
        self._device = device
        self._namespaces: list[str] = []
        self._items = MonitoredItems(self._session, device)
        self._answered_ns: int | None = None
        self.traits = Traits()
        """How to treat the server; as for any, until `learn`."""

    async def refresh_namespaces(self) -> None:
        """Read which index each namespace has now.

        Raises:
            DeviceError: no answer.
        """
        with self._faults("does not tell its namespaces"):
            self._namespaces = list(await self._client.get_namespace_array())

    async def learn(self, profile: Profile) -> Traits:
        """Read what the server says of its make and its limits, and keep to it from now on.

        Raises:
            DeviceError: no answer.
        """
        nodes = [ua.NodeId(ua.Int32(number)) for number in _FACTS.values()]
        answers = []
        with self._faults("does not tell its limits"), suppress(UaStatusCodeError):
            answers = await self._session.read_attributes(nodes, AttributeIds.Value)
        # Optional nodes: their absence, a value of another type, or a refusal says nothing.
        pairs = zip(_FACTS, answers, strict=True) if answers else ()
        said = {name: data.Value.Value for name, data in pairs if data.Value}
        facts = ServerFacts(
            manufacturer=_text(said.get("manufacturer")),
            product=_text(said.get("product")),
            items_per_call=_count(said.get("items_per_call")),
            nodes_per_read=_count(said.get("nodes_per_read")),
            items=_count(said.get("items")),
            items_per_subscription=_count(said.get("items_per_subscription")),
            subscriptions=_count(said.get("session_subscriptions"))
            or _count(said.get("subscriptions")),
            sampling_ms_min=_interval(said.get("sampling_ms_min")),
        )
        self.traits = traits_of(profile, facts)
        self._items.takes_filters = self.traits.takes_filters
        return self.traits

    async def subscribe(self, *, publishing_ms: float, keep_alive_s: float) -> Subscription | None:
        """Create a subscription without items; None when the server has none, or no more.

        Raises:
            DeviceError: the server refuses.
        """
        keep_alive_count = max(1, round(keep_alive_s * MS_PER_S / publishing_ms))
        params = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=publishing_ms,
            # OPC 10000-4, 5.14.2: the lifetime is at least three times the keep-alive.
            RequestedLifetimeCount=max(
                3 * keep_alive_count, math.ceil(SESSION_TIMEOUT_MS / publishing_ms)
            ),
            RequestedMaxKeepAliveCount=keep_alive_count,
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
        )
        with self._faults("refuses a subscription"):
            try:
                result = await self._session.create_subscription(params, _ignore)
            except (BadTooManySubscriptions, BadServiceUnsupported, BadNotImplemented):
                return None
        if result.RevisedPublishingInterval >= REVISION_RATIO * publishing_ms:
            log.warning(
                "publishing_revised",
                device=self._device,
                publishing_ms=publishing_ms,
                granted_publishing_ms=result.RevisedPublishingInterval,
            )
        return Subscription(
            id=result.SubscriptionId,
            keep_alive_s=result.RevisedPublishingInterval
            * result.RevisedMaxKeepAliveCount
            / MS_PER_S,
        )

    async def watch(self, subscription: Subscription, items: Sequence[Item]) -> list[int]:
        """Create monitored items in one call; in halves when the server refuses the call.

        Returns:
            The status code of each item: OPC UA's Good, or why it is not watched.
        Raises:
            DeviceError: the connection is lost.
        """
        known = [(item, self.node_id(item.node)) for item in items]
        asked = [(item, node) for item, node in known if node is not None]
        with self._faults("refuses items"):
            codes = iter(await self._items.create(subscription.id, asked) if asked else ())
        return [
            int(Status.BAD_NODE_ID_UNKNOWN) if node is None else next(codes) for _, node in known
        ]

    async def unwatch(self, handles: Sequence[int]) -> None:
        """Delete monitored items; what the server has sent for them still comes.

        Raises:
            DeviceError: no answer.
        """
        with self._faults("does not end the watch of items"):
            await self._items.delete(handles)

    def knows(self, node: NodeAddress) -> bool:
        """Tell whether the server has the namespace of a node."""
        return self.node_id(node) is not None

    def prepare_read(self, items: Sequence[Item]) -> PreparedRead:
        """Return a request for the values of items whose namespaces the server has."""
        nodes = [(item, self.node_id(item.node)) for item in items]
        return PreparedRead([read_value_id(item, node) for item, node in nodes if node is not None])

    async def read_columns(self, read: PreparedRead) -> ReadValues:
        """Read values once.

        Raises:
            UaStatusCodeError: the server refuses the call as a whole.
            DeviceError: the connection is lost, or the answer is none.
        """
        with self._faults(
            "does not answer a read", but=UaStatusCodeError, since_ns=self._answered_ns
        ):
            values = await self._session.read_columns(read)
        self._answered_ns = values.received_ns
        return values

    async def next_notification(self, seen: Sequence[tuple[int, int]]) -> Received | None:
        """Send one publish request and wait, for as long as it takes, for its response.

        Args:
            seen: Subscription and sequence number of messages to acknowledge.
        Returns:
            None when the server wants fewer requests at a time.
        Raises:
            NoSubscriptionError: the session has no subscription.
            DeviceError: the session is gone, or it is not OPC UA.
        """
        with self._faults("ends the session"):
            while True:
                try:
                    return await self._session.next_notification(seen)
                except BadTooManyPublishRequests:
                    return None
                except BadNoSubscription as error:
                    raise NoSubscriptionError(
                        str(fault(self._device, "has no subscription of ours", error))
                    ) from error
                except BadTimeout:
                    seen = ()

    async def republish(self, subscription: int, sequence: int) -> Notification | None:
        """Ask once more for a message that did not come; None when the server has it no longer.

        Raises:
            DeviceError: the connection is lost.
        """
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = subscription
        request.Parameters.RetransmitSequenceNumber = sequence
        decode = partial(decode_republished, subscription=subscription)
        try:
            message = await self.ask("does not repeat a message", request, decode)
        except UaStatusCodeError:
            return None
        # asyncua's server answers with an empty message instead of a bad status.
        return message if message.sequence == sequence else None

    async def unsubscribe(self, subscriptions: Sequence[int]) -> None:
        """Delete subscriptions: what the server has sent for them came before its answer.

        Raises:
            DeviceError: no answer.
        """
        with self._faults("does not end a subscription"):
            await self._session.delete_subscriptions(list(subscriptions))

    @property
    def session(self) -> ColumnSession:
        """The library's session, for services that have a module of their own."""
        return self._session

    def node_id(self, node: NodeAddress) -> ua.NodeId | None:
        """Return the node id as this server numbers its namespaces; None when it lacks one."""
        return node_id(node, self._namespaces)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """URIs of the namespaces by index, as of the last `refresh_namespaces`."""
        return tuple(self._namespaces)

    async def ask(self, what: str, request: object, decode: Callable[[bytes], AnswerT]) -> AnswerT:
        """Send a request that is asyncua's own and return its answer.

        Args:
            what: For the error: continues the sentence that the device opens.
            request: As the library has it.
            decode: Makes the answer of a response (see `library`).
        Raises:
            UaStatusCodeError: the server refuses the call as a whole.
            DeviceError: the connection is lost, or the answer is none.
        """
        with self._faults(what, but=UaStatusCodeError):
            return await self._session.ask(request, decode)

    async def close(self) -> None:
        """End session, channel and connection, as politely as time allows."""
        await self._client.close()

    @contextmanager
    def _faults(
        self, what: str, *, but: type[Exception] | None = None, since_ns: int | None = None
    ) -> Iterator[None]:
        """Turn what the library raises into our errors, but for one kind."""
        try:
            yield
        except LIBRARY_FAILURES as error:
            if but is not None and isinstance(error, but):
                raise
            raise fault(self._device, what, error, since_ns=since_ns) from error

    def _error(self, what: str, *, expert: str) -> DeviceError:
        return device_error(self._device, what, check=_CHECK, expert=expert)


async def _ignore(_: ua.PublishResult) -> None:
    """Stand in for the callback of the library's publish loop, which never runs."""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _interval(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def fault(device: str, what: str, error: Exception, *, since_ns: int | None = None) -> DeviceError:
    """Return our error for what the library raised, with the advice that fits its code."""
    check = _CHECK
    if isinstance(error, UaStatusCodeError):
        check = _CHECK_BY_CODE.get(error.code, "See the code at the end.")
    elif isinstance(error, ValueError):
        check = "Check that it is an OPC UA server, and the value that it gave."
    return device_error(device, what, check=check, expert=repr(error), since_ns=since_ns)
