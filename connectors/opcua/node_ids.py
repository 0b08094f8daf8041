"""Node ids between what people write and what asyncua has."""

import base64
import uuid
from collections.abc import Sequence

from asyncua import ua

from connectors.opcua.nodes import NodeAddress, NodeKind


def node_address(node: ua.NodeId, namespaces: Sequence[str]) -> NodeAddress:
    """Return a node id as people write it.

    Args:
        node: As asyncua has it.
        namespaces: URIs by index; where one is missing, and for OPC UA's own, the index stands.
    """
    index = int(node.NamespaceIndex)
    namespace = namespaces[index] if 0 < index < len(namespaces) else index
    identifier = node.Identifier
    match identifier:
        case int():
            kind, text = NodeKind.NUMBER, str(int(identifier))
        case uuid.UUID():
            kind, text = NodeKind.GUID, str(identifier)
        case bytes():
            kind, text = NodeKind.BYTES, base64.b64encode(identifier).decode()
        case _:
            kind, text = NodeKind.STRING, str(identifier)
    return NodeAddress(namespace=namespace, kind=kind, identifier=text)


def node_id(node: NodeAddress, namespaces: Sequence[str]) -> ua.NodeId | None:
    """Return the node id for asyncua; None when the server lacks the namespace."""
    index = node.namespace
    if isinstance(index, str):
        if index not in namespaces:
            return None
        index = namespaces.index(index)
    number = ua.Int16(index)
    match node.kind:
        case NodeKind.NUMBER:
            return ua.NodeId(ua.Int32(int(node.identifier)), number)
        case NodeKind.GUID:
            return ua.NodeId(ua.Guid(node.identifier), number)
        case NodeKind.BYTES:
            return ua.NodeId(ua.ByteString(base64.b64decode(node.identifier)), number)
        case NodeKind.STRING:
            return ua.NodeId(ua.String(node.identifier), number)
