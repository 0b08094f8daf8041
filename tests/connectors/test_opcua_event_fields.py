"""The fields of an event as the library gives them, also when they are not what was asked for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.event_fields import event_filter, server_event
from tests.connectors.ua_values import variant

COUNT = len(event_filter().SelectClauses)
TIME = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
TIME_NS = int(TIME.timestamp()) * 1_000_000_000 + 890_000_000


def fields(time: datetime = TIME) -> list[ua.Variant]:
    kind = ua.VariantType
    return [
        variant(b"id", kind.ByteString),
        variant(ua.NodeId.from_string("i=2041"), kind.NodeId),
        variant("P101", kind.String),
        variant(time, kind.DateTime),
        variant(ua.LocalizedText("High"), kind.LocalizedText),
        variant(700, kind.UInt16),
        variant("Level", kind.String),
        variant(True, kind.Boolean),
        variant(False, kind.Boolean),
        variant(True, kind.Boolean),
        variant(ua.NodeId(), kind.NodeId),
        variant("anna", kind.String),
        variant(ua.NodeId.from_string("ns=1;s=alarm"), kind.NodeId),
    ]


def test_every_field_that_is_asked_for_is_read() -> None:
    event = server_event(3, fields())
    assert len(fields()) == COUNT
    assert (event.handle, event.id, event.type, event.source) == (3, b"id", "i=2041", "P101")
    assert (event.time_ns, event.text, event.severity) == (TIME_NS, "High", 700)
    assert (event.condition, event.condition_id) == ("Level", "ns=1;s=alarm")
    assert (event.is_active, event.is_acknowledged, event.is_retained) == (True, False, True)
    assert (event.is_branch, event.operator) == (False, "anna")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (TIME, TIME_NS),
        (TIME.replace(tzinfo=None), TIME_NS),
        (TIME.replace(tzinfo=timezone(timedelta(hours=2))), TIME_NS - 7200 * 1_000_000_000),
        (datetime(1601, 1, 1, tzinfo=UTC), 0),
        (datetime(9999, 12, 31, tzinfo=UTC), 0),
    ],
)
def test_times_are_utc_and_far_ones_are_none(time: datetime, expected: int) -> None:
    assert server_event(0, fields(time)).time_ns == expected


@given(st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1))), st.data())
def test_a_server_may_answer_anything(swaps: list[tuple[int, int]], data: st.DataObject) -> None:
    """Fields in other places, of other kinds, missing or too many: read as far as they fit."""
    given_ = fields()
    for one, other in swaps:
        given_[one], given_[other] = given_[other], given_[one]
    count = data.draw(st.integers(0, COUNT))
    event = server_event(0, [*given_[:count], *data.draw(st.just([ua.Variant()] * 2))])
    assert isinstance(event.severity, int)
    assert event.is_active in (True, False, None)
    assert event.time_ns in (0, TIME_NS)
