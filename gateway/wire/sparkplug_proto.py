"""The protobuf messages of Sparkplug B (3.0.0, 6.4.1), made at import from a table of fields.

Protobuf itself makes the classes: there is no generated code to keep. What we never read (data
sets, templates) stands there as plain bytes, or not at all; protobuf passes over fields that it
does not know.
"""

from collections.abc import Iterator, MutableSequence
from typing import Final, Protocol, TypeVar, cast

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

WireT_co = TypeVar("WireT_co", covariant=True)


class Repeated(Protocol[WireT_co]):
    """Messages in a row."""

    def add(self) -> WireT_co:
        """Return a new one behind the others."""

    def __iter__(self) -> Iterator[WireT_co]: ...


class Wire(Protocol):
    """What protobuf gives every message."""

    def HasField(self, field_name: str) -> bool:  # noqa: N802 - protobuf's own name
        """Tell whether a field that stands alone is there."""

    def WhichOneof(self, oneof_group: str) -> str | None:  # noqa: N802 - protobuf's own name
        """Return which field of a group is there."""

    def ParseFromString(self, serialized: bytes) -> int:  # noqa: N802 - protobuf's own name
        """Take over what bytes say."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's own name
        """Return the message as bytes."""


class PropertyValueWire(Wire, Protocol):
    """Value of a property; of its kinds only that of a quality."""

    type: int
    int_value: int


class PropertySetWire(Wire, Protocol):
    """Properties of a metric: a key for each value."""

    keys: MutableSequence[str]
    values: Repeated[PropertyValueWire]


class MetricWire(Wire, Protocol):
    """A metric; its value is the field that `WhichOneof` names."""

    name: str
    alias: int
    timestamp: int
    datatype: int
    is_historical: bool
    is_null: bool
    properties: PropertySetWire


class PayloadWire(Wire, Protocol):
    """What a message carries."""

    timestamp: int
    seq: int
    metrics: Repeated[MetricWire]


_PACKAGE: Final = "edgewright.sparkplug"
_FIELDS: Final = {
    "Payload": "1 timestamp uint64, 2 metrics Metric*, 3 seq uint64, 4 uuid string, 5 body bytes",
    "Metric": (
        "1 name string, 2 alias uint64, 3 timestamp uint64, 4 datatype uint32, "
        "5 is_historical bool, 6 is_transient bool, 7 is_null bool, 9 properties PropertySet, "
        "10 int_value uint32 |, 11 long_value uint64 |, 12 float_value float |, "
        "13 double_value double |, 14 boolean_value bool |, 15 string_value string |, "
        "16 bytes_value bytes |, 17 dataset_value bytes |, 18 template_value bytes |, "
        "19 extension_value bytes |"
    ),
    "PropertySet": "1 keys string*, 2 values PropertyValue*",
    "PropertyValue": "1 type uint32, 2 is_null bool, 3 int_value uint32",
}
"""The messages: number, name and type of each field; `*` repeats, `|` is one of a message's values
(6.4.1)."""
UNREAD: Final = frozenset({"dataset_value", "template_value", "extension_value"})
"""Kinds of values that are passed over."""


def _file() -> FileDescriptorProto:
    messages = []
    for name, text in _FIELDS.items():
        message = DescriptorProto(name=name)
        for words in (each.split() for each in text.split(", ")):
            field = message.field.add(number=int(words[0]), name=words[1])
            kind = words[2].removesuffix("*")
            is_repeated = words[2] != kind
            field.label = (
                FieldDescriptorProto.LABEL_REPEATED
                if is_repeated
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind in _FIELDS:
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
            else:
                field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
            if words[-1] == "|":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value")
                field.oneof_index = 0
        messages.append(message)
    return FileDescriptorProto(
        name="edgewright/sparkplug.proto", package=_PACKAGE, syntax="proto2", message_type=messages
    )


_POOL: Final = DescriptorPool()
_POOL.Add(_file())
_PAYLOAD: Final = GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.Payload"))


def new_payload() -> PayloadWire:
    """Return an empty payload."""
    return cast(PayloadWire, _PAYLOAD())
