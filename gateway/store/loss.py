"""What goes undelivered when records are dropped or thinned, as the ledger is to tell it."""

from collections.abc import Sequence

import numpy as np

from gateway.core.arrays import IndexArray, TimeArray
from gateway.core.cursors import Cursor
from gateway.core.errors import CorruptRecordError
from gateway.core.frame import Frame
from gateway.core.records import LedgerEntry, LedgerReason, RecordKind
from gateway.core.tags import ConfigEpoch, TagId, TagTable
from gateway.store.bodies import epoch_place
from gateway.store.database import LogDatabase, missing_entry
from gateway.wire.documents import decode_tags
from gateway.wire.stored_frame import StoredFrame

TAGS_LISTED_MAX = 100
"""A ledger entry that concerns more tags lists none, which means all."""


class Tables:
    """The tag tables of the log, read once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[ConfigEpoch, TagTable] = {}

    def find(self, database: LogDatabase, epoch: ConfigEpoch) -> TagTable | None:
        """Return the table of an epoch; None when it is not in the log, or damaged."""
        if epoch not in self._known:
            row = database.connection.execute(
                "SELECT body FROM epoch WHERE epoch = ?", (epoch,)
            ).fetchone()
            if row is None:
                return None
            try:
                body = database.bodies.get(row[0], place=epoch_place(epoch))
                self._known = {epoch: decode_tags(body)}
            except CorruptRecordError:
                # The loss is told without names, and nothing is thinned without ranges.
                return None
        return self._known[epoch]


class Loss:
    """Raw samples that go undelivered."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sample_count = 0
        self._first_ns = np.iinfo(np.int64).max
        self._last_ns = np.iinfo(np.int64).min
        self._tags: set[TagId] | None = set()
        """None when they are many, or not all known."""

    def add(self, tag_index: IndexArray, time_ns: TimeArray, table: TagTable | None) -> None:
        """Add samples of some tags, shape (n,) each."""
        if len(time_ns) == 0:
            return
        self._count(len(time_ns), first_ns=int(time_ns.min()), last_ns=int(time_ns.max()))
        if self._tags is None:
            return
        places = np.unique(tag_index)
        if table is None or len(places) > TAGS_LISTED_MAX or int(places[-1]) >= len(table):
            self._tags = None
            return
        self._tags |= {table.tags[place].id for place in places.tolist()}
        if len(self._tags) > TAGS_LISTED_MAX:
            self._tags = None

    def add_frames(self, frames: Sequence[Frame], table: TagTable | None) -> None:
        """Add all samples of some frames, at least one."""
        self.add(
            np.concatenate([frame.tag_index for frame in frames]),
            np.concatenate([frame.time_ns for frame in frames]),
            table,
        )

    def add_unread(self, count: int, *, first_ns: int, last_ns: int) -> None:
        """Add samples that cannot be read any more; their tags are not known."""
        self._count(count, first_ns=first_ns, last_ns=last_ns)
        self._tags = None

    def entry(self, reason: LedgerReason, *, error_percent: float | None = None) -> LedgerEntry:
        """Return the entry for the ledger; there must be a loss."""
        assert self.sample_count > 0
        return missing_entry(
            reason,
            first_ns=self._first_ns,
            last_ns=self._last_ns,
            count=self.sample_count,
            tags=tuple(sorted(self._tags or ())),
            error_percent=error_percent,
        )

    def _count(self, count: int, *, first_ns: int, last_ns: int) -> None:
        self.sample_count += count
        self._first_ns = min(self._first_ns, first_ns)
        self._last_ns = max(self._last_ns, last_ns)


def is_lacked(stored: StoredFrame, readers: Sequence[Cursor]) -> bool:
    """Return whether a frame holds raw samples that some reader has not got."""
    return (
        stored.kind is RecordKind.FRAME
        and len(stored.frame) > 0
        and any(
            not reader.has(stored.seq) for reader in readers if reader.scope.covers(stored.kind)
        )
    )
