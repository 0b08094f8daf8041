"""The newest value of every tag of the twins of one type, and the ticks at which rows close.

Time is the data's own. Ticks lie at the multiples of the period since 1970. A row of tick T holds,
of every tag, the newest sample with a time up to T (sample and hold); it closes when the first
sample after T comes in. So rows do not depend on how samples were cut into frames, and time in
them never goes back. What follows from that:

- A frame over several ticks closes several rows, in order. A tick in which nothing at all was
  heard closes no row.
- A sample older than what its tag holds is dropped; one with the same time replaces it. One that
  is late, but newer than what its tag holds, counts from the next row on.
- A tag from which nothing younger than `stale_after_s` is known is Uncertain: sources that report
  only changes are quiet without being dead. An asset all of whose tags are that old is Bad.
- When nothing at all was heard for longer than `stale_after_s`, one row closes at the first tick
  at which that is so: the edge, all Bad. Then there is nothing until data comes again.
- A source clock that runs ahead of the receive time by more than `CLOCK_AHEAD_S_MAX` is not
  believed: the receive time counts instead. One wrong year must not silence a twin for ever.
- A source clock that was set back silences nothing: what is received now is the newest, so a
  sample whose time is older than what its tag holds, or older than the open tick by more than
  `CLOCK_BEHIND_S_MAX`, counts as of its receive time. (A server also gives the present value of a
  tag that has not changed for hours with the time of its last change.) What is read later from a
  history, or was received without a receive time, has no other time than its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gateway.core.arrays import FloatArray, IndexArray, StatusArray, TimeArray
from gateway.core.frame import Frame, Origin
from gateway.core.quality import Status, is_bad
from gateway.core.tags import TagId, TagTable
from twins.checkpoint import State

CLOCK_AHEAD_S_MAX = 60.0
"""More than the frames that an overloaded pipeline joins may span."""
_CLOCK_AHEAD_NS_MAX = round(CLOCK_AHEAD_S_MAX * 1e9)
CLOCK_BEHIND_S_MAX = 60.0
"""A slower clock than its neighbours' is normal; further behind it would close no row."""
_CLOCK_BEHIND_NS_MAX = round(CLOCK_BEHIND_S_MAX * 1e9)

NEVER_NS = np.iinfo(np.int64).min // 2
"""Time of a tag of which nothing is known; halved so that differences do not overflow."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """The inputs of n assets with k roles at one tick."""

    time_ns: int
    """The tick."""
    value: FloatArray
    """Shape (n, k); NaN where Bad or without a tag, a fallback where there is one."""
    status: StatusArray
    """Shape (n, k), stale values lowered; Good for a fallback."""
    source_ns: TimeArray
    """Time of each value, shape (n, k); `NEVER_NS` where there is none."""


class SignalBoard:
    """Scatters frames into columns and closes rows at the ticks of the data's time."""

    def __init__(
        self,
        tags: Sequence[Sequence[TagId | None]],
        *,
        fallback: FloatArray,
        period_s: float,
        stale_after_s: FloatArray,
    ) -> None:
        """Begin with nothing known.

        Args:
            tags: The tag of each asset and role, n times k; None where there is none.
            fallback: Value of a role without a tag, shape (n, k); NaN is none.
            period_s: Time between two ticks.
            stale_after_s: Age from which a value is stale, shape (n,).
        """
        self.tags: tuple[TagId, ...] = tuple(
            dict.fromkeys(tag for row in tags for tag in row if tag is not None)
        )
        """Every tag once: assets may share one, such as an ambient temperature."""
        place = {tag: i for i, tag in enumerate(self.tags)}
        # The place after the last tag stands for "no tag"; nothing is ever written there.
        nowhere = len(self.tags)
        self._place = np.array(
            [[nowhere if tag is None else place[tag] for tag in row] for row in tags], dtype=np.intp
        )
        self._is_mapped = self._place != nowhere
        self._falls_back = ~self._is_mapped & np.isfinite(fallback)
        self._uses_fallback = bool(self._falls_back.any())
        self._fallback = fallback
        self._period_ns = round(period_s * 1e9)
        self._stale_ns: TimeArray = np.asarray(stale_after_s * 1e9, dtype=np.int64)[:, None]
        self._place_by_index: IndexArray = np.empty(0, dtype=np.int32)
        self._value: FloatArray = np.full(nowhere + 1, np.nan)
        self._status: StatusArray = np.full(
            nowhere + 1, Status.BAD_WAITING_FOR_INITIAL_DATA, dtype=np.uint32
        )
        self._status[nowhere] = Status.BAD_NOT_CONNECTED
        self._source_ns: TimeArray = np.full(nowhere + 1, NEVER_NS, dtype=np.int64)
        self._tick_ns = NEVER_NS
        self.heard_ns: int = NEVER_NS
        """Newest time of any sample."""

    def bind(self, table: TagTable) -> None:
        """Resolve the tags to positions in the table.

        Raises:
            KeyError: the table lacks one of them.
        """
        self._place_by_index = np.full(len(table), -1, dtype=np.int32)
        self._place_by_index[table.indices(self.tags)] = np.arange(len(self.tags))

    def feed(self, frame: Frame) -> Iterator[Snapshot]:
        """Take in a frame of any tags and yield the rows that it closes; exhaust it."""
        place = self._place_by_index[frame.tag_index]
        mine = (place >= 0).nonzero()[0]
        if mine.size == 0:
            return
        time_ns = self._believed(place[mine], frame.time_ns[mine], frame)
        # Stable: of two samples of one tag with one time, the later arrival wins.
        order = time_ns.argsort(kind="stable")
        mine, time_ns = mine[order], time_ns[order]
        ticks_ns = self._ticks_of(time_ns)
        bounds = (0, *((ticks_ns[1:] != ticks_ns[:-1]).nonzero()[0] + 1), len(mine))
        for start, stop in pairwise(bounds):
            tick_ns = int(ticks_ns[start])
            if tick_ns > self._tick_ns:
                yield from self._close_until(tick_ns)
                self._tick_ns = tick_ns
            taken = mine[start:stop]
            self._scatter(
                place[taken], time_ns[start:stop], frame.value[taken], frame.status[taken]
            )

    def now(self) -> Snapshot:
        """Return the inputs as of the newest sample, between two ticks."""
        return self._snapshot(self.heard_ns)

    def save(self) -> State:
        """Return all that `load` needs, by name."""
        return {
            "value": self._value,
            "status": self._status,
            "source_ns": self._source_ns,
            "clock_ns": np.array([self._tick_ns, self.heard_ns], dtype=np.int64),
        }

    def load(self, state: State) -> None:
        """Go on from what `save` returned."""
        self._value = np.array(state["value"], dtype=np.float64)
        self._status = np.array(state["status"], dtype=np.uint32)
        self._source_ns = np.array(state["source_ns"], dtype=np.int64)
        self._tick_ns, self.heard_ns = (int(each) for each in state["clock_ns"].astype(np.int64))

    def _believed(self, place: IndexArray, time_ns: TimeArray, frame: Frame) -> TimeArray:
        """Return the source times; the receive time, if known, for those that cannot be true."""
        received_ns = frame.received_ns
        if received_ns <= 0:
            return time_ns
        is_wrong = time_ns > received_ns + _CLOCK_AHEAD_NS_MAX
        if frame.origin is not Origin.HISTORICAL:
            held_ns = self._source_ns[place]
            floor_ns = np.maximum(held_ns, self._tick_ns - _CLOCK_BEHIND_NS_MAX)
            is_wrong |= (time_ns < floor_ns) & (held_ns <= received_ns)
        return np.where(is_wrong, received_ns, time_ns) if is_wrong.any() else time_ns

    def _ticks_of(self, time_ns: TimeArray) -> TimeArray:
        """Return the tick that each sample belongs to; late ones belong to the open tick."""
        ticks_ns = -(-time_ns // self._period_ns) * self._period_ns
        return np.asarray(np.maximum(ticks_ns, self._tick_ns), dtype=np.int64)

    def _close_until(self, next_ns: int) -> Iterator[Snapshot]:
        if self._tick_ns == NEVER_NS:
            return
        yield self._snapshot(self._tick_ns)
        stale_ns = self.heard_ns + int(self._stale_ns.max())
        edge_ns = (stale_ns // self._period_ns + 1) * self._period_ns
        if self._tick_ns < edge_ns < next_ns:
            yield self._snapshot(edge_ns)

    def _scatter(
        self, place: IndexArray, time_ns: TimeArray, value: FloatArray, status: StatusArray
    ) -> None:
        fresh = time_ns >= self._source_ns[place]
        if not fresh.all():
            place, time_ns = place[fresh], time_ns[fresh]
            value, status = value[fresh], status[fresh]
            if place.size == 0:
                return
        # Times ascend, and of repeated places NumPy keeps the last one: the newest sample.
        self._value[place] = value
        self._status[place] = status
        self._source_ns[place] = time_ns
        self.heard_ns = max(self.heard_ns, int(time_ns[-1]))

    def _snapshot(self, time_ns: int) -> Snapshot:
        value = self._value[self._place]
        status = self._status[self._place]
        source_ns = self._source_ns[self._place]
        is_old = (source_ns < time_ns - self._stale_ns) & self._is_mapped
        if is_old.any():
            status[is_old] = np.maximum(status[is_old], Status.UNCERTAIN_LAST_USABLE_VALUE)
            is_silent = (is_old | ~self._is_mapped).all(axis=1)
            status[is_silent] = np.maximum(status[is_silent], Status.BAD_NO_COMMUNICATION)
        bad = is_bad(status)
        no_number = ~np.isfinite(value)
        status[no_number & ~bad] = Status.BAD_OUT_OF_RANGE
        value[no_number | bad] = np.nan
        if self._uses_fallback:
            np.copyto(value, self._fallback, where=self._falls_back)
            np.copyto(status, np.uint32(Status.GOOD), where=self._falls_back)
        return Snapshot(time_ns=time_ns, value=value, status=status, source_ns=source_ns)
