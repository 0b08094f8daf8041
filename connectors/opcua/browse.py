"""Browses an OPC UA server: batches of Browse calls, with what a tag list needs of each variable.

Order and memory are those of `address_space.Walk`, the calls those of `bulk`. Nodes are
handed on as soon as it is known what stands below them, which is where range and unit are.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from connectors.messages import device_error
from connectors.opcua.address_space import NodeClass, Place, Reference, Walk
from connectors.opcua.bulk import REFERENCES_PER_CALL, BulkCalls
from connectors.opcua.node_ids import node_address, node_id
from connectors.opcua.nodes import NodeAddress
from connectors.opcua.session import UaLink
from connectors.opcua.variables import (
    FACT_ATTRIBUTES,
    Facts,
    facts_of,
    is_scalar,
    needs_value,
)

NODES_MAX = 300_000
"""Most nodes that a walk remembers: some 200 MB (measured: 0.7 kB a node)."""

_CLASSES = {
    ua.NodeClass.Object: NodeClass.OBJECT,
    ua.NodeClass.Variable: NodeClass.VARIABLE,
    ua.NodeClass.Method: NodeClass.METHOD,
    ua.NodeClass.View: NodeClass.VIEW,
}


class Wanted(Enum):
    """How much to ask about variables."""

    NODES = auto()
    """Nothing: where they stand is enough."""
    FACTS = auto()
    """Type, unit, range and access, for a tag list."""
    VALUES = auto()
    """These, and the present value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowseQuery:
    """What to browse."""

    start: NodeAddress | None = None
    """None is the Objects folder; the Server object in it is shown and not entered."""
    depth_max: int = 100
    wanted: Wanted = Wanted.NODES
    keep: Callable[["FoundNode"], bool] | None = None
    """Which nodes to return, None for all of them; all are walked through. No facts are known."""
    nodes_max: int = NODES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNode:
    """A node of the server."""

    node: NodeAddress
    """With the URI of its namespace."""
    index_text: str
    """With the namespace's index, which is shorter and may change."""
    path: str
    depth: int
    browse_name: str
    display_name: str
    node_class: NodeClass
    facts: Facts | None
    """Of a variable, when asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A node of which we know what stands below it."""

    place: Place[ua.NodeId]
    node: FoundNode
    properties: dict[str, ua.NodeId]
    """By browse name."""


class Browser:
    """One walk over the address space of a server."""

    def __init__(self, link: UaLink, query: BrowseQuery, *, device: str) -> None:
        """Prepare; asks nothing yet."""
        self.seen_count = 0
        """How many nodes were met so far."""
        self.is_cut = False
        """Whether nodes were passed over because there were too many."""
        self._link = link
        self._query = query
        self._device = device
        self._calls = BulkCalls(link, device=device)

    @property
    def refused_count(self) -> int:
        """How many nodes the server did not let us look into."""
        return self._calls.refused_count

    async def found(self) -> AsyncGenerator[list[FoundNode], None]:
        """Yield the nodes below the start, level by level, as they are found.

        Raises:
            DeviceError: the server does not know the start, or the connection is lost.
        """
        await self._link.refresh_namespaces()
        await self._calls.ask_limits()
        walk = Walk(
            await self._start(),
            depth_max=self._query.depth_max,
            nodes_max=self._query.nodes_max,
            closed=() if self._query.start else (ua.NodeId(ua.Int32(ObjectIds.Server)),),
        )
        while places := walk.batch(self._calls.nodes_per_call):
            answers = await self._calls.browse([place.reference.node for place in places])
            asked = []
            for place, answer in zip(places, answers, strict=True):
                properties = await _enter(walk, place, answer)
                node = self._found(place)
                asked.append(_Asked(place=place, node=node, properties=properties))
            self.seen_count, self.is_cut = walk.seen_count, walk.is_cut
            kept = [each for each in asked if each.place.depth and self._is_kept(each.node)]
            if kept:
                yield await self._described(kept)

    async def known(self, nodes: Sequence[NodeAddress]) -> list[bool]:
        """Tell which nodes the server has.

        Raises:
            DeviceError: the connection is lost.
        """
        await self._link.refresh_namespaces()
        ids = [node_id(node, self._link.namespaces) for node in nodes]
        asked = [each for each in ids if each is not None]
        reads = [ua.ReadValueId(NodeId=each, AttributeId=AttributeIds.NodeClass) for each in asked]
        answers = iter(await self._calls.read(reads))
        # Only a clear no is one: a node that may not be read is there all the same.
        return [each is not None and not _is_unknown(next(answers)) for each in ids]

    def _is_kept(self, node: FoundNode) -> bool:
        return self._query.keep is None or self._query.keep(node)

    def _found(self, place: Place[ua.NodeId]) -> FoundNode:
        reference = place.reference
        return FoundNode(
            node=node_address(reference.node, self._link.namespaces),
            index_text=str(node_address(reference.node, ())),
            path=place.path,
            depth=place.depth,
            browse_name=reference.browse_name,
            display_name=reference.display_name,
            node_class=reference.node_class,
            facts=None,
        )

    async def _start(self) -> Reference[ua.NodeId]:
        start = self._query.start
        found = ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
        if start is not None:
            known = node_id(start, self._link.namespaces)
            if known is None or not (await self.known([start]))[0]:
                raise device_error(
                    self._device,
                    f"has no node {start}",
                    check="Browse without a start node to see those that there are.",
                    expert=f"namespaces: {', '.join(self._link.namespaces)}",
                )
            found = known
        return Reference(
            node=found,
            browse_name="",
            display_name="",
            node_class=NodeClass.OBJECT,
            is_property=False,
        )

    async def _described(self, asked: Sequence[_Asked]) -> list[FoundNode]:
        """Return the nodes with what was asked for about variables."""
        nodes = [each.node for each in asked]
        if self._query.wanted is Wanted.NODES:
            return nodes
        chosen = [i for i, node in enumerate(nodes) if node.node_class is NodeClass.VARIABLE]
        facts = await self._facts([asked[i] for i in chosen])
        for i, fact in zip(chosen, facts, strict=True):
            nodes[i] = replace(nodes[i], facts=fact)
        return nodes

    async def _facts(self, variables: Sequence[_Asked]) -> list[Facts]:
        """Return what is known of each variable, in one call or a few."""
        reads: list[ua.ReadValueId] = []
        for each in variables:
            node = each.place.reference.node
            reads += [ua.ReadValueId(NodeId=node, AttributeId=which) for which in FACT_ATTRIBUTES]
            for name in ("EURange", "EngineeringUnits"):
                # The variable itself stands in where there is none: one row of answers for each.
                owner = each.properties.get(name)
                which = AttributeIds.Value if owner else AttributeIds.NodeClass
                reads.append(ua.ReadValueId(NodeId=owner or node, AttributeId=which))
        size = len(FACT_ATTRIBUTES) + 2
        answers = await self._calls.read(reads)
        rows = [answers[i : i + size] for i in range(0, len(answers), size)]
        wants_values = self._query.wanted is Wanted.VALUES
        asked = [
            i for i, row in enumerate(rows) if is_scalar(row) and (wants_values or needs_value(row))
        ]
        values = await self._calls.read(
            [
                ua.ReadValueId(
                    NodeId=variables[i].place.reference.node, AttributeId=AttributeIds.Value
                )
                for i in asked
            ]
        )
        value_of = dict(zip(asked, values, strict=True))
        return [facts_of(row, value_of.get(i)) for i, row in enumerate(rows)]


async def _enter(
    walk: Walk[ua.NodeId], place: Place[ua.NodeId], answer: Sequence[ua.ReferenceDescription]
) -> dict[str, ua.NodeId]:
    """Take an answer in pieces, so that the loop goes on meanwhile; return its properties."""
    properties: dict[str, ua.NodeId] = {}
    for begin in range(0, len(answer), REFERENCES_PER_CALL):
        piece = answer[begin : begin + REFERENCES_PER_CALL]
        references = [_reference(each) for each in piece if _is_here(each.NodeId)]
        walk.enter(place, references)
        properties |= {each.browse_name: each.node for each in references if each.is_property}
        await asyncio.sleep(0)
    return properties


def _reference(found: ua.ReferenceDescription) -> Reference[ua.NodeId]:
    kind = found.ReferenceTypeId
    return Reference(
        node=ua.NodeId(found.NodeId.Identifier, found.NodeId.NamespaceIndex),
        browse_name=found.BrowseName.Name or "",
        display_name=found.DisplayName.Text or "",
        node_class=_CLASSES.get(found.NodeClass, NodeClass.TYPE),
        is_property=kind.NamespaceIndex == 0 and kind.Identifier == ObjectIds.HasProperty,
    )


def _is_here(node: ua.NodeId) -> bool:
    """Tell whether a node stands on this very server, which servers then name by index."""
    return not (isinstance(node, ua.ExpandedNodeId) and (node.ServerIndex or node.NamespaceUri))


def _is_unknown(data: ua.DataValue) -> bool:
    code = data.StatusCode.value if data.StatusCode is not None else 0
    return code in (StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid)
