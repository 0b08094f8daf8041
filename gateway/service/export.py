"""Samples out of the log into a file: which, from when to when, and what is missing of them.

The rows come slice by slice (`gateway.store.slices`), so an export of any length takes the same
memory, and the gateway writes on meanwhile.
"""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, Protocol

from gateway.core.cursors import Scope
from gateway.core.errors import ConfigError
from gateway.core.quality import Quality
from gateway.core.records import LedgerEntry, RecordKind
from gateway.core.tags import Tag, TagId
from gateway.store import LogReader
from gateway.store.slices import Slice, slices
from gateway.wire.documents import decode_ledger_entry

COLUMNS: Final = ("time", "tag", "value", "unit", "quality", "status", "server_time", "kind")
QUALITY_NAMES: Final = {Quality.GOOD: "Good", Quality.UNCERTAIN: "Uncertain", Quality.BAD: "Bad"}
KIND_NAMES: Final = {
    RecordKind.FRAME: "measured",
    RecordKind.DERIVED: "derived",
    RecordKind.STATED: "stated",
}
"""Stated is what the gateway says itself of a measured tag, such as Bad when a machine is lost."""

_NEAREST_MAX = 3
_AGO = re.compile(r"-(\d+(?:\.\d+)?)(s|m|h|d|w)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ExportKind(StrEnum):
    """Which samples."""

    MEASURED = "measured"
    """Received from machines, and what the gateway states about them."""
    DERIVED = "derived"
    """Computed by the gateway."""
    ALL = "all"

    @property
    def records(self) -> Collection[RecordKind]:
        """The records that hold them."""
        match self:
            case ExportKind.MEASURED:
                return {RecordKind.FRAME, RecordKind.STATED}
            case ExportKind.DERIVED:
                return {RecordKind.DERIVED}
            case ExportKind.ALL:
                return set(KIND_NAMES)


class RowSink(Protocol):
    """Takes the rows of an export."""

    def write(self, rows: Slice) -> None:
        """Write rows behind those before.

        Raises:
            OSError: the disk refuses.
        """

    def close(self) -> None:
        """Write what stands behind the last row; without it the file is none.

        Raises:
            OSError: the disk refuses.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote, and what the log cannot give."""

    rows: int
    tags: int
    """Those that have rows."""
    first_ns: int | None
    """Of the oldest row, UTC; None without any."""
    last_ns: int | None
    """Of the newest row, UTC; None without any."""
    losses: tuple[LedgerEntry, ...]
    """Samples of these tags in the span that are missing, as the ledger has them."""
    log_begin_ns: int | None
    """When the log begins, if older records were dropped and may have been of the span."""


def parse_time(text: str, *, now_ns: int) -> int:
    """Return a time in nanoseconds UTC.

    Args:
        text: `now`, `-24h` and the like (s, m, h, d, w), or ISO 8601; without an offset it is
            meant in the local time of this machine.
        now_ns: The present, UTC.
    Raises:
        ValueError: it is none of these.
    """
    if text == "now":
        return now_ns
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now_ns - round(float(ago[1]) * _UNIT_S[ago[2]] * 1e9)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no time: give 2026-03-01T14:00, with +01:00 or Z if not in local time,"
            " or -24h"
        ) from error
    return (time.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


def chosen_tags(known: Mapping[TagId, Tag], names: Sequence[str]) -> tuple[Tag, ...]:
    """Return the tags that names and patterns such as `pumps.*` mean, each once.

    Args:
        known: All there are.
        names: Without any, all of them.
    Raises:
        ConfigError: one line for each name that means nothing, with the nearest there are.
    """
    if not names:
        return tuple(known.values())
    chosen: dict[TagId, Tag] = {}
    mistakes: list[str] = []
    for name in names:
        exact = known.get(TagId(name))
        found = [exact] if exact else [x for x in known.values() if fnmatchcase(x.id, name)]
        if not found:
            mistakes.append(_unknown(name, known))
        chosen |= {tag.id: tag for tag in found}
    if mistakes:
        raise ConfigError(*mistakes)
    return tuple(chosen.values())


def export_rows(
    reader: LogReader,
    tags: Sequence[Tag],
    sink: RowSink,
    *,
    from_ns: int,
    to_ns: int,
    kind: ExportKind,
) -> Exported:
    """Write the samples of some tags in a span; see `slices` for their order.

    Raises:
        StoreError: the log cannot be read.
        OSError: the sink cannot be written.
    """
    rows = 0
    with_rows: set[int] = set()
    times: list[int] = []
    ids = [tag.id for tag in tags]
    for piece in slices(reader, ids, from_ns=from_ns, to_ns=to_ns, kinds=kind.records):
        sink.write(piece)
        rows += len(piece)
        with_rows.update(piece.tag_index.tolist())
        ends = [*times, int(piece.time_ns[0]), int(piece.time_ns[-1])]
        times = [min(ends), max(ends)]
    begin_ns = reader.begin_ns()
    return Exported(
        rows=rows,
        tags=len(with_rows),
        first_ns=times[0] if times else None,
        last_ns=times[1] if times else None,
        losses=_losses(reader, tags, from_ns, to_ns),
        log_begin_ns=begin_ns if begin_ns is not None and begin_ns > from_ns else None,
    )


def _unknown(name: str, known: Mapping[TagId, Tag]) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=_NEAREST_MAX, cutoff=0.4)
    advice = f"; nearest are {', '.join(nearest)}" if nearest else ""
    return f"the log has no tag {name!r}{advice}"


def _losses(
    reader: LogReader, tags: Sequence[Tag], from_ns: int, to_ns: int
) -> tuple[LedgerEntry, ...]:
    ids = {tag.id for tag in tags}
    entries = (
        decode_ledger_entry(record.body)
        for record in reader.records(scope=Scope.NOTES)
        if record.kind is RecordKind.LEDGER
    )
    return tuple(
        entry
        for entry in entries
        if entry.from_ns < to_ns and entry.to_ns > from_ns and _concerns(entry, ids)
    )


def _concerns(entry: LedgerEntry, ids: Collection[TagId]) -> bool:
    """Return whether an entry may be about one of some tags."""
    if entry.tags:
        return any(tag in ids for tag in entry.tags)
    return entry.source == "*" or any(tag.startswith(f"{entry.source}.") for tag in ids)
