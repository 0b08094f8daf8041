"""Sparkplug payloads and topics, against Eclipse Tahu's own package."""

import math
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.sparkplug import (
    Address,
    DataType,
    Metric,
    Payload,
    Verb,
    decode_payload,
    encode_payload,
    number_of,
    parse_topic,
    wire_value,
)
from tests.interop.peers import needs_node
from tests.interop.sparkplug import JsonObject, SparkplugPackage, sparkplug_package

RANGES = {
    DataType.INT8: (-128, 127),
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.INT64: (-(2**63), 2**63 - 1),
    DataType.UINT8: (0, 255),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.UINT64: (0, 2**64 - 1),
    DataType.DATE_TIME: (0, 2**53),
}
LONGS = (DataType.INT64, DataType.UINT64, DataType.DATE_TIME, DataType.UINT32)
NAMES = {
    DataType.DATE_TIME: "DateTime",
    DataType.UUID: "UUID",
    **{kind: kind.name.title().replace("Uint", "UInt") for kind in DataType if kind <= 12},
    DataType.TEXT: "Text",
}

Value = int | float | bool | str


@st.composite
def metrics(draw: st.DrawFn) -> tuple[Metric, Value]:
    """Draw a metric, and what its value means."""
    datatype = draw(st.sampled_from([*RANGES, *NAMES]))
    value: Value
    if datatype in RANGES:
        value = draw(st.integers(*RANGES[datatype]))
    elif datatype is DataType.FLOAT:
        value = draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
    elif datatype is DataType.DOUBLE:
        value = draw(st.floats(allow_nan=False, allow_infinity=False))
    elif datatype is DataType.BOOLEAN:
        value = draw(st.booleans())
    else:
        datatype = DataType.STRING if datatype is DataType.UNKNOWN else datatype
        value = draw(st.text(st.characters(codec="utf-8"), max_size=20))
    bits = 64 if datatype in LONGS else 32
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    is_null = draw(st.booleans())
    metric = Metric(
        name=draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)),
        alias=draw(st.none() | st.integers(0, 2**53)),
        time_ms=draw(st.none() | st.integers(0, 2**53)),
        datatype=datatype,
        is_historical=draw(st.booleans()),
        is_null=is_null,
        value=None if is_null else int(value) % (1 << bits) if is_whole else value,
        quality=draw(st.none() | st.sampled_from([0, 192, 500])),
    )
    return metric, value


def as_json(metric: Metric, value: Value) -> JsonObject:
    """Return a metric as the package wants it."""
    is_long = metric.datatype in LONGS and metric.datatype is not DataType.DATE_TIME
    given: JsonObject = {
        "name": metric.name,
        "type": NAMES[metric.datatype],
        "value": {"long": str(value)} if is_long else value,
        "alias": metric.alias,
        "timestamp": metric.time_ms,
        "isHistorical": metric.is_historical,
    }
    if metric.is_null:
        given["value"] = None
    if metric.quality is not None:
        given["properties"] = {"Quality": {"type": "Int32", "value": metric.quality}}
    return given


@pytest.fixture(scope="module")
def package() -> Iterator[SparkplugPackage]:
    with sparkplug_package() as package:
        yield package


@needs_node
@settings(deadline=None, max_examples=60)
@given(
    drawn=st.lists(metrics(), min_size=1, max_size=8),
    seq=st.none() | st.integers(0, 255),
    time_ms=st.integers(0, 2**53),
)
def test_both_sides_read_each_other(
    package: SparkplugPackage,
    drawn: list[tuple[Metric, Value]],
    seq: int | None,
    time_ms: int,
) -> None:
    """What the package encodes we decode to the same, and the other way round."""
    payload = Payload(time_ms=time_ms, seq=seq, metrics=tuple(metric for metric, _ in drawn))
    theirs: JsonObject = {
        "timestamp": time_ms,
        "seq": seq,
        "metrics": [as_json(metric, value) for metric, value in drawn],
    }
    decoded = decode_payload(package.encode(theirs))
    assert decoded == payload
    for metric, (_, value) in zip(decoded.metrics, drawn, strict=True):
        if not metric.is_null and metric.datatype.is_number:
            unit = 1000 if metric.datatype is DataType.DATE_TIME else 1
            assert number_of(metric.value, metric.datatype) == float(value) / unit
    read = package.decode(encode_payload(payload))
    assert int(read["timestamp"]) == time_ms
    for found, (metric, value) in zip(read["metrics"], drawn, strict=True):
        assert found["name"] == metric.name
        assert found["type"] == NAMES[metric.datatype]
        assert found.get("isHistorical", False) == metric.is_historical
        assert int(found.get("alias", -1)) == (-1 if metric.alias is None else metric.alias)
        assert means_the_same(found["value"], None if metric.is_null else value, metric.datatype)


def means_the_same(found: Value | None, value: Value | None, datatype: DataType) -> bool:
    if datatype is DataType.UINT32 and found is not None:
        # The package reads the upper half of UInt32 as negative.
        return int(found) % 2**32 == value
    if datatype in LONGS and found is not None:
        return int(found) == value
    if datatype in (DataType.FLOAT, DataType.DOUBLE) and found is not None:
        # A whole number comes without a point.
        return float(found) == value
    return found == value


@given(st.binary(max_size=80))
def test_any_bytes_are_a_payload_or_an_error(data: bytes) -> None:
    try:
        payload = decode_payload(data)
    except ValueError:
        return
    for metric in payload.metrics:
        assert isinstance(metric.name, str)
        if not metric.is_null and metric.datatype.is_number:
            try:
                number = number_of(metric.value, metric.datatype)
            except ValueError:
                continue
            assert isinstance(number, float)


@given(st.sampled_from([*RANGES, DataType.DOUBLE, DataType.FLOAT, DataType.BOOLEAN]), st.data())
def test_a_number_that_is_written_reads_as_itself(datatype: DataType, data: st.DataObject) -> None:
    """What the datatype cannot hold is refused instead."""
    number = data.draw(st.floats() | st.integers(-(2**70), 2**70).map(float))
    try:
        written = wire_value(number, datatype)
    except ValueError:
        low, high = RANGES.get(datatype, (-math.inf, math.inf))
        is_whole = math.isfinite(number) and number == int(number)
        is_time = datatype is DataType.DATE_TIME
        assert (
            not math.isfinite(number)
            or not low <= number * (1000 if is_time else 1) <= high
            or (datatype in RANGES and not is_whole)
            or (datatype is DataType.BOOLEAN and number not in (0, 1))
            or (datatype is DataType.FLOAT and abs(number) > 3.4e38)
        )
        return
    expected = number
    if datatype is DataType.DATE_TIME:
        assert number_of(written, datatype) == pytest.approx(expected, abs=0.0006)
        return
    assert number_of(written, datatype) == expected


@pytest.mark.parametrize("bits", [8, 32])
def test_a_negative_int8_is_read_whatever_its_width(bits: int) -> None:
    assert number_of(-3 % (1 << bits), DataType.INT8) == -3.0


def test_what_is_not_read_is_passed_over() -> None:
    """A template, a data set, metadata and unknown fields stand beside values that are read."""
    metric = encode_payload(Payload(metrics=(Metric(name="a", value=1.5),)))
    # Payload: an unknown field 15; a metric with metadata (8), properties (9) and a template (18).
    template = bytes([18 << 3 & 0x7F | 2 | 0x80, 1, 2, 0x08, 1])
    foreign = b"\x42\x00" + b"\x4a\x00" + template
    data = metric + b"\x78\x01" + b"\x12" + bytes([len(foreign)]) + foreign
    decoded = decode_payload(data)
    assert [each.value for each in decoded.metrics] == [1.5, None]
    assert not decoded.metrics[1].is_null


def test_text_that_is_not_utf8_is_an_error() -> None:
    data = encode_payload(Payload(metrics=(Metric(name="a", value="xyz"),)))
    for place in (b"a", b"xyz"):
        with pytest.raises(ValueError, match="no Sparkplug payload"):
            decode_payload(data.replace(place, b"\xff" * len(place)))


def test_float_values_are_single_precision() -> None:
    metric = Metric(name="a", datatype=DataType.FLOAT, value=0.1)
    [decoded] = decode_payload(encode_payload(Payload(metrics=(metric,)))).metrics
    assert decoded.value == struct.unpack("<f", struct.pack("<f", 0.1))[0]


@pytest.mark.parametrize(
    ("topic", "address"),
    [
        ("spBv1.0/G/NDATA/N", Address(group="G", verb=Verb.NDATA, edge_node="N")),
        ("spBv1.0/G/DDEATH/N/D", Address(group="G", verb=Verb.DDEATH, edge_node="N", device="D")),
        ("spBv1.0/STATE/host", None),
        ("spBv1.0/G/NDATA/N/D", None),
        ("spBv1.0/G/DDATA/N", None),
        ("spBv1.0/G/XDATA/N", None),
        ("spAv1.0/G/NDATA/N", None),
        ("spBv1.0/G/NDATA", None),
    ],
)
def test_topics(topic: str, address: Address | None) -> None:
    assert parse_topic(topic) == address
    if address is not None:
        assert address.topic == topic
