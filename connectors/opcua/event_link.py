"""A session that also hears events: the services for it."""

from collections.abc import Sequence

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIdNames, ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua.event_fields import event_filter
from connectors.opcua.nodes import NodeAddress, parse_node
from connectors.opcua.session import Subscription, UaLink
from gateway.core.quality import Status

EVENT_QUEUE_SIZE = 1000
"""Events of a node that the server keeps while it cannot report."""


class EventLink(UaLink):
    """A session that hears events."""

    async def watch_events(
        self, subscription: Subscription, nodes: Sequence[NodeAddress]
    ) -> list[int]:
        """Listen to the events of nodes.

        Returns:
            The status code of each node: Good, or why it is not heard.
        Raises:
            DeviceError: the server refuses the call, or the connection is lost.
        """
        known = [(handle, self.node_id(node)) for handle, node in enumerate(nodes)]
        params = ua.CreateMonitoredItemsParameters(
            SubscriptionId=ua.IntegerId(subscription.id),
            TimestampsToReturn=ua.TimestampsToReturn.Neither,
            ItemsToCreate=[
                _create_request(handle, node_id) for handle, node_id in known if node_id is not None
            ],
        )
        with self._faults("refuses to tell events"):
            results = await self._session.create_monitored_items(params)
        codes = iter(int(result.StatusCode.value) for result in results)
        return [
            int(Status.BAD_NODE_ID_UNKNOWN) if node_id is None else next(codes)
            for _, node_id in known
        ]

    async def refresh_conditions(self, subscription: Subscription) -> int:
        """Ask for all conditions that are still of interest (OPC 10000-9, 5.5.7).

        Returns:
            The status code of the answer: Good, or why the server does not do it.
        Raises:
            DeviceError: the connection is lost.
        """
        request = ua.CallMethodRequest(
            ObjectId=ua.NodeId(ua.Int32(ObjectIds.ConditionType)),
            MethodId=ua.NodeId(ua.Int32(ObjectIds.ConditionType_ConditionRefresh)),
            InputArguments=[ua.Variant(subscription.id, ua.VariantType.UInt32)],
        )
        with self._faults("does not answer about its conditions"):
            try:
                [result] = await self._session.call([request])
            except UaStatusCodeError as error:
                return int(error.code)
        return int(result.StatusCode.value)

    async def name_of_type(self, event_type: str) -> str:
        """Return the browse name of an event's type; empty when the server does not tell.

        Raises:
            DeviceError: the connection is lost.
        """
        try:
            node = self.node_id(parse_node(event_type))
        except ValueError:
            return ""  # a server may have a type whose identifier is empty
        assert node is not None, event_type  # it has an index, and no URI to look up
        number = node.Identifier
        if node.NamespaceIndex == 0 and isinstance(number, int) and number in ObjectIdNames:
            return str(ObjectIdNames[number])
        with self._faults("does not tell the name of an event's type"):
            [data] = await self._session.read_attributes([node], AttributeIds.BrowseName)
        name = None if data.Value is None else data.Value.Value
        return str(name.Name or "") if isinstance(name, ua.QualifiedName) else ""


def _create_request(handle: int, node_id: ua.NodeId) -> ua.MonitoredItemCreateRequest:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(
            NodeId=node_id, AttributeId=ua.IntegerId(AttributeIds.EventNotifier)
        ),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=ua.IntegerId(handle),
            SamplingInterval=0,  # events are not sampled (OPC 10000-4, 5.13.1.2)
            Filter=event_filter(),
            QueueSize=ua.Counter(EVENT_QUEUE_SIZE),
            DiscardOldest=True,
        ),
    )
