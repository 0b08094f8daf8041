"""The walk over an address space, against a plain breadth-first search, and the path patterns."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.address_space import NodeClass, Reference, Walk, path_pattern

Graph = dict[int, list[int]]
NODES = 12
graphs = st.dictionaries(
    st.integers(0, NODES - 1), st.lists(st.integers(0, NODES - 1), max_size=6), max_size=NODES
)


def reference(node: int, *, is_property: bool = False) -> Reference[int]:
    return Reference(
        node=node,
        browse_name=f"n{node}",
        display_name="",
        node_class=NodeClass.OBJECT,
        is_property=is_property,
    )


def naive(graph: Graph, depth_max: int) -> dict[int, str]:
    """Return the path of each node, by a search that asks one node at a time."""
    paths, waiting = {0: ""}, deque([(0, 0)])
    while waiting:
        node, depth = waiting.popleft()
        for child in graph.get(node, []) if depth < depth_max else []:
            if child not in paths:
                paths[child] = f"{paths[node]}/n{child}".removeprefix("/")
                waiting.append((child, depth + 1))
    return paths


def walked(walk: Walk[int], graph: Graph, *, batch: int, piece: int) -> list[tuple[int, str]]:
    """Walk in batches, with answers that come in pieces."""
    found = []
    while places := walk.batch(batch):
        for place in places:
            found.append((place.reference.node, place.path))
            children = graph.get(place.reference.node, [])
            for begin in range(0, len(children), piece):
                walk.enter(place, [reference(child) for child in children[begin : begin + piece]])
    return found


@given(graphs, st.integers(1, 5), st.integers(1, 7), st.integers(1, 4))
def test_every_node_once_on_a_shortest_way(
    graph: Graph, depth_max: int, batch: int, piece: int
) -> None:
    """Whatever the size of batches and answers, it is what a plain search finds, in its order."""
    walk = Walk(reference(0), depth_max=depth_max, nodes_max=100)
    found = walked(walk, graph, batch=batch, piece=piece)
    assert list(naive(graph, depth_max).items()) == found
    assert walk.seen_count == len(found)
    assert not walk.is_cut


@given(graphs, st.integers(1, NODES))
def test_it_never_remembers_more_than_allowed(graph: Graph, nodes_max: int) -> None:
    walk = Walk(reference(0), depth_max=9, nodes_max=nodes_max)
    found = walked(walk, graph, batch=3, piece=3)
    assert len(found) == min(nodes_max, len(naive(graph, 9)))
    assert walk.is_cut == (len(naive(graph, 9)) > nodes_max)


def test_properties_and_closed_nodes_are_not_entered() -> None:
    walk = Walk(reference(0), depth_max=9, nodes_max=9, closed=[1])
    [start] = walk.batch(5)
    walk.enter(start, [reference(1), reference(2, is_property=True)])
    [closed] = walk.batch(5)
    walk.enter(closed, [reference(3)])
    assert closed.reference.node == 1
    assert walk.batch(5) == []


@pytest.mark.parametrize(
    ("glob", "path", "is_met"),
    [
        ("**/P101/*", "Plant/P101/Flow", True),
        ("**/P101/*", "P101/Flow", True),
        ("**/P101/*", "Plant/P101/Motor/Current", False),
        ("**/P101/**", "Plant/P101/Motor/Current", True),
        ("Plant/*/Flow", "Plant/P101/Flow", True),
        ("Plant/*/Flow", "Plant/A/B/Flow", False),
        ("**/v?", "Line/v1", True),
        ("**/v?", "Line/v10", False),
        ("a.b[0]", "a.b[0]", True),
        ("a.b[0]", "aXb0", False),
    ],
)
def test_path_patterns(glob: str, path: str, *, is_met: bool) -> None:
    assert bool(path_pattern(glob).fullmatch(path)) == is_met
