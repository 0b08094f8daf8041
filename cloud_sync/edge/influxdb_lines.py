"""Records as InfluxDB line protocol: one point for each sample, event, command, ledger entry. Pure.

    <measurement>,gateway=…,kind=…,tag=…,unit=… value=…,quality=…i,status=…i <time>
    <measurement>_events,condition=…,gateway=…,source=…,transition=… severity=…i,text="…" <time>
    <measurement>_ledger,gateway=…,reason=…,source=… from_ns=…i,to_ns=…i,count=…i <time>

A point's identity is its measurement, tags and time, and a second one overwrites the first. So
the same record always gives the same points, whatever batch it travels in: sending it again
changes nothing. What would overwrite another sample of its own frame is moved behind it.

Source: InfluxDB 2, line protocol reference, "Elements" and "Special characters". Where databases
read a character differently, or none can hold it, it is replaced (see `escaped` and `quoted`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Final

import numpy as np

from gateway.core.arrays import IndexArray, TimeArray
from gateway.core.commands import Command
from gateway.core.errors import CorruptRecordError
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.ports import Batch
from gateway.core.quality import quality_of
from gateway.core.records import LedgerEntry, Record, RecordKind, Seq
from gateway.core.tags import Tag, TagTable
from gateway.wire.documents import decode_command, decode_event, decode_ledger_entry
from gateway.wire.frames import frames_of

TAG_NAMES: Final = frozenset(
    {"condition", "gateway", "kind", "reason", "source", "tag", "transition", "unit"}
)
"""InfluxDB tags that we write."""
FIELD_NAMES: Final = frozenset(
    {
        "command", "count", "from_ns", "onset_ns", "operator", "origin", "quality", "read_back",
        "severity", "status", "tags", "text", "to_ns", "until_ns", "value",
    }
)  # fmt: skip
"""InfluxDB fields that we write."""
TABLE_COUNT_MAX: Final = 8
"""Tag tables whose beginnings of lines are kept."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_LINE_END: Final = re.compile(r"[\r\n]+")
_LOOSE_BACKSLASH: Final = re.compile(r"\\(?=[\\ ,=]|$)")
_SPECIAL: Final = re.compile(r"([ ,=])")
_QUOTED_SPECIAL: Final = re.compile(r'(["\\])')
_SEQ_SPAN: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """How points are named, and the unit of their times."""

    gateway: str
    measurement: str = "edgewright"
    """Of samples; those of events and of the ledger are named after it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Further InfluxDB tags of every point, such as the site."""
    unit_ns: int = 1
    """Nanoseconds in one unit of a point's time: 1, 1000 or 1,000,000."""

    def series(self, measurement: str, tags: Mapping[str, str]) -> str:
        """Return the beginning of a line, up to its fields; empty tags are left out.

        The tags are sorted by name, which spares the database the work.
        """
        named = {"gateway": self.gateway, **self.tags, **tags}
        parts = [escaped(measurement)]
        for name, value in sorted(named.items()):
            text = escaped(value)
            if text:
                parts.append(f"{escaped(name)}={text}")
        return ",".join(parts) + " "


class SampleLines:
    """Turns frames into lines; it remembers the beginnings of lines of the last tables."""

    def __init__(self, schema: Schema) -> None:
        """Begin with no table."""
        self.schema = schema
        self._known: dict[int, tuple[tuple[Tag, ...], list[str]]] = {}

    def of(self, frame: Frame, table: TagTable) -> Iterator[str]:
        """Yield one line for each sample, in the order of the frame.

        A number that is none, or not finite, cannot be written: such a point has its quality and
        status only.

        Args:
            frame: Its positions lie within the table.
            table: Names the tags.
        """
        series = self._series(table)
        times = apart(frame.tag_index, frame.time_ns // self.schema.unit_ns).tolist()
        ends = _endings(frame)
        places = frame.tag_index.tolist()
        if bool(np.isfinite(frame.value).all()):
            samples = zip(places, frame.value.tolist(), ends, times, strict=True)
            return (f"{series[place]}value={x!r},{end}{time}" for place, x, end, time in samples)
        texts = (f"value={x!r}," if abs(x) < np.inf else "" for x in frame.value.tolist())
        written = zip(places, texts, ends, times, strict=True)
        return (f"{series[place]}{text}{end}{time}" for place, text, end, time in written)

    def _series(self, table: TagTable) -> list[str]:
        """Return the beginning of the lines of each tag, by its position."""
        known = self._known.get(table.epoch)
        if known is not None and known[0] == table.tags:
            return known[1]
        series = [
            self.schema.series(
                self.schema.measurement,
                {
                    "kind": "derived" if tag.is_derived else "measured",
                    "tag": tag.id,
                    "unit": tag.unit,
                },
            )
            for tag in table.tags
        ]
        if len(self._known) >= TABLE_COUNT_MAX:
            self._known.clear()
        self._known[table.epoch] = (table.tags, series)
        return series


class BatchLines:
    """The lines of a batch, made as they are taken: a sealed block may hold many samples."""

    def __init__(self, batch: Batch, samples: SampleLines) -> None:
        """Begin at the first record."""
        self.sample_count = 0
        """Samples as received in the records so far; what the gateway states or computes is none.
        """
        self._batch = batch
        self._samples = samples
        self._schema = samples.schema
        self._tables = {table.epoch: table for table in batch.tables}
        self._lines = self._made()

    def take(self, count: int) -> list[str]:
        """Return the next lines, at most so many; none at the end.

        Raises:
            CorruptRecordError: a record is damaged; says which.
        """
        return list(islice(self._lines, count))

    def _made(self) -> Iterator[str]:
        for record in self._batch.records:
            try:
                yield from self._of(record)
            except CorruptRecordError as error:
                raise CorruptRecordError(
                    f"record {record.boot}/{record.seq} ({record.kind.name}): {error}"
                ) from error

    def _of(self, record: Record) -> Iterator[str]:
        match record.kind:
            case RecordKind.EVENT:
                yield event_line(decode_event(record.body), self._schema)
            case RecordKind.COMMAND:
                yield command_line(decode_command(record.body), self._schema)
            case RecordKind.LEDGER:
                entry = decode_ledger_entry(record.body)
                yield ledger_line(entry, self._schema, seq=record.seq)
            case RecordKind.TAGS:
                return  # every point names its tag itself
            case _:
                yield from self._of_samples(record)

    def _of_samples(self, record: Record) -> Iterator[str]:
        frames, epoch = frames_of(record)
        table = self._tables.get(epoch)
        if table is None:
            raise CorruptRecordError(f"the batch lacks the tag table of epoch {epoch}")
        for stored in frames:
            index = stored.frame.tag_index
            if len(index) and index.max() >= len(table):
                raise CorruptRecordError(f"sample of tag {index.max()}; the table has {len(table)}")
            if stored.kind is RecordKind.FRAME:
                self.sample_count += len(index)
            yield from self._samples.of(stored.frame, table)


def event_line(event: Event, schema: Schema) -> str:
    """Return the line of an event.

    `transition` is a tag: an alarm that is raised and returns in one instant is two points.
    """
    series = schema.series(
        f"{schema.measurement}_events",
        {
            "source": event.source,
            "condition": event.condition,
            "transition": event.transition.value,
        },
    )
    fields = [f"severity={event.severity}i", f"text={quoted(event.text)}"]
    if event.onset_ns is not None:
        fields.append(f"onset_ns={event.onset_ns}i")
    if event.until_ns is not None:
        fields.append(f"until_ns={event.until_ns}i")
    if event.operator:
        fields.append(f"operator={quoted(event.operator)}")
    return f"{series}{','.join(fields)} {event.time_ns // schema.unit_ns}"


def command_line(command: Command, schema: Schema) -> str:
    """Return the line of a command's state, among the events.

    Its time is the command's deadline: the only one that a record of it holds.
    """
    series = schema.series(
        f"{schema.measurement}_events",
        {"source": command.tag, "condition": "command", "transition": command.state.value},
    )
    fields = [f"command={quoted(command.id)}", f"origin={quoted(command.origin.value)}"]
    for name, number in (("value", command.value), ("read_back", command.read_back)):
        if number is not None and abs(number) < np.inf:
            fields.append(f"{name}={float(number)!r}")
    if command.operator:
        fields.append(f"operator={quoted(command.operator)}")
    if command.reason:
        fields.append(f"text={quoted(command.reason)}")
    return f"{series}{','.join(fields)} {command.deadline_ns // schema.unit_ns}"


def ledger_line(entry: LedgerEntry, schema: Schema, *, seq: Seq) -> str:
    """Return the line of a ledger entry.

    Two entries may begin at one instant for one source and reason, and none may hide the other:
    the last three digits of the time are those of the record's `seq`. The fields are exact.
    """
    series = schema.series(
        f"{schema.measurement}_ledger", {"reason": entry.reason.value, "source": entry.source}
    )
    fields = [f"from_ns={entry.from_ns}i", f"to_ns={entry.to_ns}i"]
    if entry.count is not None:
        fields.append(f"count={entry.count}i")
    if entry.tags:
        fields.append(f"tags={quoted(', '.join(entry.tags))}")
    time = entry.from_ns // schema.unit_ns
    time += seq % _SEQ_SPAN - time % _SEQ_SPAN
    return f"{series}{','.join(fields)} {time}"


def apart(tag_index: IndexArray, times: TimeArray) -> TimeArray:
    """Return the times with those that meet another of their tag moved behind it.

    Args:
        tag_index: Tag of each sample, shape (n,).
        times: In units of the points' times, shape (n,).
    Returns:
        Shape (n,); within a tag no two are equal, none is earlier than it was, and where none
        met another all are as given. Of equal ones the first in the frame stays first.
    """
    if len(times) < 2:
        return times
    order = np.lexsort((times, tag_index))
    tag, time = tag_index[order], times[order]
    is_new_tag = np.append(True, tag[1:] != tag[:-1])
    if not bool(((time[1:] == time[:-1]) & ~is_new_tag[1:]).any()):
        return times
    # In a group, time'[i] = max(time[i], time'[i-1] + 1) is a running maximum of time[i] - i.
    moved = np.empty_like(times)
    starts = np.flatnonzero(is_new_tag)
    for start, end in zip(starts, np.append(starts[1:], len(time)), strict=True):
        place = np.arange(end - start)
        moved[order[start:end]] = np.maximum.accumulate(time[start:end] - place) + place
    return moved


def escaped(text: str) -> str:
    """Return a text as measurement, tag name or tag value.

    Line protocol cannot hold control characters there, nor a backslash before a special character
    or the end, which every database reads in its own way: the first become spaces, the second `/`.
    """
    plain = _LOOSE_BACKSLASH.sub("/", _CONTROL.sub(" ", text))
    return _SPECIAL.sub(r"\\\1", plain)


def quoted(text: str) -> str:
    """Return a text as a field's value; line ends become spaces: not every database takes them."""
    return f'"{_QUOTED_SPECIAL.sub(_escape, _LINE_END.sub(" ", text))}"'


def _escape(found: re.Match[str]) -> str:
    return f"\\{found.group()}"


def _endings(frame: Frame) -> Iterator[str] | list[str]:
    """Return the fields that follow the value of each sample, up to the time."""
    codes, place = np.unique(frame.status, return_inverse=True)
    texts = [
        f"quality={quality}i,status={code}i "
        for code, quality in zip(codes.tolist(), quality_of(codes).tolist(), strict=True)
    ]
    if len(texts) == 1:
        return repeat(texts[0], len(frame))
    return [texts[index] for index in place.tolist()]
