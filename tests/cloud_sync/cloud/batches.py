"""Batches as a gateway would send them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.commands import Command, CommandId, CommandOrigin
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame
from gateway.core.ports import Batch
from gateway.core.records import Boot, LedgerEntry, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.wire.batches import encode_batch
from gateway.wire.documents import encode_command, encode_event, encode_ledger_entry, encode_tags
from gateway.wire.frames import StoredFrame, encode_block, encode_frame

GATEWAY = "pumphouse-1"
EPOCH = ConfigEpoch(1)
TABLE = TagTable.build(
    [Tag(id=TagId(f"pumps.T{number}"), unit="bar") for number in range(4)], epoch=EPOCH
)
SECOND_NS = 1_000_000_000
START_NS = 1_750_000_000 * SECOND_NS


def frame(seq: int, *, count: int = 4, is_received: bool = True) -> Frame:
    """A frame whose values tell where they belong."""
    time_ns = START_NS + seq * SECOND_NS
    return Frame(
        tag_index=index_column(np.arange(count) % len(TABLE)),
        time_ns=time_column(np.full(count, time_ns) + np.arange(count) // len(TABLE)),
        value=float_column(seq + np.arange(count) / 10),
        status=status_column(np.zeros(count)),
        received_ns=time_ns + 5,
        is_received=is_received,
    )


def frame_record(
    seq: int, *, boot: int = 1, kind: RecordKind = RecordKind.FRAME, count: int = 4
) -> Record:
    body = encode_frame(frame(seq, count=count, is_received=kind is RecordKind.FRAME), epoch=EPOCH)
    return Record(boot=Boot(boot), seq=Seq(seq), kind=kind, body=body)


def noisy_record(seq: int, *, count: int) -> Record:
    """A frame that no codec can make small."""
    noise = np.random.default_rng(seq).normal(size=count)
    noisy = replace(frame(seq, count=count), value=float_column(noise))
    body = encode_frame(noisy, epoch=EPOCH)
    return Record(boot=Boot(1), seq=Seq(seq), kind=RecordKind.FRAME, body=body)


def block_record(seqs: Sequence[int], *, boot: int = 1) -> Record:
    stored = [
        StoredFrame(boot=Boot(boot), seq=Seq(seq), kind=RecordKind.FRAME, frame=frame(seq))
        for seq in seqs
    ]
    body = encode_block(stored, epoch=EPOCH)
    return Record(boot=Boot(boot), seq=Seq(seqs[-1]), kind=RecordKind.BLOCK, body=body)


def event_record(seq: int, *, boot: int = 1, onset_ns: int | None = None) -> Record:
    event = Event(
        time_ns=START_NS + seq,
        source="P-101",
        condition="vibration_high",
        severity=700,
        transition=Transition.RAISED,
        text="Vibration is high.",
        onset_ns=onset_ns,
    )
    body = encode_event(event)
    return Record(boot=Boot(boot), seq=Seq(seq), kind=RecordKind.EVENT, body=body)


def ledger_record(
    seq: int,
    *,
    reason: LedgerReason = LedgerReason.RETENTION,
    count: int | None = 7,
    error_percent: float | None = None,
) -> Record:
    entry = LedgerEntry(
        reason=reason,
        source="pumps",
        from_ns=1,
        to_ns=2,
        count=count,
        tags=(TagId("pumps.T0"),),
        error_percent=error_percent,
    )
    body = encode_ledger_entry(entry)
    return Record(boot=Boot(1), seq=Seq(seq), kind=RecordKind.LEDGER, body=body)


def command_record(seq: int, *, value: float = 1.0) -> Record:
    command = Command(
        id=CommandId("c"), tag=TagId("pumps.T0"), value=value, deadline_ns=1,
        origin=CommandOrigin.PERSON,
    )  # fmt: skip
    body = encode_command(command)
    return Record(boot=Boot(1), seq=Seq(seq), kind=RecordKind.COMMAND, body=body)


def tags_record(seq: int) -> Record:
    return Record(boot=Boot(1), seq=Seq(seq), kind=RecordKind.TAGS, body=encode_tags(TABLE))


def batch(
    *records: Record,
    gateway: str = GATEWAY,
    table: TagTable = TABLE,
    is_historical: bool = False,
) -> bytes:
    return encode_batch(
        Batch(gateway=gateway, records=records, tables=(table,), is_historical=is_historical)
    )


def damaged(record: Record) -> Record:
    """The record with one bit of its body turned."""
    body = bytearray(record.body)
    body[len(body) // 2] ^= 4
    return Record(boot=record.boot, seq=record.seq, kind=record.kind, body=bytes(body))
