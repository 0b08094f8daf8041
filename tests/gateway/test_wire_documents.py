"""Documents and batches come back equal, and foreign bytes are refused."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.commands import Command, CommandId, CommandOrigin, CommandState
from gateway.core.errors import CorruptRecordError
from gateway.core.events import Event, Evidence, Transition
from gateway.core.ports import Batch
from gateway.core.records import Boot, LedgerEntry, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.wire.batches import decode_batch, encode_batch
from gateway.wire.body import close_body, open_version
from gateway.wire.documents import (
    decode_command,
    decode_event,
    decode_ledger_entry,
    decode_tags,
    draft_command,
    draft_event,
    draft_ledger_entry,
    encode_command,
    encode_event,
    encode_ledger_entry,
    encode_tags,
)

EVENT = Event(
    time_ns=1_760_000_000_000_000_000,
    source="P-101",
    condition="filter_clogged",
    severity=700,
    transition=Transition.RAISED,
    text="Der Filter ist verstopft: 0,8 bar über dem Sollwert",
    onset_ns=1_759_999_000_000_000_000,
    evidence=(
        Evidence(name="filter_dp_bar", value=1.2, expected=0.4, share=0.6, unit="bar"),
        Evidence(name="flow_m3h", value=math.inf),
    ),
)
COMMAND = Command(
    id=CommandId("c-1"),
    tag=TagId("pumps.P101.Speed"),
    value=1450.0,
    deadline_ns=2,
    origin=CommandOrigin.PERSON,
    operator="shift 2",
    state=CommandState.SUCCESSFUL,
    read_back=1449.5,
)
ENTRY = LedgerEntry(
    reason=LedgerReason.RETENTION,
    source="pumps",
    from_ns=1,
    to_ns=2,
    count=17,
    tags=(TagId("pumps.P101.Flow"),),
)
TABLE = TagTable.build(
    [
        Tag(id=TagId("pumps.P101.Flow"), unit="m3/h", low=0.0, high=120.0, scale=0.1),
        Tag(id=TagId("P-101.health"), is_derived=True),
    ],
    epoch=ConfigEpoch(4),
)
BATCH = Batch(
    gateway="pumphouse-1",
    records=(
        Record(boot=Boot(2), seq=Seq(9), kind=RecordKind.EVENT, body=encode_event(EVENT)),
        Record(boot=Boot(2), seq=Seq(12), kind=RecordKind.LEDGER, body=encode_ledger_entry(ENTRY)),
    ),
    tables=(TABLE,),
)


def test_documents_come_back_equal() -> None:
    assert decode_event(encode_event(EVENT)) == EVENT
    assert decode_command(encode_command(COMMAND)) == COMMAND
    assert decode_ledger_entry(encode_ledger_entry(ENTRY)) == ENTRY
    table = decode_tags(encode_tags(TABLE))
    assert (table.epoch, table.tags) == (TABLE.epoch, TABLE.tags)


def test_a_thinning_says_its_error_and_older_entries_have_none() -> None:
    thinned = replace(ENTRY, reason=LedgerReason.THINNED, error_percent=0.5)
    assert decode_ledger_entry(encode_ledger_entry(thinned)) == thinned
    document = b'{"reason":"retention","source":"*","from_ns":1,"to_ns":2,"count":3,"tags":[]}'
    assert decode_ledger_entry(close_body(document, version=1)).error_percent is None


def test_evidence_without_a_number_comes_back() -> None:
    event = Event(
        time_ns=1,
        source="P-101",
        condition="x",
        severity=1,
        text="",
        evidence=(Evidence(name="flow_m3h", value=math.nan),),
    )
    assert math.isnan(decode_event(encode_event(event)).evidence[0].value)


def test_only_events_and_commands_are_urgent() -> None:
    drafts = (draft_event(EVENT), draft_command(COMMAND, time_ns=1), draft_ledger_entry(ENTRY))
    assert [draft.is_urgent for draft in drafts] == [True, True, False]
    assert [draft.kind for draft in drafts] == [
        RecordKind.EVENT,
        RecordKind.COMMAND,
        RecordKind.LEDGER,
    ]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[]", b"null", b"\xff", b'{"severity":0}', b"[" * 100_000],
)
def test_what_is_not_the_document_is_refused(payload: bytes) -> None:
    body = close_body(payload, version=1)
    for decode in (decode_event, decode_command, decode_ledger_entry, decode_tags):
        with pytest.raises(CorruptRecordError):
            decode(body)


def test_an_event_beyond_its_range_is_refused() -> None:
    payload = b'{"time_ns":1,"source":"a","condition":"b","severity":1001,"text":""}'
    with pytest.raises(CorruptRecordError, match="event"):
        decode_event(close_body(payload, version=1))


def test_a_tag_table_with_a_repetition_is_refused() -> None:
    payload = b'{"epoch":1,"tags":[{"id":"a"},{"id":"a"}]}'
    with pytest.raises(CorruptRecordError, match="twice"):
        decode_tags(close_body(payload, version=1))


def test_a_batch_comes_back_equal() -> None:
    found = decode_batch(encode_batch(BATCH))
    assert (found.gateway, found.records) == (BATCH.gateway, BATCH.records)
    assert [table.tags for table in found.tables] == [TABLE.tags]


def test_a_batch_out_of_order_or_empty_is_refused() -> None:
    backwards = Batch(gateway="g", records=BATCH.records[::-1], tables=())
    empty = Batch(gateway="g", records=(), tables=())
    twice = Batch(gateway="g", records=BATCH.records, tables=(TABLE, TABLE))
    for batch in (backwards, empty, twice):
        with pytest.raises(CorruptRecordError):
            decode_batch(encode_batch(batch))


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_foreign_batches_are_refused(data: bytes) -> None:
    for foreign in (data, b"EWB" + data, b"EWB" + close_body(data, version=1)):
        with pytest.raises(CorruptRecordError):
            decode_batch(foreign)


@given(st.integers(0, 10**6), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_changed_batch_under_a_valid_sum_is_refused_or_harmless(place: int, change: int) -> None:
    payload = bytearray(encode_batch(BATCH)[4:-4])
    payload[place % len(payload)] ^= change
    try:
        decode_batch(b"EWB" + close_body(bytes(payload), version=1))
    except CorruptRecordError:
        return


LATER = (
    Transition.RESET,
    Transition.SUPPRESSED,
    Transition.UNSUPPRESSED,
    Transition.OUT_OF_SERVICE,
    Transition.IN_SERVICE,
    Transition.CHATTERING,
    Transition.CALMED,
)


@pytest.mark.parametrize("transition", Transition)
def test_every_transition_comes_back(transition: Transition) -> None:
    event = replace(
        EVENT, transition=transition, reason="why", is_quiet=True, group="trip", group_order=3
    )
    assert event == decode_event(encode_event(event))


@pytest.mark.parametrize("transition", LATER)
def test_an_older_reader_takes_a_later_transition_for_a_message(transition: Transition) -> None:
    """It knows six transitions, and ignores fields that it does not know."""
    body = encode_event(replace(EVENT, transition=transition))
    document = json.loads(open_version(body, 1, what="event"))
    assert document["transition"] == "noted"
    assert document["step"] == transition.value


def test_a_transition_of_the_future_is_a_message() -> None:
    document = json.loads(open_version(encode_event(EVENT), 1, what="event"))
    document |= {"transition": "noted", "step": "of_the_future"}
    body = close_body(json.dumps(document).encode(), version=1)
    assert decode_event(body) == replace(EVENT, transition=Transition.NOTED)


def test_an_event_of_the_version_before_is_as_long_as_it_was() -> None:
    document = json.loads(open_version(encode_event(EVENT), 1, what="event"))
    assert not {"reason", "is_quiet", "group", "group_order", "step"} & document.keys()
