"""Which nodes of an OPC UA address space to ask for next, and what came of it. Pure.

The walk goes level by level, so every node is met first on a shortest way from the start, and
that way is its path. A node is asked once, whatever points at it: loops and references back end
there. What is kept is the identity of every node met and the places of two levels, so the memory
is that of `nodes_max` nodes at the most.
"""

import re
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

NodeT = TypeVar("NodeT")

SEPARATOR = "/"
_GLOB = re.compile(r"\*\*/|\*\*|\*|\?")
_GLOB_PARTS = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


class NodeClass(StrEnum):
    """What a node is (OPC 10000-3, 5.2.3)."""

    OBJECT = "object"
    VARIABLE = "variable"
    METHOD = "method"
    TYPE = "type"
    VIEW = "view"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(Generic[NodeT]):
    """One node as the node above it shows it."""

    node: NodeT
    browse_name: str
    display_name: str
    node_class: NodeClass
    is_property: bool
    """Whether it describes the node above instead of standing below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Generic[NodeT]):
    """A node and the way to it."""

    reference: Reference[NodeT]
    path: str
    """Browse names from the start, without the start's own; empty is the start."""
    depth: int
    """0 is the start."""


class Walk(Generic[NodeT]):
    """A walk from one node: `batch` says whom to ask, `enter` hears what stands below."""

    def __init__(
        self,
        start: Reference[NodeT],
        *,
        depth_max: int,
        nodes_max: int,
        closed: Collection[NodeT] = (),
    ) -> None:
        """Begin at the start.

        Args:
            start: Where to begin.
            depth_max: Levels below the start.
            nodes_max: Most nodes to remember; further ones are passed over.
            closed: Nodes that are shown and not entered.
        """
        self.is_cut = False
        """Whether nodes were passed over because there were too many."""
        self._depth_max = depth_max
        self._nodes_max = nodes_max
        self._closed = frozenset(closed)
        self._seen = {start.node}
        self._waiting = deque([Place(reference=start, path="", depth=0)])

    @property
    def seen_count(self) -> int:
        """How many nodes were met."""
        return len(self._seen)

    def batch(self, count: int) -> list[Place[NodeT]]:
        """Return the next places to ask, at most so many; none when all is seen."""
        size = min(count, len(self._waiting))
        return [self._waiting.popleft() for _ in range(size)]

    def enter(self, place: Place[NodeT], references: Sequence[Reference[NodeT]]) -> None:
        """Take what stands below a place, or a piece of it, for later batches."""
        if place.depth >= self._depth_max or place.reference.node in self._closed:
            return
        for reference in references:
            if reference.is_property or reference.node in self._seen:
                continue
            if len(self._seen) >= self._nodes_max:
                self.is_cut = True
                return
            self._seen.add(reference.node)
            way = (place.path, reference.browse_name) if place.depth else (reference.browse_name,)
            path = SEPARATOR.join(way)
            self._waiting.append(Place(reference=reference, path=path, depth=place.depth + 1))


def path_pattern(glob: str) -> re.Pattern[str]:
    """Return the pattern for a glob over paths, such as `**/P101/*`.

    `*` and `?` stay within one name, `**` crosses any number of them. Case counts.
    """
    parts: list[str] = []
    position = 0
    for match in _GLOB.finditer(glob):
        parts += (re.escape(glob[position : match.start()]), _GLOB_PARTS[match[0]])
        position = match.end()
    return re.compile("".join((*parts, re.escape(glob[position:]))), re.DOTALL)
