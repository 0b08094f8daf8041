"""What may be missing of each tag's series, so that it can be read from a history. Pure.

Theory. A gap of a tag lies between the newest source time that the log holds of it and the first
value that is received afterwards; both ends are held, so neither belongs to it. A tag waits for
that first value since

- the gateway stated that it is Bad (device, subscription or node lost), or
- the event `gap_found`: a session began after a restart, and nobody knows what was offered before.

What is read later arrives in the order of time and moves the beginning of its gap forward. The
events `gap_healed` and `gap_unhealed` close all gaps up to a number. So the book depends on nothing
but the entries of the log in their order: after a crash, in the middle of healing too, the replay
of the log gives the book that fits what the log holds, and nothing is read twice.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, IndexArray, TimeArray, index_column, time_column
from gateway.core.events import Event
from gateway.core.frame import Frame, Origin
from gateway.core.quality import is_bad
from gateway.core.records import LogEntry
from gateway.core.tags import TagId

GAP_FOUND = "gap_found"
GAP_HEALED = "gap_healed"
GAP_UNHEALED = "gap_unhealed"
"""Conditions of the events."""
GAP_NUMBER = "gap_number"
"""Evidence of the closing events: the last gap that they close."""

GAPS_PER_TAG_MAX = 8
"""Open gaps kept, times the number of tags; the oldest are given up. They stay in the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaps:
    """Open gaps as columns of length n, oldest first."""

    number: TimeArray
    """Counts the gaps of a connector since its log was made, shape (n,)."""
    position: IndexArray
    """Position among the connector's tags, shape (n,)."""
    from_ns: TimeArray
    """Newest time before it that is held, UTC, shape (n,)."""
    to_ns: TimeArray
    """First time after it that is held, UTC, shape (n,)."""

    def __len__(self) -> int:
        """Return the number of gaps."""
        return len(self.number)

    def where(self, chosen: BoolArray | NDArray[np.int64]) -> "Gaps":
        """Return the gaps that a mask of shape (n,) holds for, or those at some places."""
        return Gaps(
            number=self.number[chosen],
            position=self.position[chosen],
            from_ns=self.from_ns[chosen],
            to_ns=self.to_ns[chosen],
        )


NO_GAPS = Gaps(
    number=time_column([]),
    position=index_column([]),
    from_ns=time_column([]),
    to_ns=time_column([]),
)


def join_gaps(parts: Sequence[Gaps]) -> Gaps:
    """Return the gaps of all parts, in their order."""
    return Gaps(
        number=np.concatenate([NO_GAPS.number, *(part.number for part in parts)]),
        position=np.concatenate([NO_GAPS.position, *(part.position for part in parts)]),
        from_ns=np.concatenate([NO_GAPS.from_ns, *(part.from_ns for part in parts)]),
        to_ns=np.concatenate([NO_GAPS.to_ns, *(part.to_ns for part in parts)]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Healing:
    """What came of reading the history for some gaps."""

    number: int
    """The last gap that it was about; all before it are settled, too."""
    from_ns: int
    """Beginning of the first gap, UTC."""
    to_ns: int
    """End of the last one, UTC."""
    sample_count: int
    """Values read."""
    tag_count: int
    """Tags whose history was read."""
    refused_count: int
    """Tags that have no history, or none that we may read."""


class GapBook:
    """Keeps the gaps of one connector's tags; follows the log, entry by entry."""

    def __init__(self, source: str, tags: Sequence[TagId], indices: IndexArray) -> None:
        """Begin with nothing held.

        Args:
            source: Name of the connector.
            tags: Its tags.
            indices: Their positions in the tag table, in the same order.
        """
        self._source = source
        self._tags = tuple(tags)
        # The last place stands for all positions behind those of the tags.
        self._place = np.full(int(indices.max(initial=0)) + 2, -1, dtype=np.int32)
        self._place[indices] = np.arange(len(indices))
        self._newest_ns: TimeArray = np.zeros(len(tags), dtype=np.int64)
        self._waits: BoolArray = np.zeros(len(tags), dtype=np.bool_)
        self._last_number = 0
        self._gaps = NO_GAPS
        self.forgotten_count = 0
        """Gaps given up because there were too many."""
        self.historical_count = 0
        """Samples seen that were read from a history."""

    @property
    def newest_ns(self) -> TimeArray:
        """Newest source time held of each tag, shape (tags,); 0 is never."""
        return self._newest_ns

    def gaps(self) -> Gaps:
        """Return the gaps that are open and whose both ends are known."""
        return self._gaps

    def replay(self, entry: LogEntry) -> None:
        """Follow one entry of the log."""
        if isinstance(entry, Frame):
            self._follow(entry)
        elif isinstance(entry, Event) and entry.source == self._source:
            if entry.condition == GAP_FOUND:
                self._waits = self._newest_ns > 0
            elif entry.condition in (GAP_HEALED, GAP_UNHEALED):
                self._close(entry)

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on from here."""
        gaps = self._gaps
        content = {
            "tags": "\n".join(self._tags),
            "newest_ns": b64encode(self._newest_ns.astype("<i8").tobytes()).decode(),
            "waits": np.flatnonzero(self._waits).tolist(),
            "last_number": self._last_number,
            "number": gaps.number.tolist(),
            "position": gaps.position.tolist(),
            "from_ns": gaps.from_ns.tolist(),
            "to_ns": gaps.to_ns.tolist(),
        }
        return zlib.compress(json.dumps(content).encode(), 1)

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; tags that are new begin with nothing held."""
        content = json.loads(zlib.decompress(checkpoint))
        place = {tag: position for position, tag in enumerate(self._tags)}
        tags = content["tags"].splitlines()
        moved = np.array([place.get(tag, -1) for tag in tags], dtype=np.int32)
        known = moved >= 0
        newest_ns = np.frombuffer(b64decode(content["newest_ns"]), dtype="<i8")
        self._newest_ns[moved[known]] = newest_ns[known]
        waits = moved[content["waits"]]
        self._waits[waits[waits >= 0]] = True
        self._last_number = content["last_number"]
        position = moved[content["position"]]
        self._gaps = Gaps(
            number=time_column(content["number"]),
            position=index_column(position),
            from_ns=time_column(content["from_ns"]),
            to_ns=time_column(content["to_ns"]),
        ).where(position >= 0)

    def _follow(self, frame: Frame) -> None:
        place = self._place.take(frame.tag_index, mode="clip")
        mine = np.flatnonzero(place >= 0)
        if mine.size == 0:
            return
        place, time_ns = place[mine], frame.time_ns[mine]
        if not frame.is_received:
            self._waits[place[is_bad(frame.status[mine])]] = True
        elif frame.origin is Origin.HISTORICAL:
            self.historical_count += len(mine)
            self._fill(place, time_ns)
        else:
            if self._waits[place].any():
                self._open(place, time_ns)
            # Of repeated places numpy keeps the last one: the newest sample.
            self._newest_ns[place] = time_ns

    def _open(self, place: IndexArray, time_ns: TimeArray) -> None:
        """Open the gaps that end with the first of these samples of each waiting tag."""
        first_place, first = np.unique(place, return_index=True)
        is_first = self._waits[first_place]
        self._waits[first_place] = False
        first_place, to_ns = first_place[is_first], time_ns[first[is_first]]
        from_ns = self._newest_ns[first_place]
        is_gap = (from_ns > 0) & (from_ns < to_ns)
        count = int(np.count_nonzero(is_gap))
        held = self._gaps
        self._gaps = Gaps(
            number=np.append(held.number, self._last_number + 1 + np.arange(count)),
            position=np.append(held.position, first_place[is_gap]).astype(np.int32),
            from_ns=np.append(held.from_ns, from_ns[is_gap]),
            to_ns=np.append(held.to_ns, to_ns[is_gap]),
        )
        self._last_number += count
        surplus = len(self._gaps) - GAPS_PER_TAG_MAX * len(self._tags)
        if surplus > 0:
            self._gaps = self._gaps.where(np.arange(len(self._gaps)) >= surplus)
            self.forgotten_count += surplus

    def _fill(self, place: IndexArray, time_ns: TimeArray) -> None:
        """Move the beginnings of gaps behind what was read for them."""
        gaps, from_ns = self._gaps, self._gaps.from_ns.copy()
        for position in np.unique(place):
            times = time_ns[place == position]
            for k in np.flatnonzero(gaps.position == position):
                inside = times[(times > from_ns[k]) & (times < gaps.to_ns[k])]
                from_ns[k] = inside.max(initial=from_ns[k])
        self._gaps = Gaps(
            number=gaps.number, position=gaps.position, from_ns=from_ns, to_ns=gaps.to_ns
        )

    def _close(self, event: Event) -> None:
        for evidence in event.evidence:
            if evidence.name == GAP_NUMBER:
                self._gaps = self._gaps.where(self._gaps.number > evidence.value)
