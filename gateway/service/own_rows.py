"""Healthy rows out of the gateway's own log: what a model is trained on where there is no cloud."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.training.healthy import (
    STATE,
    Happening,
    HealthyRows,
    Series,
    healthy_rows,
    unhealthy_spans,
)
from gateway.core.cursors import Scope
from gateway.core.errors import ConfigError
from gateway.core.quality import is_good
from gateway.core.records import RecordKind
from gateway.core.rows import AssetId
from gateway.core.tags import TagId
from gateway.store import LogReader
from gateway.store.slices import Slice, slices
from gateway.wire.documents import decode_event

SAMPLES_MAX: Final = 20_000_000
"""Held in memory at once, 37 bytes each; of a longer span the newest are taken."""
ALARM_MARGIN_S: Final = 600.0
"""Time before an alarm whose rows are not taken for healthy either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRows:
    """Rows of the assets of one type."""

    runs: dict[AssetId, HealthyRows]
    """Only assets that have rows."""
    from_ns: int
    """Where the rows that were looked at begin, UTC: later than asked for when there were too
    many, or when the log does not go back so far."""


def read_own_rows(
    reader: LogReader,
    assets: Sequence[AssetId],
    columns: Sequence[str],
    *,
    from_ns: int,
    to_ns: int,
) -> OwnRows:
    """Return the rows of running assets outside of their alarms.

    Args:
        reader: Of the gateway's log; the gateway may be running.
        assets: Of one type.
        columns: Of the model, as the twins write them.
        from_ns: UTC, inclusive.
        to_ns: UTC, exclusive.
    Raises:
        ConfigError: the log holds no rows of these assets in the span.
        StoreError: the log cannot be read.
    """
    tags = [TagId(f"{asset}.{name}") for asset in assets for name in (STATE, *columns)]
    pieces: deque[Slice] = deque()
    held = 0
    for piece in slices(reader, tags, from_ns=from_ns, to_ns=to_ns, kinds={RecordKind.DERIVED}):
        pieces.append(piece)
        held += len(piece)
        while held > SAMPLES_MAX and len(pieces) > 1:
            held -= len(pieces.popleft())
    if not pieces:
        raise ConfigError(
            f"the log holds no rows of {', '.join(assets)} in this span: are they in the "
            "configuration, and did the gateway run?"
        )
    tag_index = np.concatenate([piece.tag_index for piece in pieces])
    by_tag = np.argsort(tag_index, kind="stable")
    ends = np.searchsorted(tag_index[by_tag], np.arange(len(tags) + 1))
    time_ns = np.concatenate([piece.time_ns for piece in pieces])
    value = np.concatenate([piece.value for piece in pieces])
    good = is_good(np.concatenate([piece.status for piece in pieces]))

    def series(asset: int, column: int) -> Series:
        tag = asset * (1 + len(columns)) + column
        mine = by_tag[ends[tag] : ends[tag + 1]]
        mine = mine[good[mine]]
        return Series.of(time_ns[mine], value[mine])

    spans = list(unhealthy_spans(_happenings(reader), margin_ns=round(ALARM_MARGIN_S * 1e9)))
    runs = {
        name: healthy_rows(
            series(asset, 0),
            [series(asset, 1 + column) for column in range(len(columns))],
            unhealthy=[span for source, span in spans if source == name],
        )
        for asset, name in enumerate(assets)
    }
    return OwnRows(
        runs={name: rows for name, rows in runs.items() if len(rows.time_ns)},
        from_ns=int(time_ns.min()),
    )


def _happenings(reader: LogReader) -> list[Happening]:
    """Return what the log tells of alarms and cases, in the order of time."""
    events = (
        decode_event(record.body)
        for record in reader.records(scope=Scope.NOTES)
        if record.kind is RecordKind.EVENT
    )
    told = [
        Happening(
            asset=event.source,
            condition=event.condition,
            transition=event.transition,
            time_ns=event.time_ns,
            onset_ns=event.onset_ns,
        )
        for event in events
    ]
    return sorted(told, key=lambda each: each.time_ns)
