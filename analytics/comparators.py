"""Limits with hysteresis and delays, many at once: the numerics beneath the alarms.

Theory. A signal is sample and hold: between two samples it keeps the value of the first. A
comparator follows it with hysteresis (beyond the limit: on; back by the dead band: off), and its
output follows the comparator after an on-delay or an off-delay. Every switch therefore happens at
an instant computed from sample times alone, whatever frames the samples came in: the same data
gives the same switches at the same nanosecond.

A Bad sample is no information: the comparator keeps its state, and while the newest sample is Bad
no delay runs out. A delay that would have run out meanwhile does so with the next good sample.

An output that goes on too often within a window chatters (ISA-18.2-2016, 16.5): from then on it is
held, which lengthens its off-delay, until it was within for all of that time once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.instants import NEVER_NS
from gateway.core.arrays import BoolArray, FloatArray, TimeArray, rebased

PositionArray = NDArray[np.intp]
"""Positions of comparators."""

_WITHIN, _KEEP, _BEYOND, _BAD = np.uint8(0), np.uint8(1), np.uint8(2), np.uint8(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatterRule:
    """When an output chatters, and what is done about it."""

    raises: int
    """It chatters when it goes on so many times within the window; 2 at the least."""
    window_ns: int
    """Positive."""
    hold_ns: int
    """Off-delay while it is held, where its own is not longer; positive."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        assert self.raises >= 2, self.raises
        assert self.window_ns > 0, self.window_ns
        assert self.hold_ns > 0, self.hold_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One comparator's output went on or off."""

    position: int
    """Which comparator."""
    time_ns: int
    """When the delay ran out."""
    onset_ns: int
    """When the comparator first stood so."""
    is_on: bool
    """Whether it went on."""
    value: float
    """The newest known value at that time."""
    is_held: bool = False
    """Gone on: whether it chatters from here on. Gone off: whether it did until now."""


class Comparators:
    """The k comparators and everything they remember."""

    def __init__(
        self,
        *,
        limit: FloatArray,
        is_above: BoolArray,
        dead_band: FloatArray,
        on_delay_ns: TimeArray,
        off_delay_ns: TimeArray,
        chatter: ChatterRule | None = None,
        can_chatter: BoolArray | None = None,
    ) -> None:
        """Begin with all outputs off and nothing known.

        Args:
            limit: Beyond is strictly beyond, shape (k,).
            is_above: Whether beyond is above the limit, else below, shape (k,).
            dead_band: How far back it must come to be within, not negative, shape (k,).
            on_delay_ns: How long it must be beyond before the output goes on, shape (k,).
            off_delay_ns: How long it must be within before the output goes off, shape (k,).
            chatter: When an output is held; None never holds one.
            can_chatter: Which outputs the rule is for, shape (k,); None is all.
        """
        self._sign = np.where(is_above, 1.0, -1.0)
        self._limit = self._sign * limit
        self._back = self._limit - dead_band
        self._delay_ns = np.stack([off_delay_ns, on_delay_ns])
        count = len(limit)
        self._chatter = chatter
        self._can_chatter = np.ones(count, np.bool_) if can_chatter is None else can_chatter
        self.is_held: BoolArray = np.zeros(count, dtype=np.bool_)
        remembered = chatter.raises - 1 if chatter else 0
        self.went_on_ns: TimeArray = np.full((count, remembered), NEVER_NS, dtype=np.int64)
        self.is_on: BoolArray = np.zeros(count, dtype=np.bool_)
        self.is_beyond: BoolArray = np.zeros(count, dtype=np.bool_)
        self.is_known: BoolArray = np.zeros(count, dtype=np.bool_)
        self.since_ns: TimeArray = np.full(count, NEVER_NS, dtype=np.int64)
        self.resumed_ns: TimeArray = np.full(count, NEVER_NS, dtype=np.int64)
        self.newest_ns: TimeArray = np.full(count, NEVER_NS, dtype=np.int64)
        self.value: FloatArray = np.full(count, np.nan)

    def feed(
        self, position: PositionArray, time_ns: TimeArray, value: FloatArray, is_bad: BoolArray
    ) -> list[Switch]:
        """Take in samples in the order of their arrival and return what they switched.

        A sample that is not newer than the newest one of its comparator is ignored; a Bad one
        may be as old. A value that is no number counts as Bad.

        Args:
            position: The comparator each sample is for, shape (p,).
            time_ns: Shape (p,).
            value: Shape (p,).
            is_bad: Shape (p,).
        """
        order = np.argsort(position, kind="stable")
        position, time_ns, value = position[order], time_ns[order], value[order]
        side = self._side(position, value, is_bad[order])
        keep = self._is_new(position, time_ns, side == _BAD)
        position, time_ns, value, side = position[keep], time_ns[keep], value[keep], side[keep]
        is_step = _is_first(position)
        is_step[1:] |= side[1:] != side[:-1]
        step = np.flatnonzero(is_step)
        switches: list[Switch] = []
        for chosen in _rounds(position[step]):
            at = step[chosen]
            switches += self._fire(position[at], time_ns[at] - 1)
            self._apply(position[at], time_ns[at], side[at])
            self.value[position[at]] = np.where(
                side[at] == _BAD, self.value[position[at]], value[at]
            )
        known = side != _BAD
        # Assignment by position keeps the last of several, and they are in the order of time.
        self.newest_ns[position[known]] = time_ns[known]
        self.value[position[known]] = value[known]
        return switches

    def set_back_ns(
        self, position: PositionArray, time_ns: TimeArray, *, received_ns: int
    ) -> TimeArray:
        """Return how far the clock behind each sample was set back, negative; 0 is not at all.

        It was, when a sample that was received after the newest time of its comparator bears an
        older one; or the same one, when the value was Bad in between.

        Args:
            position: The comparator that each good sample is for, shape (p,).
            time_ns: Shape (p,).
            received_ns: Of all of them.
        """
        newest_ns = self.newest_ns[position]
        is_back = (time_ns < newest_ns) | ((time_ns == newest_ns) & ~self.is_known[position])
        is_back &= (newest_ns <= received_ns) & (newest_ns != NEVER_NS)
        return np.where(is_back, time_ns - 1 - newest_ns, 0)

    def rebase(self, shift_ns: int | TimeArray) -> None:
        """Move every remembered time: the clock that the data's times come from was set.

        Args:
            shift_ns: Of all, or of each comparator, shape (k,).
        """
        self.since_ns = rebased(self.since_ns, shift_ns)
        self.resumed_ns = rebased(self.resumed_ns, shift_ns)
        self.newest_ns = rebased(self.newest_ns, shift_ns)
        shift_of_each = np.broadcast_to(np.asarray(shift_ns, dtype=np.int64), self.is_on.shape)
        self.went_on_ns = rebased(
            self.went_on_ns, np.broadcast_to(shift_of_each[:, None], self.went_on_ns.shape)
        )

    def forget(self, position: int) -> None:
        """Let one comparator begin anew, off and with nothing known."""
        self.is_on[position] = self.is_beyond[position] = self.is_known[position] = False
        self.is_held[position] = False
        for times_ns in (self.since_ns, self.resumed_ns, self.newest_ns):
            times_ns[position] = NEVER_NS
        self.went_on_ns[position] = NEVER_NS
        self.value[position] = np.nan

    def advance(self, now_ns: TimeArray) -> list[Switch]:
        """Let time pass up to an instant for each comparator, shape (k,), and return switches."""
        return self._fire(np.arange(len(self.is_on)), now_ns)

    def _side(
        self, position: PositionArray, value: FloatArray, is_bad: BoolArray
    ) -> NDArray[np.uint8]:
        signed = self._sign[position] * value
        side = np.full(len(value), _KEEP)
        side[signed > self._limit[position]] = _BEYOND
        side[signed <= self._back[position]] = _WITHIN
        side[is_bad | np.isnan(value)] = _BAD
        return side

    def _is_new(self, position: PositionArray, time_ns: TimeArray, is_bad: BoolArray) -> BoolArray:
        """Return which samples are newer than all good ones before them, shape (p,)."""
        newest = np.where(is_bad, NEVER_NS, time_ns)
        shift = 1
        while shift < len(position):
            # A running maximum within each comparator's samples, in log2(p) whole-array steps.
            same = position[shift:] == position[:-shift]
            if not same.any():
                break
            reach = np.where(same, newest[:-shift], NEVER_NS)
            newest[shift:] = np.maximum(newest[shift:], reach)
            shift *= 2
        before = self.newest_ns[position]
        before[1:] = np.where(
            _is_first(position)[1:], before[1:], np.maximum(before[1:], newest[:-1])
        )
        is_new: BoolArray = (time_ns > before) | (is_bad & (time_ns == before))
        return is_new

    def _apply(self, position: PositionArray, time_ns: TimeArray, side: NDArray[np.uint8]) -> None:
        """Take in at most one sample for each comparator."""
        is_known = side != _BAD
        is_resumed = is_known & ~self.is_known[position]
        self.resumed_ns[position] = np.where(is_resumed, time_ns, self.resumed_ns[position])
        self.is_known[position] = is_known
        was_beyond = self.is_beyond[position]
        is_beyond = np.where(side == _BEYOND, True, np.where(side == _WITHIN, False, was_beyond))
        self.since_ns[position] = np.where(
            is_beyond != was_beyond, time_ns, self.since_ns[position]
        )
        self.is_beyond[position] = is_beyond

    def _fire(self, position: PositionArray, now_ns: TimeArray) -> list[Switch]:
        """Switch the outputs whose delay has run out at the given times."""
        is_beyond = self.is_beyond[position]
        waits = self.is_known[position] & (is_beyond != self.is_on[position])
        if not waits.any():
            return []
        position, now_ns, is_beyond = position[waits], now_ns[waits], is_beyond[waits]
        delay_ns = self._delay_ns[is_beyond.astype(np.intp), position]
        if self._chatter is not None:
            is_kept = self.is_held[position] & ~is_beyond
            delay_ns = np.where(is_kept, np.maximum(delay_ns, self._chatter.hold_ns), delay_ns)
        due_ns = np.maximum(self.since_ns[position] + delay_ns, self.resumed_ns[position])
        is_due = due_ns <= now_ns
        switched, due_ns = position[is_due], due_ns[is_due]
        self.is_on[switched] = is_beyond[is_due]
        is_held = self._hold(switched, due_ns)
        return [
            Switch(
                position=int(k),
                time_ns=int(time),
                onset_ns=int(self.since_ns[k]),
                is_on=bool(self.is_on[k]),
                value=float(self.value[k]),
                is_held=bool(held),
            )
            for k, time, held in zip(switched, due_ns, is_held, strict=True)
        ]

    def _hold(self, switched: PositionArray, time_ns: TimeArray) -> BoolArray:
        """Note what has just switched, each once; return which begin or end to be held."""
        if self._chatter is None or not len(switched):
            return np.zeros(len(switched), dtype=np.bool_)
        is_on, was_held = self.is_on[switched], self.is_held[switched]
        oldest_ns = self.went_on_ns[switched, 0]
        is_often = (oldest_ns != NEVER_NS) & (time_ns <= oldest_ns + self._chatter.window_ns)
        begins = is_on & is_often & self._can_chatter[switched]
        ends = ~is_on & was_held
        on = switched[is_on]
        self.went_on_ns[on, :-1] = self.went_on_ns[on, 1:]
        self.went_on_ns[on, -1] = time_ns[is_on]
        self.went_on_ns[switched[ends]] = NEVER_NS
        self.is_held[switched] = (was_held & is_on) | begins
        changed: BoolArray = begins | ends
        return changed


def _is_first(position: PositionArray) -> BoolArray:
    """Return where a sorted position differs from the one before it, shape (p,)."""
    is_first = np.ones(len(position), dtype=np.bool_)
    is_first[1:] = position[1:] != position[:-1]
    return is_first


def _rounds(position: PositionArray) -> list[PositionArray]:
    """Return the first sample of every comparator, then the second of every one that has one...

    Args:
        position: Sorted, shape (p,).
    """
    rank = np.arange(len(position)) - np.searchsorted(position, position)
    return [np.flatnonzero(rank == r) for r in range(int(rank.max(initial=-1)) + 1)]
