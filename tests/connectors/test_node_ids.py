"""Node ids for asyncua, with any identifier."""

import base64

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, nodeid_to_binary
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.client import ColumnClient, Decode
from connectors.opcua.event_fields import server_event
from connectors.opcua.node_ids import node_address, node_id
from connectors.opcua.nodes import parse_node
from connectors.opcua.session import UaLink
from gateway.wire.clock import SystemClock
from tests.connectors.ua_values import variant

Identifier = ua.Int32 | ua.String | ua.Guid | ua.ByteString
IDENTIFIERS = st.one_of(
    st.integers(0, 0xFFFF_FFFF).map(ua.Int32),
    st.text(min_size=1, max_size=20).map(ua.String),
    st.binary(min_size=1, max_size=20).map(ua.ByteString),
    st.uuids().map(lambda each: ua.Guid(str(each))),
)


@given(st.integers(0, 0xFFFF), IDENTIFIERS)
def test_what_is_read_back_is_the_same_node(index: int, identifier: Identifier) -> None:
    """From asyncua's, by way of text, to asyncua's; and over the wire."""
    library = ua.NodeId(identifier, ua.Int16(index))
    again = node_id(parse_node(str(node_address(library, ()))), ())
    assert again == library
    assert again is not None
    assert nodeid_from_binary(Buffer(nodeid_to_binary(again))) == library


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("ns=1;b=0xAB", ua.ByteString(base64.b64decode("0xAB"))),
        ("ns=1;s=a;b=c", ua.String("a;b=c")),
        ("ns=1;s= a ;", ua.String(" a ;")),
    ],
)
async def test_a_session_asks_for_the_node_that_is_written(
    text: str, identifier: Identifier
) -> None:
    """Base64 may begin like a hexadecimal number; a name may hold what separates parts."""
    client = ColumnClient(
        "opc.tcp://127.0.0.1:4840", timeout_s=1, decode=Decode.COLUMNS, clock=SystemClock()
    )
    link = UaLink(client, "plant")
    assert link.node_id(parse_node(text)) == ua.NodeId(identifier, ua.Int16(1))


def test_the_type_of_an_event_can_be_asked_for() -> None:
    kind = ua.NodeId(ua.ByteString(base64.b64decode("0xAB")), ua.Int16(3))
    event = server_event(
        0, [variant(b"1", ua.VariantType.ByteString), variant(kind, ua.VariantType.NodeId)]
    )
    assert node_id(parse_node(event.type), ()) == kind
