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

from connectors.opcua_decode import SHORT_RUNS_MAX, Notification, decode_publish_response, unix_ns
from connectors.opcua_library import decode_item, decode_response
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


NUMBERS = st.one_of(
    st.booleans().map(lambda value: variant(value, ua.VariantType.Boolean)),
    *(integers(kind, low, high) for kind, (low, high) in INTEGERS.items()),
    st.floats(width=32).map(lambda value: variant(value, ua.VariantType.Float)),
    st.floats().map(lambda value: variant(value, ua.VariantType.Double)),
)
OTHERS = st.one_of(
    st.text(max_size=20).map(lambda value: variant(value, ua.VariantType.String)),
    st.just(variant(None, ua.VariantType.Null)),
    st.just(variant(datetime(2026, 1, 2, tzinfo=UTC), ua.VariantType.DateTime)),
    st.lists(st.floats(width=32), max_size=4).map(
        lambda values: variant(values, ua.VariantType.Float)
    ),
    st.just(variant(b"raw", ua.VariantType.ByteString)),
    st.just(variant(ua.LocalizedText("on", "en"), ua.VariantType.LocalizedText)),
    st.just(variant(status_code(0x80000000), ua.VariantType.StatusCode)),
    st.just(variant(ua.EUInformation(), ua.VariantType.ExtensionObject)),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = st.one_of(
    st.none(),
    st.integers(-(10**15), 10**16).map(lambda us: EPOCH + timedelta(microseconds=us)),
)
STATUSES = st.sampled_from([None, 0, 0x0000_0480, 0x4094_0000, 0x8000_0000, 0x808C_0000])
MESSAGES_MAX = 40


@st.composite
def items(draw: st.DrawFn, values: st.SearchStrategy[ua.Variant]) -> ua.MonitoredItemNotification:
    """Draw one item; picoseconds only where asyncua puts them in their place."""
    server = draw(TIMES)
    value = data_value(
        draw(values),
        status=draw(STATUSES),
        source=draw(TIMES),
        server=server,
        source_pico=draw(st.none() | st.integers(0, 9999)) if server is None else None,
        server_pico=draw(st.none() | st.integers(0, 9999)),
    )
    return item(draw(st.integers(0, 2**32 - 1)), value)


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
        np.testing.assert_array_equal(our.handles, their.handles)
        np.testing.assert_array_equal(our.value, their.value)
        np.testing.assert_array_equal(our.status, their.status)
        # The library cuts times to microseconds; what it writes has no finer ones.
        np.testing.assert_array_equal(our.source_ns, their.source_ns)
        np.testing.assert_array_equal(our.server_ns, their.server_ns)


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
