"""The history services of an OPC UA session, in our types.

The library decodes a page of a thousand values in some tens of milliseconds; `ask` lets it do so in
a worker thread, so that live values do not wait for it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.messages import device_error
from connectors.opcua.library import HistoryPage, decode_history
from connectors.opcua.nodes import NodeAddress
from connectors.opcua.session import LIBRARY_FAILURES, UaLink, fault
from gateway.core.arrays import BoolArray

NS_PER_US = 1000
"""asyncua knows times to 1 µs."""
HISTORY_READ_BIT = 0x04
"""OPC 10000-3, 8.57: bit 2 of the access level, the history can be read."""
NODES_PER_READ = 500
_PASSING = frozenset(
    {
        StatusCodes.BadContinuationPointInvalid,
        StatusCodes.BadNoContinuationPoints,
        StatusCodes.BadResourceUnavailable,
        StatusCodes.BadServerHalted,
        StatusCodes.BadTimeout,
        StatusCodes.BadTooManyOperations,
    }
)
"""What a node's history answers that another time may be answered otherwise."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAsk:
    """One node in a history read."""

    node: ua.NodeId
    continuation: bytes = b""


class HistoryReader:
    """Reads the history of nodes over a link."""

    def __init__(self, link: UaLink, *, device: str) -> None:
        """Read over a link that stands; `device` is for messages."""
        self._link = link
        self._device = device

    async def nodes_per_call(self) -> int:
        """Return how many nodes the server lets us ask for at once; 0 where it does not say.

        Raises:
            DeviceError: no answer.
        """
        limit = ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData
        try:
            [data] = await self._link.session.read_attributes(
                [ua.NodeId(ua.Int32(limit))], AttributeIds.Value
            )
        except LIBRARY_FAILURES as error:
            raise fault(self._device, "does not tell its limits", error) from error
        value = data.Value.Value if data.Value is not None else None
        return value if isinstance(value, int) else 0

    async def is_readable(self, nodes: Sequence[NodeAddress | None]) -> BoolArray:
        """Return which nodes have a history that we may read, shape (n,).

        Raises:
            DeviceError: no answer.
        """
        found = np.zeros(len(nodes), dtype=np.bool_)
        known = [(k, self._link.node_id(node)) for k, node in enumerate(nodes) if node]
        asked = [(k, node_id) for k, node_id in known if node_id is not None]
        for begin in range(0, len(asked), NODES_PER_READ):
            part = asked[begin : begin + NODES_PER_READ]
            try:
                answers = await self._link.session.read_attributes(
                    [node_id for _, node_id in part], AttributeIds.UserAccessLevel
                )
            except LIBRARY_FAILURES as error:
                raise fault(self._device, "does not tell its access levels", error) from error
            for (k, _), data in zip(part, answers, strict=True):
                level = data.Value.Value if data.Value is not None else None
                found[k] = isinstance(level, int) and bool(level & HISTORY_READ_BIT)
        return found

    async def read(
        self, asks: Sequence[HistoryAsk], *, from_ns: int, to_ns: int, count: int
    ) -> tuple[HistoryPage, ...]:
        """Return a page for each node, values from the one time to the other, ends included.

        Args:
            asks: The nodes.
            from_ns: UTC.
            to_ns: UTC.
            count: Values of each node at most; the page says how to go on.
        Raises:
            DeviceError: no answer, or the server refuses the call.
        """
        request = _request(asks, from_ns=from_ns, to_ns=to_ns, count=count, is_release=False)
        what = "does not give its history"
        try:
            pages = await self._link.ask(what, request, decode_history)
        except UaStatusCodeError as error:
            raise fault(self._device, what, error) from error
        if len(pages) != len(asks):
            mismatch = ValueError(f"{len(pages)} histories for {len(asks)} nodes")
            raise fault(self._device, what, mismatch)
        return pages

    def check(self, pages: Sequence[HistoryPage]) -> None:
        """Look for what another time may be answered otherwise.

        Raises:
            DeviceError: a page could not be had now.
        """
        for page in pages:
            if page.status in _PASSING:
                raise device_error(
                    self._device,
                    "cannot give its history now",
                    check="Check its load.",
                    expert=f"status 0x{page.status:08X}",
                )

    async def release(self, asks: Sequence[HistoryAsk]) -> None:
        """Let the server forget pages that nobody will ask for.

        Raises:
            DeviceError: no answer.
        """
        request = _request(asks, from_ns=0, to_ns=0, count=0, is_release=True)
        with suppress(UaStatusCodeError):  # it has forgotten them already
            await self._link.ask("does not answer", request, decode_history)


def _request(
    asks: Sequence[HistoryAsk], *, from_ns: int, to_ns: int, count: int, is_release: bool
) -> ua.HistoryReadRequest:
    request = ua.HistoryReadRequest()
    request.Parameters = ua.HistoryReadParameters(
        HistoryReadDetails=ua.ReadRawModifiedDetails(
            IsReadModified=False,
            StartTime=_moment(from_ns),
            # Up to and with the microsecond that the end lies in: some servers leave out the end.
            EndTime=_moment(to_ns + NS_PER_US),
            NumValuesPerNode=count,
            ReturnBounds=False,
        ),
        TimestampsToReturn=ua.TimestampsToReturn.Both,
        ReleaseContinuationPoints=is_release,
        NodesToRead=[
            ua.HistoryReadValueId(NodeId=ask.node, ContinuationPoint=ask.continuation or None)
            for ask in asks
        ],
    )
    return request


def _moment(time_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_ns // NS_PER_US)
