"""Monitored items: made with the best filter that the server takes, and deleted again.

A server may know dead bands in percent of the range, absolute ones only, or none at all. So each
item has a ladder of filters; what the server refuses is asked for again one rung lower, and the
last rung is no filter. Calls are halved where a server refuses them as too long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua.client import ColumnSession
from connectors.opcua.nodes import NodeAddress

ITEMS_RAN_OUT = int(StatusCodes.BadTooManyMonitoredItems)
"""The server has no more monitored items for us."""
REVISION_RATIO = 2.0
"""A server that grants an interval so many times as long is worth a line in the logging."""

_FILTER_REFUSALS = frozenset(
    {
        StatusCodes.BadMonitoredItemFilterInvalid,
        StatusCodes.BadMonitoredItemFilterUnsupported,
        StatusCodes.BadFilterNotAllowed,
        StatusCodes.BadDeadbandFilterInvalid,
    }
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A node to be watched or read."""

    handle: int
    """Comes back with every value."""
    node: NodeAddress
    sampling_ms: float
    queue_size: int
    dead_band: float
    """Absolute, in the server's numbers; 0 is none."""
    dead_band_percent: float = 0.0
    """Of the server's EURange, tried before the absolute one; 0 is none."""
    element: int | None = None
    """Which element of an array, from 0; None is the whole value."""
    reports_updates: bool
    """Whether a new source time alone is reported."""


class MonitoredItems:
    """The monitored items of one session."""

    def __init__(self, session: ColumnSession, device: str) -> None:
        """Begin without any."""
        self.takes_filters = True
        """Whether the server knows the DataChangeFilter."""
        self._session = session
        self._device = device
        self._ids: dict[int, tuple[int, int]] = {}
        """Subscription and id of each item, by its handle."""

    async def create(self, subscription: int, items: Sequence[tuple[Item, ua.NodeId]]) -> list[int]:
        """Create items; return the status code of each, Good or why it is not watched.

        Raises:
            UaError, OSError: the connection is lost.
            ValueError: the server answers for other items.
        """
        wishes = [item for item, _ in items if len(filters_of(item, takes_filters=True)) > 1]
        if wishes and not self.takes_filters:
            log.warning("dead_band_unsupported", device=self._device, count=len(wishes))
        codes = [0] * len(items)
        rungs = [0] * len(items)
        open_ = list(range(len(items)))
        while open_:
            asked = [(*items[place], rungs[place]) for place in open_]
            refused = []
            for place, code in zip(open_, await self._create(subscription, asked), strict=True):
                codes[place] = code
                ladder = filters_of(items[place][0], takes_filters=self.takes_filters)
                if code in _FILTER_REFUSALS and rungs[place] + 1 < len(ladder):
                    rungs[place] += 1
                    refused.append(place)
            if refused:
                log.warning("dead_band_refused", device=self._device, count=len(refused))
            open_ = refused
        return codes

    async def delete(self, handles: Sequence[int]) -> None:
        """Delete items that are watched; what the server sent for them still comes.

        Raises:
            UaError, OSError: the connection is lost.
        """
        by_subscription: dict[int, list[int]] = {}
        for handle in handles:
            if handle in self._ids:
                subscription, item = self._ids.pop(handle)
                by_subscription.setdefault(subscription, []).append(item)
        for subscription, ids in by_subscription.items():
            params = ua.DeleteMonitoredItemsParameters(
                SubscriptionId=subscription, MonitoredItemIds=ids
            )
            await self._session.delete_monitored_items(params)

    async def _create(
        self, subscription: int, items: Sequence[tuple[Item, ua.NodeId, int]]
    ) -> list[int]:
        """Create items in one call, in halves when the server refuses it."""
        try:
            return await self._create_once(subscription, items)
        except UaStatusCodeError as error:
            if len(items) == 1:
                return [int(error.code)]
            middle = len(items) // 2
            first = await self._create(subscription, items[:middle])
            if ITEMS_RAN_OUT in first:
                return first + [ITEMS_RAN_OUT] * (len(items) - middle)
            return first + await self._create(subscription, items[middle:])

    async def _create_once(
        self, subscription: int, items: Sequence[tuple[Item, ua.NodeId, int]]
    ) -> list[int]:
        params = ua.CreateMonitoredItemsParameters(
            SubscriptionId=subscription,
            TimestampsToReturn=ua.TimestampsToReturn.Both,
            ItemsToCreate=[
                _create_request(
                    item, node, filters_of(item, takes_filters=self.takes_filters)[rung]
                )
                for item, node, rung in items
            ],
        )
        results = await self._session.create_monitored_items(params)
        if len(results) != len(items):
            raise ValueError(f"{len(results)} results for {len(items)} monitored items")
        codes = [int(result.StatusCode.value) for result in results]
        for (item, _, _), code, result in zip(items, codes, results, strict=True):
            if code == 0:
                self._ids[item.handle] = (subscription, int(result.MonitoredItemId))
        self._note_revisions([item for item, _, _ in items], results)
        return codes

    def _note_revisions(
        self, items: Sequence[Item], results: Sequence[ua.MonitoredItemCreateResult]
    ) -> None:
        """Say once for a call when the server samples much slower, or queues less, than asked."""
        granted = [
            (item, result)
            for item, result in zip(items, results, strict=True)
            if result.StatusCode.is_good()
        ]
        revised = [
            (item, result)
            for item, result in granted
            if result.RevisedSamplingInterval >= REVISION_RATIO * item.sampling_ms
            or result.RevisedQueueSize < min(item.queue_size, REVISION_RATIO)
        ]
        if revised:
            item, result = revised[0]
            log.info(
                "items_revised",
                device=self._device,
                count=len(revised),
                first=str(item.node),
                sampling_ms=item.sampling_ms,
                granted_sampling_ms=result.RevisedSamplingInterval,
                queue_size=item.queue_size,
                granted_queue_size=int(result.RevisedQueueSize),
            )


def read_value_id(item: Item, node: ua.NodeId) -> ua.ReadValueId:
    """Return the value of an item, or the element of it, as services name it."""
    index_range = None if item.element is None else str(item.element)
    return ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value, IndexRange=index_range)


def filters_of(item: Item, *, takes_filters: bool) -> tuple[ua.DataChangeFilter | None, ...]:
    """Return the filters to try for an item, the best first, no filter at all last."""
    if not takes_filters:
        return (None,)
    trigger = ua.DataChangeTrigger.StatusValue
    if item.reports_updates:
        trigger = ua.DataChangeTrigger.StatusValueTimestamp
    ladder: list[ua.DataChangeFilter | None] = []
    if item.dead_band_percent:
        ladder.append(_filter(trigger, ua.DeadbandType.Percent, item.dead_band_percent))
    if item.dead_band:
        ladder.append(_filter(trigger, ua.DeadbandType.Absolute, item.dead_band))
    if item.reports_updates:
        ladder.append(_filter(trigger, ua.DeadbandType.None_, 0.0))
    return (*ladder, None)


def _filter(
    trigger: ua.DataChangeTrigger, kind: ua.DeadbandType, size: float
) -> ua.DataChangeFilter:
    return ua.DataChangeFilter(Trigger=trigger, DeadbandType=kind, DeadbandValue=size)


def _create_request(
    item: Item, node: ua.NodeId, change_filter: ua.DataChangeFilter | None
) -> ua.MonitoredItemCreateRequest:
    parameters = ua.MonitoringParameters(
        ClientHandle=item.handle,
        SamplingInterval=item.sampling_ms,
        QueueSize=item.queue_size,
        DiscardOldest=True,
    )
    if change_filter is not None:
        parameters.Filter = change_filter
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=read_value_id(item, node),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=parameters,
    )
