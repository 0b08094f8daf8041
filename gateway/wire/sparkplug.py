"""Payloads and topics of Sparkplug B 3.0. Pure.

A payload is protobuf (`gateway.wire.sparkplug_proto`). Integers travel unsigned: a negative one is
its two's complement in 32 or 64 bits. What a number means therefore depends on the datatype of its
metric, which only births must carry: see `number_of`.
"""

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, TypeAlias

from google.protobuf.message import DecodeError

from gateway.wire.sparkplug_proto import UNREAD, MetricWire, new_payload

NAMESPACE: Final = "spBv1.0"
REBIRTH: Final = "Node Control/Rebirth"
BD_SEQ: Final = "bdSeq"
SEQ_COUNT: Final = 256
"""Sequence numbers count from 0 to 255 (tck-id-payloads-sequence-num-incrementing)."""
QUALITY: Final = "Quality"
"""Key of the property that carries a metric's quality (6.4.11)."""

WireValue: TypeAlias = int | float | bool | str | bytes | None


class Verb(StrEnum):
    """Message types of the topic namespace (4.1.3); STATE has a topic of its own form."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    NDATA = "NDATA"
    DDATA = "DDATA"
    NCMD = "NCMD"
    DCMD = "DCMD"


class DataType(IntEnum):
    """Datatypes of metrics (6.4.16)."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATE_TIME = 13
    TEXT = 14
    UUID = 15
    DATA_SET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTY_SET = 20
    PROPERTY_SET_LIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATE_TIME_ARRAY = 34

    @property
    def is_text(self) -> bool:
        """Whether its values are text."""
        return self in (DataType.STRING, DataType.TEXT, DataType.UUID)

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, truth values or times."""
        return DataType.INT8 <= self <= DataType.BOOLEAN or self is DataType.DATE_TIME


_SIGNED_BITS = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_UNSIGNED_BITS = {DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64}
_DATATYPES = {each.value: each for each in DataType}
_VERBS = frozenset(Verb)
_FLOAT_MAX = 3.4028234663852886e38
_LONG_TYPES = (DataType.INT64, DataType.UINT32, DataType.UINT64, DataType.DATE_TIME)
"""Carried in `long_value`, the other integers in `int_value` (6.4.16)."""


class SparkplugQuality(IntEnum):
    """Qualities of a metric (6.4.11)."""

    BAD = 0
    GOOD = 192
    STALE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of a payload."""

    name: str = ""
    """Empty where it is left out: then there is an alias."""
    alias: int | None = None
    time_ms: int | None = None
    """Since 1970, UTC."""
    datatype: DataType = DataType.UNKNOWN
    """Unknown where it is left out, or newer than this table."""
    is_historical: bool = False
    is_null: bool = False
    value: WireValue = None
    """As on the wire, see `number_of`; None also for what is not read here."""
    quality: int | None = None
    """Its quality property; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What one message carries."""

    time_ms: int | None = None
    seq: int | None = None
    """None in an NDEATH and in commands."""
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What a topic says: `spBv1.0/group/verb/edge_node/device`."""

    group: str
    verb: Verb
    edge_node: str
    device: str = ""
    """Empty for the edge node itself."""

    @property
    def topic(self) -> str:
        """The topic."""
        device = f"/{self.device}" if self.device else ""
        return f"{NAMESPACE}/{self.group}/{self.verb}/{self.edge_node}{device}"


def parse_topic(topic: str) -> Address | None:
    """Return what a topic says; None when it is not of a message about edge nodes (4.1)."""
    parts = topic.split("/")
    if len(parts) not in (4, 5) or parts[0] != NAMESPACE or parts[2] not in _VERBS:
        return None
    verb = Verb(parts[2])
    if (len(parts) == 5) != verb.startswith("D"):
        return None
    return Address(group=parts[1], verb=verb, edge_node=parts[3], device="".join(parts[4:]))


def decode_payload(data: bytes) -> Payload:
    """Return the payload in a message.

    Raises:
        ValueError: it is none.
    """
    wire = new_payload()
    try:
        wire.ParseFromString(data)
        return Payload(
            time_ms=wire.timestamp if wire.HasField("timestamp") else None,
            seq=wire.seq if wire.HasField("seq") else None,
            metrics=tuple(_metric(each) for each in wire.metrics),
        )
    except (DecodeError, ValueError) as error:
        raise ValueError(f"{len(data)} bytes are no Sparkplug payload: {error}") from error


def encode_payload(payload: Payload) -> bytes:
    """Return a payload as bytes.

    Raises:
        ValueError: a value does not fit its datatype.
    """
    wire = new_payload()
    if payload.time_ms is not None:
        wire.timestamp = payload.time_ms
    if payload.seq is not None:
        wire.seq = payload.seq
    for metric in payload.metrics:
        _fill(wire.metrics.add(), metric)
    return wire.SerializeToString()


def number_of(value: WireValue, datatype: DataType) -> float:
    """Return a metric's value as a number: true is 1, false is 0, a time is seconds since 1970.

    An integer beyond 2**53 is rounded to the next number that a float64 can hold.

    Args:
        value: As on the wire.
        datatype: That of the metric, from its birth.
    Raises:
        ValueError: it is no number, or not of that datatype.
    """
    if not datatype.is_number or not isinstance(value, bool | int | float):
        raise ValueError(f"a value of datatype {datatype.name} is no number")
    if datatype in _SIGNED_BITS and isinstance(value, int):
        # Senders disagree on the width of a negative Int8: masked, all of them are right.
        bits = _SIGNED_BITS[datatype]
        masked = value & ((1 << bits) - 1)
        return float(masked - (1 << bits) if masked >> (bits - 1) else masked)
    if datatype in _UNSIGNED_BITS and isinstance(value, int):
        return float(value & ((1 << _UNSIGNED_BITS[datatype]) - 1))
    if datatype is DataType.DATE_TIME:
        return value / 1000
    return float(value)


def wire_value(number: float, datatype: DataType) -> WireValue:
    """Return a number as a metric of a datatype carries it; the reverse of `number_of`.

    Raises:
        ValueError: the datatype cannot hold it.
    """
    if not math.isfinite(number) or not datatype.is_number:
        raise ValueError(f"{number:g} cannot be a {datatype.name}")
    if datatype is DataType.FLOAT and abs(number) > _FLOAT_MAX:
        raise ValueError(f"{number:g} cannot be a {datatype.name}")
    if datatype in (DataType.FLOAT, DataType.DOUBLE):
        return number
    if datatype is DataType.BOOLEAN:
        if number not in (0, 1):
            raise ValueError(f"{number:g} is neither true (1) nor false (0)")
        return bool(number)
    whole = number * 1000 if datatype is DataType.DATE_TIME else number
    if datatype is DataType.DATE_TIME:
        whole = round(whole)
    bits = _SIGNED_BITS.get(datatype)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if bits else (0, 2**64 - 1)
    high = (1 << _UNSIGNED_BITS[datatype]) - 1 if datatype in _UNSIGNED_BITS else high
    if whole != int(whole) or not low <= whole <= high:
        raise ValueError(f"{number:g} cannot be a {datatype.name}")
    return int(whole) & ((1 << (64 if datatype in _LONG_TYPES else 32)) - 1)


def _metric(wire: MetricWire) -> Metric:
    kind = wire.WhichOneof("value")
    value = None if kind is None or kind in UNREAD else getattr(wire, kind)
    # Protobuf hands text that is not UTF-8 over as bytes.
    if not isinstance(wire.name, str) or (kind == "string_value" and not isinstance(value, str)):
        raise ValueError("text that is not UTF-8")
    return Metric(
        name=wire.name,
        alias=wire.alias if wire.HasField("alias") else None,
        time_ms=wire.timestamp if wire.HasField("timestamp") else None,
        datatype=_DATATYPES.get(wire.datatype, DataType.UNKNOWN),
        is_historical=wire.is_historical,
        is_null=wire.is_null or kind is None,
        value=value,
        quality=_quality(wire),
    )


def _quality(wire: MetricWire) -> int | None:
    if not wire.HasField("properties"):
        return None
    for key, value in zip(wire.properties.keys, wire.properties.values, strict=False):
        if key == QUALITY and value.HasField("int_value"):
            return value.int_value
    return None


def _fill(wire: MetricWire, metric: Metric) -> None:
    if metric.name:
        wire.name = metric.name
    if metric.alias is not None:
        wire.alias = metric.alias
    if metric.time_ms is not None:
        wire.timestamp = metric.time_ms
    if metric.datatype is not DataType.UNKNOWN:
        wire.datatype = metric.datatype
    if metric.is_historical:
        wire.is_historical = True
    if metric.is_null:
        wire.is_null = True
    elif metric.value is not None:
        setattr(wire, _field_of(metric), metric.value)
    if metric.quality is not None:
        wire.properties.keys.append(QUALITY)
        value = wire.properties.values.add()
        value.type, value.int_value = DataType.INT32, metric.quality


def _field_of(metric: Metric) -> str:
    """Return the field that carries the value of a metric."""
    match metric.value:
        case bool():
            return "boolean_value"
        case int():
            return "long_value" if metric.datatype in _LONG_TYPES else "int_value"
        case float():
            return "float_value" if metric.datatype is DataType.FLOAT else "double_value"
        case str():
            return "string_value"
        case _:
            return "bytes_value"
