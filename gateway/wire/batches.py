"""Batches: records on their way north, readable without anything else.

    "EWB" · body of version 1 (see `gateway.wire.body`) around:
        length · header: zstd of JSON {"gateway", "tables": [{"epoch", "tags": [...]}],
                                       "historical": true where it is}
        number of records, then of each: boot · seq · kind · length · body as stored

Numbers are varints. The bodies travel untouched, under their own check sums; they are small
already, so only the header is compressed. A batch is read as if it came from an enemy: every
length is checked against a limit before memory is taken, and every fault is a
`CorruptRecordError`. The bodies are opened by whoever decodes them.
"""

import json
from collections.abc import Mapping
from itertools import pairwise

from gateway.core.errors import CorruptRecordError
from gateway.core.ports import Batch
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.tags import TagTable
from gateway.wire.body import close_body, open_version
from gateway.wire.columns import ByteReader, compress, decompress, put_unsigned
from gateway.wire.documents import tags_from_json, tags_to_json, to_json

MEDIA_TYPE = "application/vnd.edgewright.batch"
"""Of an encoded batch, in HTTP and MQTT."""
BATCH_SIZE_BYTES_MAX = 64 * 1024 * 1024
"""Of an encoded batch; whoever receives one refuses more before reading it."""

_MAGIC = b"EWB"
_VERSION = 1
_HEADER_LEVEL = 3
_HEADER_SIZE_BYTES_MAX = 32 * 1024 * 1024
_RECORD_COUNT_MAX = 1_000_000
_INT64_MAX = (1 << 63) - 1


def encode_batch(batch: Batch) -> bytes:
    """Return a batch as bytes of `MEDIA_TYPE`."""
    header: dict[str, object] = {
        "gateway": batch.gateway,
        "tables": [tags_to_json(table) for table in batch.tables],
    }
    if batch.is_historical:
        header["historical"] = True
    packed = compress(to_json(header), level=_HEADER_LEVEL)
    parts = [put_unsigned(len(packed)), packed, put_unsigned(len(batch.records))]
    for record in batch.records:
        numbers = (record.boot, record.seq, record.kind, len(record.body))
        parts.extend(put_unsigned(number) for number in numbers)
        parts.append(record.body)
    return _MAGIC + close_body(b"".join(parts), version=_VERSION)


def decode_batch(data: bytes) -> Batch:
    """Return the batch in bytes from anywhere.

    Raises:
        CorruptRecordError: damaged, beyond a limit, or not a batch.
    """
    if len(data) > BATCH_SIZE_BYTES_MAX:
        raise CorruptRecordError(
            f"a batch of {len(data)} bytes; the most is {BATCH_SIZE_BYTES_MAX}"
        )
    if not data.startswith(_MAGIC):
        raise CorruptRecordError(f"not a batch: it begins with {data[:3]!r}")
    reader = ByteReader(open_version(data[len(_MAGIC) :], _VERSION, what="batch"))
    header = reader.take(reader.unsigned())
    gateway, tables, is_historical = _read_header(
        decompress(header, size_bytes_max=_HEADER_SIZE_BYTES_MAX)
    )
    count = reader.at_most(_RECORD_COUNT_MAX, what="records")
    records = tuple(_read_record(reader) for _ in range(count))
    if reader.left or not records:
        raise CorruptRecordError(f"a batch of {count} records with {reader.left} bytes behind them")
    if any(earlier.seq >= later.seq for earlier, later in pairwise(records)):
        raise CorruptRecordError("the records of a batch are not in the order of seq")
    return Batch(gateway=gateway, records=records, tables=tables, is_historical=is_historical)


def _read_header(header: bytes) -> tuple[str, tuple[TagTable, ...], bool]:
    try:
        document: object = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise CorruptRecordError(f"the header of a batch is not JSON: {error}") from error
    if not isinstance(document, Mapping):
        raise CorruptRecordError("the header of a batch is not an object")
    gateway, tables = document.get("gateway"), document.get("tables")
    if not isinstance(gateway, str) or not gateway or not isinstance(tables, list):
        raise CorruptRecordError("the header of a batch lacks its gateway or its tables")
    read = tuple(tags_from_json(table) for table in tables)
    if len({table.epoch for table in read}) != len(read):
        raise CorruptRecordError("a batch has two tag tables of one epoch")
    return gateway, read, document.get("historical") is True


def _read_record(reader: ByteReader) -> Record:
    boot = reader.at_most(_INT64_MAX, what="as boot")
    seq = reader.at_most(_INT64_MAX, what="as seq")
    number = reader.unsigned()
    try:
        kind = RecordKind(number)
    except ValueError as error:
        raise CorruptRecordError(f"a record of the unknown kind {number}") from error
    return Record(boot=Boot(boot), seq=Seq(seq), kind=kind, body=reader.take(reader.unsigned()))
