"""One session with an OPC UA server, in our types.

It and what is derived from it (`opcua_event_link`, `opcua_control`) are all that calls asyncua's
services.

A session is used once: connecting an asyncua client a second time can hang for ever, so every
session has a client of its own (`opcua_connect` makes it).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import (
    BadTimeout,
    BadTooManyPublishRequests,
    UaError,
    UaStatusCodeError,
)
from cryptography.exceptions import InvalidSignature

from connectors.messages import device_error
from connectors.nodes import NodeAddress
from connectors.opcua_client import SESSION_TIMEOUT_MS, ColumnClient, Received
from gateway.core.errors import DeviceError
from gateway.core.quality import Status

ITEMS_PER_CALL_MAX = 1000
MS_PER_S = 1000

LIBRARY_FAILURES = (
    OSError,
    UaError,
    ValueError,
    InvalidSignature,
)
"""What asyncua raises when server or network are to blame; a timeout is an OSError."""
_FILTER_REFUSALS = frozenset(
    {
        StatusCodes.BadMonitoredItemFilterInvalid,
        StatusCodes.BadMonitoredItemFilterUnsupported,
        StatusCodes.BadFilterNotAllowed,
        StatusCodes.BadDeadbandFilterInvalid,
    }
)
_CHECK_BY_CODE = {
    StatusCodes.BadUserAccessDenied: "Check user and password_file, or user_certificate.",
    StatusCodes.BadIdentityTokenRejected: "Check user and password_file, or user_certificate.",
    StatusCodes.BadIdentityTokenInvalid: "Check user and password_file, or user_certificate.",
    StatusCodes.BadCertificateUntrusted: "Let the server trust the gateway's certificate.",
    StatusCodes.BadSecurityChecksFailed: "Let the server trust the gateway's certificate.",
    StatusCodes.BadTooManySessions: "End other sessions, or raise the server's limit.",
}
_CHECK = "Check that the server runs, its address, and the network to it."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A node to be watched."""

    handle: int
    """Comes back with every value."""
    node: NodeAddress
    sampling_ms: float
    queue_size: int
    dead_band: float
    """Absolute, in the server's numbers; 0 is none."""
    reports_updates: bool
    """Whether a new source time alone is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as the server granted it."""

    id: int
    keep_alive_s: float
    """Longest silence of the server while nothing changes."""


class UaLink:
    """One session with a server; made by `opcua_connect`, used once."""

    def __init__(self, client: ColumnClient, device: str) -> None:
        """Take over a connected client."""
        self._client = client
        self._session = client.columns.column_session
        self._device = device
        self._namespaces: list[str] = []

    async def refresh_namespaces(self) -> None:
        """Read which index each namespace has now.

        Raises:
            DeviceError: no answer.
        """
        with self._faults("does not tell its namespaces"):
            self._namespaces = list(await self._client.get_namespace_array())

    async def items_per_call(self) -> int:
        """Return how many items the server lets us create at once; our own limit if unsaid.

        Raises:
            DeviceError: no answer.
        """
        node = self._client.get_node(
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall
        )
        with self._faults("does not tell its limits"):
            try:
                limit = await node.read_value()
            except UaStatusCodeError:
                limit = None  # an optional node: its absence says nothing
        return min(int(limit), ITEMS_PER_CALL_MAX) if limit else ITEMS_PER_CALL_MAX

    async def subscribe(self, *, publishing_ms: float, keep_alive_s: float) -> Subscription:
        """Create a subscription without items.

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
            result = await self._session.create_subscription(params, _ignore)
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
        known = [(item, self._node_id(item.node)) for item in items]
        asked = [(item, node) for item, node in known if node is not None]
        codes = iter(await self._create(subscription, asked))
        return [
            int(Status.BAD_NODE_ID_UNKNOWN) if node is None else next(codes) for _, node in known
        ]

    async def next_notification(self, seen: Sequence[tuple[int, int]]) -> Received | None:
        """Send one publish request and wait, for as long as it takes, for its response.

        Args:
            seen: Subscription and sequence number of messages to acknowledge.
        Returns:
            None when the server wants fewer requests at a time.
        Raises:
            DeviceError: the session or the last subscription is gone, or it is not OPC UA.
        """
        with self._faults("ends the session"):
            while True:
                try:
                    return await self._session.next_notification(seen)
                except BadTooManyPublishRequests:
                    return None
                except BadTimeout:
                    seen = ()

    async def unsubscribe(self, subscriptions: Sequence[int]) -> None:
        """Delete subscriptions: what the server has sent for them came before its answer.

        Raises:
            DeviceError: no answer.
        """
        with self._faults("does not end a subscription"):
            await self._session.delete_subscriptions(list(subscriptions))

    async def close(self) -> None:
        """End session, channel and connection, as politely as time allows."""
        await self._client.close()

    async def _create(
        self, subscription: Subscription, items: Sequence[tuple[Item, ua.NodeId]]
    ) -> list[int]:
        if not items:
            return []
        try:
            codes = await self._create_once(subscription, items, has_dead_band=True)
        except UaStatusCodeError as error:
            if len(items) == 1:
                return [int(error.code)]
            middle = len(items) // 2
            first = await self._create(subscription, items[:middle])
            return first + await self._create(subscription, items[middle:])
        refused = [index for index, code in enumerate(codes) if code in _FILTER_REFUSALS]
        if refused:
            log.warning("dead_band_refused", device=self._device, count=len(refused))
            again = [items[index] for index in refused]
            with self._faults("refuses items"):
                retried = await self._create_once(subscription, again, has_dead_band=False)
            for index, code in zip(refused, retried, strict=True):
                codes[index] = code
        return codes

    async def _create_once(
        self,
        subscription: Subscription,
        items: Sequence[tuple[Item, ua.NodeId]],
        *,
        has_dead_band: bool,
    ) -> list[int]:
        """Create items in one call.

        Raises:
            UaStatusCodeError: the server refuses the call as a whole.
            DeviceError: the connection is lost.
        """
        params = ua.CreateMonitoredItemsParameters(
            SubscriptionId=subscription.id,
            TimestampsToReturn=ua.TimestampsToReturn.Both,
            ItemsToCreate=[
                _create_request(item, node, has_dead_band=has_dead_band) for item, node in items
            ],
        )
        with self._faults("refuses items", but=UaStatusCodeError):
            results = await self._session.create_monitored_items(params)
        if len(results) != len(items):
            raise self._error("answers for other items", expert=f"{len(results)}/{len(items)}")
        return [int(result.StatusCode.value) for result in results]

    def _node_id(self, node: NodeAddress) -> ua.NodeId | None:
        """Return the node id as this server numbers its namespaces; None when it lacks one."""
        index = node.namespace
        if isinstance(index, str):
            if index not in self._namespaces:
                return None
            index = self._namespaces.index(index)
        return ua.NodeId.from_string(f"ns={index};{node.kind}={node.identifier}")

    @contextmanager
    def _faults(self, what: str, *, but: type[Exception] | None = None) -> Iterator[None]:
        """Turn what the library raises into our errors, but for one kind."""
        try:
            yield
        except LIBRARY_FAILURES as error:
            if but is not None and isinstance(error, but):
                raise
            raise fault(self._device, what, error) from error

    def _error(self, what: str, *, expert: str) -> DeviceError:
        return device_error(self._device, what, check=_CHECK, expert=expert)


async def _ignore(_: ua.PublishResult) -> None:
    """Stand in for the callback of the library's publish loop, which never runs."""


def _create_request(
    item: Item, node: ua.NodeId, *, has_dead_band: bool
) -> ua.MonitoredItemCreateRequest:
    parameters = ua.MonitoringParameters(
        ClientHandle=item.handle,
        SamplingInterval=item.sampling_ms,
        QueueSize=item.queue_size,
        DiscardOldest=True,
    )
    dead_band = item.dead_band if has_dead_band else 0.0
    if dead_band or item.reports_updates:
        trigger = ua.DataChangeTrigger.StatusValue
        if item.reports_updates:
            trigger = ua.DataChangeTrigger.StatusValueTimestamp
        kind = ua.DeadbandType.Absolute if dead_band else ua.DeadbandType.None_
        parameters.Filter = ua.DataChangeFilter(
            Trigger=trigger, DeadbandType=kind, DeadbandValue=dead_band
        )
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=parameters,
    )


def fault(device: str, what: str, error: Exception) -> DeviceError:
    """Return our error for what the library raised, with the advice that fits its code."""
    check = _CHECK
    if isinstance(error, UaStatusCodeError):
        check = _CHECK_BY_CODE.get(error.code, "See the code at the end.")
    elif isinstance(error, ValueError):
        check = "Check that it is an OPC UA server, and the value that it gave."
    return device_error(device, what, check=check, expert=repr(error))
