"""Browse and read calls for any number of nodes, within what a server takes in one call.

The server's limits are asked for and kept; one that refuses a call for its size gets smaller
ones. An answer holds `REFERENCES_PER_CALL` references at the most (where the server heeds that),
so a flat folder of a million nodes comes in pieces (BrowseNext). Answers are decoded beside the
event loop.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.messages import device_error
from connectors.opcua.client import AnswerT
from connectors.opcua.library import decode_browse, decode_browse_next, decode_values
from connectors.opcua.session import fault

NODES_PER_CALL = 100
REFERENCES_PER_CALL = 1000
REFERENCES_PER_NODE_MIN = 10
READS_PER_CALL = 1000

_RESULT_MASK = (
    ua.BrowseResultMask.ReferenceTypeId
    | ua.BrowseResultMask.NodeClass
    | ua.BrowseResultMask.BrowseName
    | ua.BrowseResultMask.DisplayName
)
_TOO_LARGE = frozenset(
    {
        StatusCodes.BadTooManyOperations,
        StatusCodes.BadEncodingLimitsExceeded,
        StatusCodes.BadResponseTooLarge,
        StatusCodes.BadRequestTooLarge,
    }
)
_LIMITS = (
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
)


class Asker(Protocol):
    """What sends requests: a `UaLink`."""

    async def ask(self, what: str, request: object, decode: Callable[[bytes], AnswerT]) -> AnswerT:
        """Send a request and return its answer; see `UaLink.ask`."""
        ...


class BulkCalls:
    """Asks a server about many nodes."""

    def __init__(self, link: Asker, *, device: str) -> None:
        """Begin with our own limits."""
        self.nodes_per_call = NODES_PER_CALL
        """How many nodes to browse at once."""
        self.refused_count = 0
        """How many nodes the server did not let us look into."""
        self._link = link
        self._device = device
        self._reads_per_call = READS_PER_CALL

    async def ask_limits(self) -> None:
        """Ask for the server's limits; without an answer ours stay.

        Raises:
            DeviceError: the connection is lost.
        """
        reads = [
            ua.ReadValueId(NodeId=ua.NodeId(ua.Int32(limit)), AttributeId=AttributeIds.Value)
            for limit in _LIMITS
        ]
        browse, read = (_limit_in(data) for data in await self.read(reads))
        self.nodes_per_call = min(browse or NODES_PER_CALL, NODES_PER_CALL)
        self._reads_per_call = min(read or READS_PER_CALL, READS_PER_CALL)

    async def browse(self, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
        """Return what stands below each node; nodes that have much are asked apart.

        A node that the server refuses has nothing below it, and is counted.

        Raises:
            DeviceError: the connection is lost, or the server refuses to be browsed.
        """
        limit = max(REFERENCES_PER_NODE_MIN, REFERENCES_PER_CALL // len(nodes))
        request = _browse_request(nodes, limit)
        try:
            results = await self._link.ask("refuses to be browsed", request, decode_browse)
        except UaStatusCodeError as error:
            if error.code not in _TOO_LARGE or len(nodes) == 1:
                raise fault(self._device, "refuses to be browsed", error) from error
            self.nodes_per_call = max(1, len(nodes) // 2)
            return await self._in_halves(nodes)
        self._check_count(len(results), len(nodes))
        found = [list(result.References or ()) for result in results]
        # A server may have room for fewer unfinished answers than a call has nodes.
        apart = [i for i, result in enumerate(results) if _lacks_room(result)]
        unfinished = {i: result.ContinuationPoint for i, result in enumerate(results)}
        unfinished = {i: point for i, point in unfinished.items() if point}
        self.refused_count += sum(not r.StatusCode.is_good() for r in results) - len(apart)
        if len(nodes) > 1 and len(unfinished) <= len(nodes) // 4:
            await self._browse_next(list(unfinished.values()), releases=True)
            apart += unfinished
        else:
            await self._finish(unfinished, found)
        if apart and len(nodes) == 1:
            self.refused_count += 1
        elif apart:
            again = [nodes[i] for i in apart]
            answers = await (
                self.browse(again) if len(again) < len(nodes) else self._in_halves(again)
            )
            for i, answer in zip(apart, answers, strict=True):
                found[i] = answer
        return found

    async def _in_halves(self, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
        middle = len(nodes) // 2
        return await self.browse(nodes[:middle]) + await self.browse(nodes[middle:])

    async def _finish(
        self, unfinished: dict[int, bytes], found: list[list[ua.ReferenceDescription]]
    ) -> None:
        """Ask on until no answer is unfinished."""
        while unfinished:
            results = await self._browse_next(list(unfinished.values()), releases=False)
            self._check_count(len(results), len(unfinished))
            open_still: dict[int, bytes] = {}
            for i, result in zip(unfinished, results, strict=True):
                found[i] += result.References or ()
                self.refused_count += not result.StatusCode.is_good()
                # An answer without references would keep us here for ever.
                if result.ContinuationPoint and result.References:
                    open_still[i] = result.ContinuationPoint
            unfinished = open_still

    async def _browse_next(self, points: list[bytes], *, releases: bool) -> list[ua.BrowseResult]:
        if not points:
            return []
        request = ua.BrowseNextRequest()
        request.Parameters.ReleaseContinuationPoints = releases
        request.Parameters.ContinuationPoints = points
        what = "does not go on with a long answer"
        try:
            return await self._link.ask(what, request, decode_browse_next)
        except UaStatusCodeError as error:
            raise fault(self._device, what, error) from error

    async def read(self, reads: Sequence[ua.ReadValueId]) -> list[ua.DataValue]:
        """Read attributes; what cannot be read is one Bad value.

        Raises:
            DeviceError: the connection is lost, or the server refuses.
        """
        answers: list[ua.DataValue] = []
        for begin in range(0, len(reads), self._reads_per_call):
            answers += await self._read_once(reads[begin : begin + self._reads_per_call])
        return answers

    async def _read_once(self, reads: Sequence[ua.ReadValueId]) -> list[ua.DataValue]:
        request = ua.ReadRequest()
        request.Parameters.NodesToRead = list(reads)
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Neither
        what = "does not let its nodes be read"
        try:
            answers = await self._link.ask(what, request, decode_values)
        except UaStatusCodeError as error:
            if error.code not in _TOO_LARGE:
                raise fault(self._device, what, error) from error
            if len(reads) == 1:
                return [ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(error.code)))]
            middle = len(reads) // 2
            return await self._read_once(reads[:middle]) + await self._read_once(reads[middle:])
        self._check_count(len(answers), len(reads))
        return answers

    def _check_count(self, answered: int, asked: int) -> None:
        """See that there is one answer for each question.

        Raises:
            DeviceError: there is not.
        """
        if answered != asked:
            raise device_error(
                self._device,
                "answers for other nodes than were asked",
                check="The server is at fault: report it to its maker.",
                expert=f"{answered} answers to {asked} questions",
            )


def _browse_request(nodes: Sequence[ua.NodeId], limit: int) -> ua.BrowseRequest:
    request = ua.BrowseRequest()
    request.Parameters.RequestedMaxReferencesPerNode = limit
    request.Parameters.NodesToBrowse = [
        ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=ua.BrowseDirection.Forward,
            ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences)),
            IncludeSubtypes=True,
            NodeClassMask=0,
            ResultMask=_RESULT_MASK,
        )
        for node in nodes
    ]
    return request


def _lacks_room(result: ua.BrowseResult) -> bool:
    return bool(result.StatusCode.value == StatusCodes.BadNoContinuationPoints)


def _limit_in(data: ua.DataValue) -> int:
    """Return a limit of the server; 0 when it has none, or does not tell."""
    value = data.Value.Value if data.Value is not None else None
    return value if isinstance(value, int) and value > 0 else 0
