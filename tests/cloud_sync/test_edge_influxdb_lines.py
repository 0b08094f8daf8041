"""Line protocol: every text and number comes back from an independent parser, each point once."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.edge.influxdb_lines import (
    BatchLines,
    SampleLines,
    Schema,
    apart,
    command_line,
    escaped,
    event_line,
    ledger_line,
    quoted,
)
from gateway.core.arrays import frozen, index_column, status_column, time_column
from gateway.core.commands import Command, CommandId, CommandOrigin, CommandState
from gateway.core.errors import CorruptRecordError
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame
from gateway.core.ports import Batch
from gateway.core.quality import Status
from gateway.core.records import Boot, LedgerEntry, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.wire.documents import encode_event, encode_ledger_entry, encode_tags
from gateway.wire.frames import StoredFrame, encode_block, encode_frame
from tests.naive.line_protocol import Point, parse, parse_line

SCHEMA = Schema(gateway="pumphouse-1", tags={"site": "ulm"})
TABLE = TagTable.build(
    [
        Tag(id=TagId("pumps.flow"), unit="m3/h"),
        Tag(id=TagId("pumps.state")),
        Tag(id=TagId("P-101.health"), is_derived=True),
    ],
    epoch=ConfigEpoch(1),
)
T_NS = 1_700_000_000_123_456_789

texts = st.text(max_size=20)
nasty_texts = st.text(alphabet='a\\ ,="\n\r\tπ/\x00', max_size=8)
values = st.floats(allow_nan=True, allow_infinity=True)
times = st.integers(-(1 << 62), 1 << 62)


def frame_of(samples: Sequence[tuple[int, int, float, int]], *, is_received: bool = True) -> Frame:
    """Return a frame of (position, time, value, status)."""
    return Frame(
        tag_index=index_column([sample[0] for sample in samples]),
        time_ns=time_column([sample[1] for sample in samples]),
        value=frozen(np.array([sample[2] for sample in samples], dtype=np.float64)),
        status=status_column([sample[3] for sample in samples]),
        received_ns=T_NS,
        is_received=is_received,
    )


def points_of(frame: Frame, schema: Schema = SCHEMA) -> list[Point]:
    return [parse_line(line) for line in SampleLines(schema).of(frame, TABLE)]


def test_a_sample_is_one_point_with_value_quality_and_status() -> None:
    (line,) = SampleLines(SCHEMA).of(frame_of([(0, T_NS, 21.5, 0)]), TABLE)
    assert line == (
        "edgewright,gateway=pumphouse-1,kind=measured,site=ulm,tag=pumps.flow,unit=m3/h"
        " value=21.5,quality=0i,status=0i 1700000000123456789"
    )


def test_an_unknown_unit_is_left_out_and_a_derived_tag_says_so() -> None:
    state, health = points_of(frame_of([(1, T_NS, 1.0, 0), (2, T_NS, 0.5, 0)]))
    assert "unit" not in state.tags
    assert (state.tags["kind"], health.tags["kind"]) == ("measured", "derived")


def test_a_bad_sample_without_a_number_has_quality_and_status_only() -> None:
    bad = int(Status.BAD_NO_COMMUNICATION)
    lost, odd = points_of(frame_of([(0, T_NS, math.nan, bad), (1, T_NS, 7.0, bad)]))
    assert lost.fields == {"quality": 2, "status": 0x8031_0000}
    assert odd.fields == {"value": 7.0, "quality": 2, "status": 0x8031_0000}


@given(st.lists(st.tuples(st.integers(0, 2), times, values, st.integers(0, (1 << 32) - 1))))
def test_every_sample_comes_back_from_the_text(
    samples: list[tuple[int, int, float, int]],
) -> None:
    """Values bit for bit where they are finite; quality and status always; no point hides one."""
    points = points_of(frame_of(samples))
    assert len(points) == len(samples)
    assert len({point.identity for point in points}) == len(samples)
    for (place, time_ns, value, status), point in zip(samples, points, strict=True):
        assert point.tags["tag"] == TABLE.tags[place].id
        assert point.time >= time_ns
        assert point.fields["status"] == status
        assert point.fields["quality"] == min(status >> 30, 2)
        if math.isfinite(value):
            written = point.fields["value"]
            assert isinstance(written, float)
            assert np.float64(value).tobytes() == np.float64(written).tobytes()
        else:
            assert "value" not in point.fields


def naive_apart(places: list[int], moments: list[int]) -> list[int]:
    """Return the times one sample after the other, in the order of time and then of the frame."""
    last: dict[int, int] = {}
    moved = list(moments)
    for _, index in sorted((moment, index) for index, moment in enumerate(moments)):
        tag = places[index]
        moved[index] = max(moments[index], last[tag] + 1) if tag in last else moments[index]
        last[tag] = moved[index]
    return moved


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=30))
def test_samples_that_meet_are_moved_as_one_by_one(pairs: list[tuple[int, int]]) -> None:
    places, moments = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = apart(index_column(places), time_column(moments)).tolist()
    assert found == naive_apart(places, moments)


def test_a_coarser_unit_keeps_every_sample_of_a_frame() -> None:
    fast = frame_of([(0, T_NS + 1000 * step, float(step), 0) for step in range(5)])
    coarse = Schema(gateway="g", unit_ns=1_000_000)
    assert [point.time for point in points_of(fast, coarse)] == [
        T_NS // 1_000_000 + step for step in range(5)
    ]


@given(nasty_texts | texts)
def test_a_tag_value_ends_where_it_should(text: str) -> None:
    """What line protocol cannot hold is replaced; every other character comes back."""
    series = Schema(gateway="g").series("m", {"tag": text, "z": "end"})
    point = parse_line(f"{series}value=1.0 0")
    expected = escaped(text)
    if not text:
        assert point.tags == {"gateway": "g", "z": "end"}
        return
    found = point.tags["tag"]
    assert len(found) == len(text)
    for before, after in zip(text, found, strict=True):
        assert after == before or (after == "/" and before == "\\") or after == " "
    assert "\n" not in expected
    assert point.tags["z"] == "end"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a b,c=d", r"a\ b\,c\=d"),
        ("C:\\plant\\x", "C:\\plant\\x"),
        ("ends\\", "ends/"),
        ("a\\ b", r"a/\ b"),
        ("a\\\\b", "a/\\b"),
        ("two\nlines", r"two\ lines"),
        ('5" pipe', r'5"\ pipe'),
    ],
)
def test_special_characters_of_a_tag(text: str, line: str) -> None:
    assert escaped(text) == line


@given(nasty_texts | texts)
def test_a_text_field_comes_back(text: str) -> None:
    found = parse_line(f"m text={quoted(text)},x=1i 0")
    assert found.fields["x"] == 1
    assert str(found.fields["text"]).split() == text.replace("\r", " ").replace("\n", " ").split()
    assert "\n" not in quoted(text)


def test_an_event_is_a_point_of_its_own_measurement() -> None:
    event = Event(
        time_ns=T_NS,
        source="P-101",
        condition="filter_clogged",
        severity=700,
        transition=Transition.RAISED,
        text='flow is "low", 3 m3/h',
        onset_ns=T_NS - 5,
        operator="",
    )
    point = parse_line(event_line(event, SCHEMA))
    assert point.measurement == "edgewright_events"
    assert point.tags == {
        "gateway": "pumphouse-1",
        "site": "ulm",
        "source": "P-101",
        "condition": "filter_clogged",
        "transition": "raised",
    }
    assert point.fields == {"severity": 700, "text": event.text, "onset_ns": T_NS - 5}
    assert point.time == T_NS


def test_the_states_of_a_command_are_points_beside_one_another() -> None:
    def line(state: CommandState, reason: str = "") -> Point:
        command = Command(
            id=CommandId("7f"),
            tag=TagId("pumps.setpoint"),
            value=55.0,
            deadline_ns=T_NS,
            origin=CommandOrigin.PERSON,
            operator="ada",
            state=state,
            reason=reason,
            read_back=math.nan,
        )
        return parse_line(command_line(command, SCHEMA))

    executing, failed = line(CommandState.EXECUTING), line(CommandState.FAILED, "no answer")
    assert executing.identity != failed.identity
    assert executing.tags["source"] == "pumps.setpoint"
    assert failed.fields == {
        "command": "7f",
        "origin": "person",
        "operator": "ada",
        "value": 55.0,
        "text": "no answer",
    }


def test_no_ledger_entry_hides_another_of_the_same_instant() -> None:
    entry = LedgerEntry(
        reason=LedgerReason.DEVICE_LOST,
        source="pumps",
        from_ns=T_NS,
        to_ns=T_NS + 9,
        count=None,
        tags=(TagId("pumps.flow"), TagId("pumps.state")),
    )
    one, two = (parse_line(ledger_line(entry, SCHEMA, seq=Seq(seq))) for seq in (41, 42))
    assert one.identity != two.identity
    assert abs(one.time - T_NS) < 1000
    assert one.tags["reason"] == "device_lost"
    assert one.fields == {
        "from_ns": T_NS,
        "to_ns": T_NS + 9,
        "tags": "pumps.flow, pumps.state",
    }


def record(seq: int, kind: RecordKind, body: bytes) -> Record:
    return Record(boot=Boot(1), seq=Seq(seq), kind=kind, body=body)


def lines_of(records: Sequence[Record], *, step: int = 1000) -> tuple[list[str], int]:
    """Return all lines, taken a few at a time, and the number of received samples."""
    batch = Batch(gateway="pumphouse-1", records=tuple(records), tables=(TABLE,))
    lines = BatchLines(batch, SampleLines(SCHEMA))
    found: list[str] = []
    while part := lines.take(step):
        assert len(part) <= step
        found += part
    return found, lines.sample_count


def test_a_block_gives_the_lines_of_the_frames_it_was_sealed_from() -> None:
    """So a record that goes out again, sealed meanwhile, overwrites its own points."""
    kinds = [RecordKind.FRAME, RecordKind.STATED, RecordKind.DERIVED]
    frames = [
        frame_of(
            [(index, T_NS + index, float(index), 0), (index, T_NS + index, 2.5, 0)],
            is_received=kind is RecordKind.FRAME,
        )
        for index, kind in enumerate(kinds)
    ]
    single = [
        record(seq, kind, encode_frame(frame, epoch=TABLE.epoch))
        for seq, (kind, frame) in enumerate(zip(kinds, frames, strict=True), 1)
    ]
    stored = [
        StoredFrame(boot=each.boot, seq=each.seq, kind=each.kind, frame=frame)
        for each, frame in zip(single, frames, strict=True)
    ]
    block = record(3, RecordKind.BLOCK, encode_block(stored, epoch=TABLE.epoch))
    lines, count = lines_of(single, step=1)
    assert (lines, count) == lines_of([block])
    assert count == 2
    assert len({point.identity for point in parse("\n".join(lines))}) == 6


def test_notes_stand_in_the_order_of_the_records_and_tag_tables_are_no_points() -> None:
    event = Event(time_ns=1, source="gateway", condition="started", severity=1, text="hello")
    entry = LedgerEntry(
        reason=LedgerReason.RETENTION, source="*", from_ns=0, to_ns=9, count=3, tags=()
    )
    lines, count = lines_of(
        [
            record(1, RecordKind.TAGS, encode_tags(TABLE)),
            record(2, RecordKind.EVENT, encode_event(event)),
            record(3, RecordKind.LEDGER, encode_ledger_entry(entry)),
        ]
    )
    assert [parse_line(line).measurement for line in lines] == [
        "edgewright_events",
        "edgewright_ledger",
    ]
    assert count == 0


def test_a_damaged_record_is_named() -> None:
    body = encode_frame(frame_of([(0, T_NS, 1.0, 0)]), epoch=TABLE.epoch)
    for damaged in (body[:-1] + bytes([body[-1] ^ 1]), b""):
        with pytest.raises(CorruptRecordError, match=r"record 1/7 \(FRAME\)"):
            lines_of([record(7, RecordKind.FRAME, damaged)])
    strange = encode_frame(frame_of([(3, T_NS, 1.0, 0)]), epoch=TABLE.epoch)
    with pytest.raises(CorruptRecordError, match="the table has 3"):
        lines_of([record(7, RecordKind.FRAME, strange)])
    other = encode_frame(frame_of([(0, T_NS, 1.0, 0)]), epoch=ConfigEpoch(9))
    with pytest.raises(CorruptRecordError, match="epoch 9"):
        lines_of([record(7, RecordKind.FRAME, other)])


def test_a_new_table_of_a_known_epoch_names_its_own_tags() -> None:
    """A log that was set aside begins its epochs anew."""
    samples = SampleLines(SCHEMA)
    one = frame_of([(0, T_NS, 1.0, 0)])
    list(samples.of(one, TABLE))
    renamed = TagTable.build([Tag(id=TagId("other.tag"))], epoch=TABLE.epoch)
    (line,) = samples.of(one, renamed)
    assert parse_line(line).tags["tag"] == "other.tag"
