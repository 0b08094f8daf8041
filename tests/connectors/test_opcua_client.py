"""What we rely on inside asyncua; a new release that moves it fails here first."""

import inspect

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.ua_binary import struct_to_binary

from connectors.opcua.client import PRIVATE_NAMES, ColumnClient, Decode, PreparedRead
from gateway.wire.clock import SystemClock


def new_client() -> ColumnClient:
    return ColumnClient(
        "opc.tcp://127.0.0.1:4840", timeout_s=1.0, decode=Decode.COLUMNS, clock=SystemClock()
    )


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in PRIVATE_NAMES.items() for name in names]
)
async def test_private_names_are_where_they_were(owner: type, name: str) -> None:
    client = Client("opc.tcp://127.0.0.1:4840")
    instances: dict[type, object] = {
        UaClient: client.uaclient,
        UaSession: client.uaclient.session,
        UASocketProtocol: client.uaclient._make_protocol(),
    }
    assert hasattr(instances[owner], name)


async def test_only_listed_private_names_are_used() -> None:
    """The source of our subclasses names no other private attribute of the library."""
    source = inspect.getsource(inspect.getmodule(ColumnClient) or ColumnClient)
    stock = Client("opc.tcp://127.0.0.1:4840")
    listed = {name for names in PRIVATE_NAMES.values() for name in names}
    private = {
        name
        for owner in (
            stock,
            stock.uaclient,
            stock.uaclient.session,
            stock.uaclient._make_protocol(),
        )
        for name in dir(owner)
        if name.startswith("_") and not name.startswith("__")
    }
    used = {name for name in private if f".{name}" in source or f"def {name}(" in source}
    assert used <= listed


async def test_nothing_the_library_sets_on_its_client_is_lost() -> None:
    """Our client stands where the library's stood, with all that its constructor put there."""
    stock, ours = Client("opc.tcp://127.0.0.1:4840"), new_client()
    assert vars(stock).keys() <= vars(ours).keys()
    assert vars(stock.uaclient).keys() <= vars(ours.uaclient).keys()
    assert stock.uaclient.pre_request_hook == stock.check_connection
    assert ours.uaclient.pre_request_hook == ours.check_connection
    assert ours.nodes.server_state.session is ours.uaclient.session
    for owner in (stock.uaclient, stock):
        bound = [name for name, value in vars(owner).items() if isinstance(value, UaSession)]
        assert set(bound) <= {"session"}


async def test_our_protocol_is_the_library_s_with_a_stamp() -> None:
    """What `_make_protocol` sets, and how it calls the constructor, is as in the library."""
    stock, ours = Client("opc.tcp://127.0.0.1:4840"), new_client()
    library, our = stock.uaclient._make_protocol(), ours.uaclient._make_protocol()
    assert isinstance(our, UASocketProtocol)
    assert vars(our).keys() - vars(library).keys() == {"stamp"}
    assert {name for name, value in vars(our).items() if value is None} == {
        name for name, value in vars(library).items() if value is None
    }


async def test_the_library_s_publish_loop_never_starts() -> None:
    client = new_client()
    client.uaclient.session._subscription_callbacks[1] = print
    client.uaclient.session.ensure_publish_loop()
    assert client.uaclient.session._publish_task is None


async def test_a_read_encoded_before_is_what_the_library_would_send() -> None:
    """The bytes are those of asyncua for the same nodes; only the header differs each time."""
    nodes = [
        ua.ReadValueId(NodeId=ua.NodeId.from_string(text), AttributeId=AttributeIds.Value)
        for text in ("ns=2;s=P101.Flow", "i=2258", "ns=1;i=70000", "ns=3;b=AQID")
    ]
    nodes[0].IndexRange = "3"
    request = ua.ReadRequest()
    request.RequestHeader.RequestHandle = 5
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.NodesToRead = nodes
    prepared = PreparedRead(nodes)
    assert prepared.node_count == len(nodes)
    assert prepared.encoded(request.RequestHeader) == bytes(struct_to_binary(request))


async def test_sending_does_what_the_library_does() -> None:
    """What `_send_request` of the library calls and sets, by its source; ours does the same."""
    source = inspect.getsource(UASocketProtocol._send_request)
    for part in (
        "self._setup_request_header(request.RequestHeader, timeout)",
        "self.revolve_security_token()",
        "self._connection.message_to_binary(",
        "self._request_id = next_request_id",
        "self._callbackmap[self._request_id] = future",
        "self.transport.write(msg)",
    ):
        assert part in source
