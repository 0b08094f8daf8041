"""OPC UA node ids as people write them. Pure; needs no OPC UA library.

OPC 10000-6, 5.3.1.10: `ns=2;s=P101.Flow` with the index of the namespace, or
`nsu=urn:plant;s=P101.Flow` with its URI. An index may change when the server restarts; a URI
stays, and is looked up at every connect.
"""

import base64
import binascii
import re
import uuid
from dataclasses import dataclass
from enum import StrEnum

_NODE = re.compile(
    r"(ns=(?P<index>\d{1,5});|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<identifier>.+)", re.DOTALL
)
_INDEX_MAX = 0xFFFF
_NUMBER_MAX = 0xFFFF_FFFF


class NodeKind(StrEnum):
    """What an identifier is."""

    NUMBER = "i"
    STRING = "s"
    GUID = "g"
    BYTES = "b"
    """Written in base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """A node id with its namespace as written."""

    namespace: int | str
    """Index, or URI."""
    kind: NodeKind
    identifier: str
    """As written."""

    def __str__(self) -> str:
        """Write it as it was read."""
        if isinstance(self.namespace, str):
            return f"nsu={self.namespace};{self.kind}={self.identifier}"
        prefix = f"ns={self.namespace};" if self.namespace else ""
        return f"{prefix}{self.kind}={self.identifier}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAddress:
    """A method, and the object to call it on."""

    object: NodeAddress | None
    """None is the one that the method belongs to."""
    method: NodeAddress


def parse_method(text: str) -> MethodAddress:
    """Return a method, written as its node id or as `object > method`.

    Raises:
        ValueError: it is neither.
    """
    before, separator, after = text.rpartition(" > ")
    return MethodAddress(
        object=parse_node(before.strip()) if separator else None, method=parse_node(after.strip())
    )


def parse_node(text: str) -> NodeAddress:
    """Return the parts of a node id.

    Raises:
        ValueError: it is none.
    """
    match = _NODE.fullmatch(text)
    if match is None:
        raise ValueError(f"node {text!r} is not a node id such as ns=2;s=P101.Flow")
    kind = NodeKind(match["kind"])
    identifier = match["identifier"]
    namespace = match["uri"] or int(match["index"] or 0)
    if isinstance(namespace, int) and namespace > _INDEX_MAX:
        raise ValueError(f"node {text!r}: namespace {namespace} is above {_INDEX_MAX}")
    try:
        if kind is NodeKind.NUMBER and not 0 <= int(identifier) <= _NUMBER_MAX:
            raise ValueError(identifier)
        if kind is NodeKind.GUID:
            uuid.UUID(identifier)
        if kind is NodeKind.BYTES:
            base64.b64decode(identifier, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"node {text!r}: {identifier!r} is not of kind {kind}") from error
    return NodeAddress(namespace=namespace, kind=kind, identifier=identifier)
