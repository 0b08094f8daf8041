"""Bulk calls against a stand-in for a server with any limits; real ones are in the browse tests."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import BadTooManyOperations, UaStatusCodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.opcua.bulk import BulkCalls
from connectors.opcua.client import AnswerT
from connectors.opcua.library import decode_browse, decode_browse_next, decode_values


def child(parent: int, number: int) -> ua.ReferenceDescription:
    node = ua.NodeId(ua.Int32(parent * 10_000 + number), ua.Int16(2))
    return ua.ReferenceDescription(NodeId=node)


class NarrowServer:
    """Implements `Asker`: few nodes a call, few unfinished answers at once, few references."""

    def __init__(self, sizes: list[int], *, nodes: int, points: int, references: int) -> None:
        self.children = {
            parent: [child(parent, number) for number in range(size)]
            for parent, size in enumerate(sizes)
        }
        self.nodes, self.points, self.references = nodes, points, references
        self.unfinished: dict[bytes, list[ua.ReferenceDescription]] = {}
        self.limits: dict[bytes, int] = {}

    async def ask(self, what: str, request: object, decode: Callable[[bytes], AnswerT]) -> AnswerT:
        if isinstance(request, ua.BrowseRequest):
            return cast(AnswerT, self._browse(request))
        if isinstance(request, ua.BrowseNextRequest):
            return cast(AnswerT, self._browse_next(request))
        assert isinstance(request, ua.ReadRequest)
        return cast(AnswerT, self._read(request))

    def _browse(self, request: ua.BrowseRequest) -> list[ua.BrowseResult]:
        # A new browse call ends what was unfinished, as the least of servers do.
        asked = request.Parameters.NodesToBrowse
        if len(asked) > self.nodes:
            raise BadTooManyOperations
        limit = min(request.Parameters.RequestedMaxReferencesPerNode, self.references)
        return [self._piece(self.children[int(each.NodeId.Identifier)], limit) for each in asked]

    def _browse_next(self, request: ua.BrowseNextRequest) -> list[ua.BrowseResult]:
        results = []
        for point in request.Parameters.ContinuationPoints:
            rest = self.unfinished.pop(point)
            if request.Parameters.ReleaseContinuationPoints:
                results.append(ua.BrowseResult())
            else:
                results.append(self._piece(rest, self.limits[point]))
        return results

    def _piece(self, rest: list[ua.ReferenceDescription], limit: int) -> ua.BrowseResult:
        if len(rest) <= limit:
            return ua.BrowseResult(References=rest)
        if len(self.unfinished) >= self.points:
            code = ua.StatusCode(ua.UInt32(StatusCodes.BadNoContinuationPoints))
            return ua.BrowseResult(StatusCode=code)
        point = f"{len(self.limits)}".encode()
        self.unfinished[point], self.limits[point] = rest[limit:], limit
        return ua.BrowseResult(ContinuationPoint=ua.ByteString(point), References=rest[:limit])

    def _read(self, request: ua.ReadRequest) -> list[ua.DataValue]:
        asked = request.Parameters.NodesToRead
        if len(asked) > self.nodes:
            raise BadTooManyOperations
        return [ua.DataValue(ua.Variant(int(each.NodeId.Identifier))) for each in asked]


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([0, 1, 9, 10, 11, 30, 400, 2500]), min_size=1, max_size=40),
    st.integers(1, 50),
    st.integers(1, 5),
    st.sampled_from([7, 100, 100_000]),
)
def test_everything_is_found_whatever_the_server_allows(
    sizes: list[int], nodes: int, points: int, references: int
) -> None:
    """Each node's references in their order, once; nothing is left unfinished at the server."""
    server = NarrowServer(sizes, nodes=nodes, points=points, references=references)
    calls = BulkCalls(server, device="server")
    asked = [ua.NodeId(ua.Int32(parent), ua.Int16(2)) for parent in range(len(sizes))]
    found = asyncio.run(calls.browse(asked))
    assert list(server.children.values()) == found
    assert calls.refused_count == 0
    assert server.unfinished == {}


@given(st.integers(0, 300), st.integers(1, 50))
def test_reads_are_cut_to_what_the_server_takes(count: int, nodes: int) -> None:
    server = NarrowServer([], nodes=nodes, points=1, references=1)
    reads = [ua.ReadValueId(NodeId=ua.NodeId(ua.Int32(i), ua.Int16(2))) for i in range(count)]
    answers = asyncio.run(BulkCalls(server, device="server").read(reads))
    values = [each.Value.Value for each in answers if each.Value is not None]
    assert list(range(count)) == values


@given(st.integers(0, 200), st.sampled_from([decode_browse, decode_browse_next, decode_values]))
def test_a_damaged_answer_is_an_error_of_the_server(
    size: int, decode: Callable[[bytes], list[object]]
) -> None:
    """Whatever the library stumbles over; as a `ValueError` it ends the session, and not more."""
    body = struct_to_binary(ua.BrowseResponse(Results=[ua.BrowseResult(References=[child(1, 2)])]))
    with suppress(ValueError, UaStatusCodeError):
        decode(body[:size])


def test_a_whole_answer_is_read() -> None:
    results = [ua.BrowseResult(References=[child(1, 2)]), ua.BrowseResult()]
    body = struct_to_binary(ua.BrowseResponse(Results=results))
    assert [len(result.References or ()) for result in decode_browse(body)] == [1, 0]
