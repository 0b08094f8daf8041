"""Node ids, and what is none."""

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.nodes import NodeAddress, NodeKind, parse_node


@given(st.integers(0, 0xFFFF), st.text(min_size=1, max_size=30))
def test_what_is_written_is_read_as_the_library_reads_it(index: int, name: str) -> None:
    node = parse_node(f"ns={index};s={name}")
    assert node == NodeAddress(namespace=index, kind=NodeKind.STRING, identifier=name)
    library = ua.NodeId.from_string(f"ns={index};s={name}")
    assert (library.NamespaceIndex, library.Identifier) == (index, name)
    assert parse_node(str(node)) == node


@pytest.mark.parametrize(
    "text",
    [
        "i=2258",
        "nsu=urn:edgewright:plant;s=P101.Flow",
        "ns=4;g=72962B91-FA75-4AE6-8D28-B404DC7DAF63",
        "ns=1;b=M/RbKBsRVkePCePcx24oRA==",
    ],
)
def test_every_kind_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_node(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "Flow", "ns=2", "ns=70000;i=1", "i=-1", "i=x", "i=4294967296", "g=1", "b=!", "ns=a;s=b"],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="node"):
        parse_node(text)
