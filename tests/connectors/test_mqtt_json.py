"""Readings out of JSON messages, against naive references."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mqtt.json_message import (
    Flaw,
    JsonValue,
    Places,
    Pointer,
    QualityNumbers,
    Reading,
    TextNumbers,
    TimeFormat,
    parse_payload,
    parse_pointer,
    pointer_text,
    read_places,
    read_quality,
    read_time,
    resolve,
)
from gateway.core.quality import Status

PLAIN = Places(
    value=(),
    time=None,
    time_format=TimeFormat.ISO8601,
    quality=None,
    text_numbers=TextNumbers.REFUSE,
    quality_numbers=QualityNumbers.OPC_UA,
)

DOCUMENTS: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def paths_in(document: JsonValue) -> list[tuple[Pointer, JsonValue]]:
    """Return every path in a document with what stands there: the naive way."""
    found: list[tuple[Pointer, JsonValue]] = [((), document)]
    if isinstance(document, dict):
        for name, inner in document.items():
            found += [((name, *rest), value) for rest, value in paths_in(inner)]
    if isinstance(document, list):
        for index, inner in enumerate(document):
            found += [((str(index), *rest), value) for rest, value in paths_in(inner)]
    return found


@given(DOCUMENTS)
def test_every_path_leads_to_what_stands_there(document: JsonValue) -> None:
    """Also by way of its written form."""
    for pointer, value in paths_in(document):
        written = parse_pointer(pointer_text(pointer))
        assert written == pointer
        assert resolve(document, written) is value


@given(DOCUMENTS, st.lists(st.text(), max_size=3))
def test_other_paths_lead_nowhere(document: JsonValue, names: list[str]) -> None:
    known = dict(paths_in(document))
    pointer = tuple(names)
    if pointer not in known:
        with pytest.raises(LookupError, match="the message has no"):
            resolve(document, pointer)


def test_the_examples_of_the_standard() -> None:
    """RFC 6901, section 5."""
    document: JsonValue = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, " ": 7}
    examples = {"/foo/0": "bar", "/": 0, "/a~1b": 1, "/m~0n": 8, "/ ": 7, "": document}
    for text, value in examples.items():
        assert resolve(document, parse_pointer(text)) == value
    for wrong in ("foo", "/a~2b", "/a~"):
        with pytest.raises(ValueError, match="no JSON Pointer"):
            parse_pointer(wrong)
    for leads_nowhere in ("/foo/01", "/foo/-", "/foo/2", "/foo/-1"):
        with pytest.raises(LookupError):
            resolve(document, parse_pointer(leads_nowhere))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_number_or_a_flaw(payload: bytes) -> None:
    """What is read is what a strict reading of the text as a number says."""
    document = parse_payload(payload)
    reading = document if isinstance(document, Flaw) else read_places(document, PLAIN)
    if isinstance(reading, Reading):
        text = payload.decode().strip()
        assert reading.value == {"true": 1.0, "false": 0.0}.get(text, reading.value)
        assert text in ("true", "false") or float(text) == reading.value
        assert math.isfinite(reading.value)


@given(DOCUMENTS)
def test_only_numbers_and_booleans_are_values(document: JsonValue) -> None:
    reading = read_places(document, PLAIN)
    if not isinstance(document, bool | int | float):
        assert isinstance(reading, Flaw)
        assert reading.status == Status.BAD_TYPE_MISMATCH
    elif not -1.8e308 < document < 1.8e308:
        assert isinstance(reading, Flaw)
        assert reading.status == Status.BAD_OUT_OF_RANGE
    else:
        assert isinstance(reading, Reading)
        assert reading.value == float(document)


@pytest.mark.parametrize("text", ["NaN", "[1", '"', "", "1,5", "Infinity", "[" * 100_000])
def test_what_is_no_json_is_a_flaw_of_the_message(text: str) -> None:
    flaw = parse_payload(text.encode())
    assert isinstance(flaw, Flaw)
    assert flaw.status == Status.BAD_DECODING_ERROR
    assert len(flaw.reason) < 300


def test_text_is_a_number_only_where_that_is_asked_for() -> None:
    accepting = Places(
        value=(),
        time=None,
        time_format=TimeFormat.ISO8601,
        quality=None,
        text_numbers=TextNumbers.ACCEPT,
        quality_numbers=QualityNumbers.OPC_UA,
    )
    assert isinstance(read_places("12.5", PLAIN), Flaw)
    assert read_places("12.5", accepting) == Reading(value=12.5, status=0, time_ns=None)
    assert isinstance(read_places("12,5", accepting), Flaw)
    assert isinstance(read_places("nan", accepting), Flaw)


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2262, 1, 1)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_times_are_exact_to_the_microsecond(naive: datetime, offset_min: int) -> None:
    zone = timezone(timedelta(minutes=offset_min))
    moment = naive.replace(tzinfo=zone)
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert read_time(moment.isoformat(), TimeFormat.ISO8601) == microseconds * 1000
    assert read_time(microseconds, TimeFormat.US) == microseconds * 1000
    assert read_time(naive.isoformat(), TimeFormat.ISO8601) == read_time(
        naive.isoformat() + "Z", TimeFormat.ISO8601
    )


@pytest.mark.parametrize(
    ("found", "time_format"),
    [
        (1_767_225_600, TimeFormat.ISO8601),
        ("1767225600", TimeFormat.S),
        (True, TimeFormat.S),
        (-1, TimeFormat.S),
        (0, TimeFormat.NS),
        (1e308, TimeFormat.S),
        (10**30, TimeFormat.NS),
        ("yesterday", TimeFormat.ISO8601),
        (None, TimeFormat.MS),
    ],
)
def test_a_time_that_is_none_costs_only_the_time(found: JsonValue, time_format: TimeFormat) -> None:
    with pytest.raises(ValueError, match="the time"):
        read_time(found, time_format)
    places = Places(
        value=("v",),
        time=("t",),
        time_format=time_format,
        quality=None,
        text_numbers=TextNumbers.REFUSE,
        quality_numbers=QualityNumbers.OPC_UA,
    )
    reading = read_places({"v": 1.5, "t": found}, places)
    assert isinstance(reading, Reading)
    assert (reading.value, reading.time_ns) == (1.5, None)
    assert "the time" in reading.time_flaw


def test_qualities() -> None:
    ua, da = QualityNumbers.OPC_UA, QualityNumbers.OPC_DA
    assert read_quality(True, ua) == read_quality("Good", da) == read_quality(0, ua) == 0
    assert read_quality(192, da) == read_quality(216, da) == Status.GOOD
    assert read_quality(64, da) == read_quality("uncertain", ua) == Status.UNCERTAIN
    assert read_quality(0, da) == read_quality("BAD", ua) == read_quality(False, ua) == Status.BAD
    assert read_quality(0x408F0000, ua) == 0x408F0000
    for wrong in (-1, 256, 1.5, None, "so so"):
        with pytest.raises(ValueError, match="is no quality"):
            read_quality(wrong, da)


def test_a_bad_reading_needs_no_value() -> None:
    """The device says so itself: that is received, not a mistake."""
    places = Places(
        value=("v",),
        time=None,
        time_format=TimeFormat.ISO8601,
        quality=("q",),
        text_numbers=TextNumbers.REFUSE,
        quality_numbers=QualityNumbers.OPC_UA,
    )
    reading = read_places({"v": None, "q": "bad"}, places)
    assert isinstance(reading, Reading)
    assert math.isnan(reading.value)
    assert reading.status == Status.BAD
    assert isinstance(read_places({"v": None, "q": "good"}, places), Flaw)


def test_numbers_beyond_what_a_float_holds_are_rounded() -> None:
    document = parse_payload(json.dumps(2**53 + 1).encode())
    assert not isinstance(document, Flaw)
    assert read_places(document, PLAIN) == Reading(value=2.0**53, status=0, time_ns=None)
