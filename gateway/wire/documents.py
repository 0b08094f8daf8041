"""Events, commands, ledger entries and tag tables as record bodies: JSON in an envelope.

Field names are those of the nouns in `gateway.core`. Numbers that JSON does not know are written
as the strings "NaN", "Infinity" and "-Infinity". Unknown fields are ignored when reading, so that
an older cloud can read a newer gateway. For the same reason a transition that the first version did
not have stands in a field of its own, `step`, and `transition` says "noted" beside it: whoever does
not know the step reads a plain message.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from gateway.core.commands import Command
from gateway.core.errors import CorruptRecordError
from gateway.core.events import Event, Transition
from gateway.core.records import Draft, LedgerEntry, RecordKind
from gateway.core.tags import ConfigEpoch, Tag, TagTable
from gateway.wire.body import close_body, open_version

DocumentT = TypeVar("DocumentT")


_VERSION = 1
_TAG_DEFAULTS: Mapping[str, object] = {field.name: field.default for field in fields(Tag)}


_FIRST_TRANSITIONS = frozenset(
    (
        Transition.NOTED,
        Transition.RAISED,
        Transition.RETURNED,
        Transition.ACKNOWLEDGED,
        Transition.SHELVED,
        Transition.UNSHELVED,
    )
)
"""Known to every reader."""
_LATER_FIELDS: Mapping[str, object] = {
    field.name: field.default
    for field in fields(Event)
    if field.name in ("reason", "is_quiet", "group", "group_order")
}
"""Left out at their defaults: most events are as short as they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _EventDocument(Event):
    """An event as it is written."""

    step: str = ""
    """The exact transition, where `transition` can only say "noted"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _TagsDocument:
    epoch: ConfigEpoch
    tags: tuple[Tag, ...]


_EVENT = TypeAdapter(_EventDocument)
_COMMAND = TypeAdapter(Command)
_LEDGER_ENTRY = TypeAdapter(LedgerEntry)
_TAGS = TypeAdapter(_TagsDocument)


def encode_event(event: Event) -> bytes:
    """Return the body of an EVENT record."""
    document: dict[str, object] = asdict(event)
    for name, default in _LATER_FIELDS.items():
        if document[name] == default:
            del document[name]
    if event.transition not in _FIRST_TRANSITIONS:
        document |= {"transition": Transition.NOTED, "step": event.transition}
    return _encode(document)


def decode_event(body: bytes) -> Event:
    """Return the event in a body.

    Raises:
        CorruptRecordError: damaged, or not an event.
    """
    document = _decode(body, _EVENT, what="event")
    is_known = document.step in tuple(Transition)
    transition = Transition(document.step) if is_known else document.transition
    content = {field.name: getattr(document, field.name) for field in fields(Event)}
    return Event(**{**content, "transition": transition})


def encode_command(command: Command) -> bytes:
    """Return the body of a COMMAND record."""
    return _encode(asdict(command))


def decode_command(body: bytes) -> Command:
    """Return the command in a body.

    Raises:
        CorruptRecordError: damaged, or not a command.
    """
    return _decode(body, _COMMAND, what="command")


def encode_ledger_entry(entry: LedgerEntry) -> bytes:
    """Return the body of a LEDGER record."""
    return _encode(asdict(entry))


def decode_ledger_entry(body: bytes) -> LedgerEntry:
    """Return the ledger entry in a body.

    Raises:
        CorruptRecordError: damaged, or not a ledger entry.
    """
    return _decode(body, _LEDGER_ENTRY, what="ledger entry")


def encode_tags(table: TagTable) -> bytes:
    """Return the body of a TAGS record."""
    return _encode(tags_to_json(table))


def decode_tags(body: bytes) -> TagTable:
    """Return the tag table in a body.

    Raises:
        CorruptRecordError: damaged, or not a tag table.
    """
    return _table(_decode(body, _TAGS, what="tag table"))


def draft_event(event: Event) -> Draft:
    """Return an event as an entry for the log; it is committed at once."""
    return Draft(
        kind=RecordKind.EVENT,
        body=encode_event(event),
        first_ns=event.time_ns,
        last_ns=event.time_ns,
        is_urgent=True,
    )


def draft_command(command: Command, *, time_ns: int) -> Draft:
    """Return the state of a command at a time as an entry for the log; committed at once."""
    return Draft(
        kind=RecordKind.COMMAND,
        body=encode_command(command),
        first_ns=time_ns,
        last_ns=time_ns,
        is_urgent=True,
    )


def draft_ledger_entry(entry: LedgerEntry) -> Draft:
    """Return a ledger entry as an entry for the log."""
    return Draft(
        kind=RecordKind.LEDGER,
        body=encode_ledger_entry(entry),
        first_ns=entry.from_ns,
        last_ns=entry.to_ns,
    )


def tags_to_json(table: TagTable) -> dict[str, object]:
    """Return a tag table as the content of a JSON document; a tag's defaults are left out."""
    return {"epoch": table.epoch, "tags": [_tag_to_json(tag) for tag in table.tags]}


def tags_from_json(document: object) -> TagTable:
    """Return the tag table in the content of a JSON document.

    Raises:
        CorruptRecordError: it is not a tag table.
    """
    try:
        return _table(_TAGS.validate_python(document))
    except (ValidationError, AssertionError) as error:
        raise CorruptRecordError(f"not a tag table: {error}") from error


def _encode(document: object) -> bytes:
    return close_body(to_json(document), version=_VERSION)


def to_json(document: object) -> bytes:
    """Return a document as compact JSON, also where it holds numbers that JSON lacks."""
    text = json.dumps(_finite(document), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _decode(body: bytes, adapter: TypeAdapter[DocumentT], *, what: str) -> DocumentT:
    payload = open_version(body, _VERSION, what=what)
    try:
        return adapter.validate_json(payload)
    except (ValidationError, AssertionError) as error:
        raise CorruptRecordError(f"not a {what}: {error}") from error


def _finite(document: object) -> object:
    """Return a document with the numbers that JSON lacks as strings."""
    if isinstance(document, float) and not math.isfinite(document):
        return "NaN" if math.isnan(document) else "Infinity" if document > 0 else "-Infinity"
    if isinstance(document, Mapping):
        return {key: _finite(value) for key, value in document.items()}
    if isinstance(document, Iterable) and not isinstance(document, str):
        return [_finite(value) for value in document]
    return document


def _tag_to_json(tag: Tag) -> dict[str, object]:
    document: dict[str, object] = asdict(tag)
    return {name: value for name, value in document.items() if value != _TAG_DEFAULTS[name]}


def _table(document: _TagsDocument) -> TagTable:
    try:
        return TagTable.build(document.tags, epoch=document.epoch)
    except ValueError as error:
        raise CorruptRecordError(f"not a tag table: {error}") from error
