"""Our columns against asyncua's own decoder, over whatever a server may send."""

import contextlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.opcua.decode import (
    Notification,
    decode_publish_response,
    decode_read_response,
)
from connectors.opcua.items import SHORT_RUNS_MAX, Changes, unix_ns, unix_s
from connectors.opcua.library import decode_item, decode_read, decode_response, decode_value
from gateway.core.quality import Status
from tests.connectors.ua_values import data_value, item, status_code, variant

INTEGERS = {
    ua.VariantType.SByte: (-(2**7), 2**7 - 1),
    ua.VariantType.Byte: (0, 2**8 - 1),
    ua.VariantType.Int16: (-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: (0, 2**16 - 1),
    ua.VariantType.Int32: (-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: (0, 2**32 - 1),
    ua.VariantType.Int64: (-(2**63), 2**63 - 1),
    ua.VariantType.UInt64: (0, 2**64 - 1),
}


def integers(kind: ua.VariantType, low: int, high: int) -> st.SearchStrategy[ua.Variant]:
    return st.integers(low, high).map(lambda value: variant(value, kind))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_S = 86_400
DATES = st.integers(-400 * 365 * DAY_S * 10**6, 400 * 365 * DAY_S * 10**6).map(
    lambda us: EPOCH + timedelta(microseconds=us)
)
NUMBERS = st.one_of(
    DATES.map(lambda value: variant(value, ua.VariantType.DateTime)),
    st.booleans().map(lambda value: variant(value, ua.VariantType.Boolean)),
    *(integers(kind, low, high) for kind, (low, high) in INTEGERS.items()),
    st.floats(width=32).map(lambda value: variant(value, ua.VariantType.Float)),
    st.floats().map(lambda value: variant(value, ua.VariantType.Double)),
)
OTHERS = st.one_of(
    st.text(max_size=20).map(lambda value: variant(value, ua.VariantType.String)),
    st.just(variant(None, ua.VariantType.Null)),
    st.just(variant(None, ua.VariantType.String)),
    st.just(variant(["a", "b"], ua.VariantType.String)),
    st.just(variant([], ua.VariantType.Double)),
    st.lists(st.floats(width=32), max_size=4).map(
        lambda values: variant(values, ua.VariantType.Float)
    ),
    st.just(variant(b"raw", ua.VariantType.ByteString)),
    st.just(variant(ua.LocalizedText("on", "en"), ua.VariantType.LocalizedText)),
    st.just(variant(status_code(0x80000000), ua.VariantType.StatusCode)),
    st.just(variant(ua.EUInformation(), ua.VariantType.ExtensionObject)),
)
TIMES = st.one_of(
    st.none(),
    st.integers(-(10**15), 10**16).map(lambda us: EPOCH + timedelta(microseconds=us)),
)
STATUSES = st.sampled_from([None, 0, 0x0000_0480, 0x4094_0000, 0x8000_0000, 0x808C_0000])
MESSAGES_MAX = 40


@st.composite
def data_values(draw: st.DrawFn, values: st.SearchStrategy[ua.Variant]) -> ua.DataValue:
    """Draw one value; picoseconds only where asyncua puts them in their place."""
    server = draw(TIMES)
    return data_value(
        draw(values),
        status=draw(STATUSES),
        source=draw(TIMES),
        server=server,
        source_pico=draw(st.none() | st.integers(0, 9999)) if server is None else None,
        server_pico=draw(st.none() | st.integers(0, 9999)),
    )


@st.composite
def items(draw: st.DrawFn, values: st.SearchStrategy[ua.Variant]) -> ua.MonitoredItemNotification:
    """Draw one item of a notification."""
    return item(draw(st.integers(0, 2**32 - 1)), draw(data_values(values)))


def response(notifications: Sequence[Sequence[ua.MonitoredItemNotification]]) -> bytes:
    """Return a publish response as asyncua's server writes it."""
    message = ua.PublishResponse()
    message.Parameters.SubscriptionId = 77
    message.Parameters.AvailableSequenceNumbers = [1, 2, 3]
    message.Parameters.NotificationMessage.SequenceNumber = 5
    message.Parameters.NotificationMessage.NotificationData = [
        ua.DataChangeNotification(list(one)) for one in notifications
    ]
    return bytes(struct_to_binary(message))


def assert_equal(ours: Notification | None, theirs: Notification) -> None:
    assert ours is not None
    assert ours.subscription == theirs.subscription
    assert ours.sequence == theirs.sequence
    assert ours.closed_status == theirs.closed_status
    assert len(ours.changes) == len(theirs.changes)
    for our, their in zip(ours.changes, theirs.changes, strict=True):
        assert_same(our, their)


def assert_same(ours: Changes, theirs: Changes) -> None:
    np.testing.assert_array_equal(ours.handles, theirs.handles)
    np.testing.assert_array_equal(ours.value, theirs.value)
    np.testing.assert_array_equal(ours.status, theirs.status)
    # The library cuts times to microseconds; what it writes has no finer ones.
    np.testing.assert_array_equal(ours.source_ns, theirs.source_ns)
    np.testing.assert_array_equal(ours.server_ns, theirs.server_ns)
    assert str(sorted(ours.others.items())) == str(sorted(theirs.others.items()))


def read_response(values: Sequence[ua.DataValue]) -> bytes:
    """Return a read response as asyncua's server writes it."""
    message = ua.ReadResponse()
    message.Results = list(values)
    return bytes(struct_to_binary(message))


@settings(deadline=None)
@given(st.lists(st.lists(items(NUMBERS), max_size=MESSAGES_MAX), max_size=3))
def test_numbers_are_those_of_the_library(
    drawn: list[list[ua.MonitoredItemNotification]],
) -> None:
    body = response(drawn)
    ours = decode_publish_response(body, decode_item=decode_item)
    assert_equal(ours, decode_response(body))


@settings(deadline=None)
@given(st.lists(items(NUMBERS | OTHERS), max_size=MESSAGES_MAX))
def test_other_values_are_bad_and_in_their_place(
    drawn: list[ua.MonitoredItemNotification],
) -> None:
    body = response([drawn])
    ours = decode_publish_response(body, decode_item=decode_item)
    assert_equal(ours, decode_response(body))


@settings(deadline=None)
@given(st.lists(items(NUMBERS | OTHERS), max_size=6), st.data())
def test_a_cut_message_is_an_error(
    drawn: list[ua.MonitoredItemNotification], data: st.DataObject
) -> None:
    """However it is cut, and wherever a byte is wrong: a value or an error, nothing else."""
    body = response([drawn])
    end = data.draw(st.integers(4, len(body) - 1))
    for damaged in (body[:end], body[:end] + b"\xff" + body[end + 1 :]):
        with contextlib.suppress(ValueError):
            decode_publish_response(damaged, decode_item=decode_item)


@pytest.mark.parametrize("run", [1, 3, 63, 64, 500])
def test_runs_of_any_length(run: int) -> None:
    """Layouts that alternate: by views, and by the loop once short runs pile up."""
    time = datetime(2026, 5, 6, tzinfo=UTC)
    mixed = [
        item(number, data_value(number, source=time if number // run % 2 else None))
        for number in range(max(4 * SHORT_RUNS_MAX * min(run, 4), 3 * run))
    ]
    body = response([mixed])
    ours = decode_publish_response(body, decode_item=decode_item)
    assert_equal(ours, decode_response(body))


def test_picoseconds_stand_behind_their_own_time() -> None:
    """OPC 10000-6, 5.2.2.17, table 26; written by hand, since asyncua has another order."""
    steps = 133_000_000_000_000_000
    item = struct.pack("<IBBdqHqH", 9, 0b0011_1101, 11, 2.5, steps, 7, steps + 10, 8)
    data = struct.pack("<i", 1) + item + struct.pack("<i", -1)
    body = response([[]])
    empty = struct.pack("<ii", 0, 0)
    assert body.count(struct.pack("<i", 8) + empty) == 1
    body = body.replace(struct.pack("<i", 8) + empty, struct.pack("<i", len(data)) + data)
    ours = decode_publish_response(body, decode_item=decode_item)
    assert ours is not None
    [changes] = ours.changes
    assert changes.value.tolist() == [2.5]
    assert changes.source_ns.tolist() == [(steps - 116_444_736_000_000_000) * 100]
    assert changes.server_ns.tolist() == [(steps + 10 - 116_444_736_000_000_000) * 100]


def test_a_keep_alive_and_a_closed_subscription() -> None:
    keep_alive = decode_publish_response(response([]), decode_item=decode_item)
    assert keep_alive is not None
    assert keep_alive.is_keep_alive
    message = ua.PublishResponse()
    message.Parameters.NotificationMessage.NotificationData = [
        ua.StatusChangeNotification(status_code(0x800A_0000))
    ]
    body = bytes(struct_to_binary(message))
    closed = decode_publish_response(body, decode_item=decode_item)
    assert closed is not None
    assert closed.closed_status == 0x800A_0000
    assert not closed.is_keep_alive
    assert_equal(closed, decode_response(body))


def test_unusual_messages_are_left_to_the_library() -> None:
    message = ua.PublishResponse()
    message.Parameters.NotificationMessage.NotificationData = [ua.EventNotificationList()]
    body = bytes(struct_to_binary(message))
    assert decode_publish_response(body, decode_item=decode_item) is None
    assert decode_response(body).changes == ()


def test_a_lie_about_the_count_allocates_nothing() -> None:
    body = response([[item(1, data_value(1.0))]])
    liar = body.replace(struct.pack("<iI", 1, 1), struct.pack("<iI", 2**31 - 1, 1))
    assert liar != body
    with pytest.raises(ValueError, match="items in"):
        decode_publish_response(liar, decode_item=decode_item)


def test_times_outside_of_nanoseconds_are_missing() -> None:
    year = timedelta(days=366) // timedelta(microseconds=1) * 10
    first = 116_444_736_000_000_000
    times = np.array([0, first - year, first, first + year, 2**63 - 1], dtype=np.int64)
    assert unix_ns(times).tolist() == [0, 0, 0, year * 100, 0]


def test_not_a_number_is_out_of_range() -> None:
    values = [float("nan"), float("inf"), 1.0]
    body = response([[item(number, data_value(value)) for number, value in enumerate(values)]])
    ours = decode_publish_response(body, decode_item=decode_item)
    assert ours is not None
    [changes] = ours.changes
    assert changes.status.tolist() == [Status.BAD_OUT_OF_RANGE, Status.BAD_OUT_OF_RANGE, 0]
    assert np.isnan(changes.value).tolist() == [True, True, False]


@settings(deadline=None)
@given(st.lists(data_values(NUMBERS | OTHERS), max_size=MESSAGES_MAX))
def test_reads_are_those_of_the_library(drawn: list[ua.DataValue]) -> None:
    body = read_response(drawn)
    ours = decode_read_response(body, decode_item=decode_value)
    assert ours is not None
    assert ours.handles.tolist() == list(range(len(drawn)))
    assert_same(ours, decode_read(body))


@settings(deadline=None)
@given(st.lists(data_values(NUMBERS | OTHERS), min_size=1, max_size=6), st.data())
def test_a_cut_read_is_an_error(drawn: list[ua.DataValue], data: st.DataObject) -> None:
    """However it is cut it is refused: no value is made of half a message."""
    body = read_response(drawn)
    end = data.draw(st.integers(4, len(body) - 1))
    with pytest.raises(ValueError, match=r"cut short|items|ends at|cannot read"):
        decode_or_refuse(body[:end])


def decode_or_refuse(body: bytes) -> None:
    """Decode a read as the client does: what is unusual goes to the library."""
    if decode_read_response(body, decode_item=decode_value) is None:
        decode_read(body)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_values_or_an_error(tail: bytes) -> None:
    """Behind a sound header anything may come; it ends, and never with another exception."""
    head = read_response([])[:-8]
    with contextlib.suppress(ValueError):
        decode_read_response(head + tail, decode_item=decode_value)


@pytest.mark.parametrize("run", [1, 64, 500])
def test_reads_with_runs_of_any_length(run: int) -> None:
    """Layouts that alternate, times among them: by views, and by the loop."""
    time = datetime(2026, 5, 6, 7, tzinfo=UTC)
    kinds = (variant(time, ua.VariantType.DateTime), variant(3.5, ua.VariantType.Double))
    values = [data_value(kinds[number // run % 2], source=time) for number in range(4 * run + 99)]
    body = read_response(values)
    ours = decode_read_response(body, decode_item=decode_value)
    assert ours is not None
    assert_same(ours, decode_read(body))
    assert set(ours.value) == {3.5, time.timestamp()}


def test_picoseconds_of_a_read_stand_behind_their_own_time() -> None:
    """OPC 10000-6, 5.2.2.17, table 26, as above, without a handle."""
    steps = 133_000_000_000_000_000
    value = struct.pack("<BBdqHqH", 0b0011_1101, 11, 2.5, steps, 7, steps + 10, 8)
    body = read_response([])[:-8] + struct.pack("<i", 2) + value * 2 + struct.pack("<i", -1)
    ours = decode_read_response(body, decode_item=decode_value)
    assert ours is not None
    assert ours.value.tolist() == [2.5, 2.5]
    assert ours.server_ns.tolist() == [(steps + 10 - 116_444_736_000_000_000) * 100] * 2


def test_a_lie_about_the_count_of_a_read_allocates_nothing() -> None:
    body = read_response([])[:-8] + struct.pack("<ii", 2**31 - 1, -1)
    with pytest.raises(ValueError, match="items in"):
        decode_read_response(body, decode_item=decode_value)


def test_what_is_no_number_is_named() -> None:
    values = [
        variant("on", ua.VariantType.String),
        variant(ua.LocalizedText("auf", "de"), ua.VariantType.LocalizedText),
        variant([1.0, 2.0], ua.VariantType.Float),
        variant(ua.EUInformation(), ua.VariantType.ExtensionObject),
        variant(b"raw", ua.VariantType.ByteString),
        variant(None, ua.VariantType.Null),
    ]
    body = read_response([data_value(value) for value in values])
    ours = decode_read_response(body, decode_item=decode_value)
    assert ours is not None
    assert [other.what for other in ours.others.values()] == [
        "text",
        "text",
        "an array of 2 Float",
        "a structure",
        "raw bytes",
    ]
    assert [ours.others[place].text for place in (0, 1)] == ["on", "auf"]
    assert ours.others[2].numbers == (1.0, 2.0)
    assert (ours.status == Status.BAD_TYPE_MISMATCH).all()


def test_dates_are_seconds_since_1970() -> None:
    first = 116_444_736_000_000_000
    times = np.array([0, -5, first, first - 10**7, first + 15_000_000, 2**63 - 1], dtype=np.int64)
    np.testing.assert_array_equal(unix_s(times), [np.nan, np.nan, 0.0, -1.0, 1.5, np.nan])
