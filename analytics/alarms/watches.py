"""What the alarms and their suppressors watch, as one set of comparators.

Positions 0 to k - 1 are the alarms in their order; behind them stand the suppressors, each once
however many alarms it suppresses. A suppressor that is another alarm is a comparator of its own
with that alarm's limit: it is active exactly when the other one is, but for its longer off-delay.
Whether the other one is itself silent makes no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.comparators import ChatterRule, Comparators, PositionArray
from analytics.limits import AlarmLimit, Suppressor
from gateway.core.alarms import AlarmId
from gateway.core.arrays import FloatArray
from gateway.core.errors import ConfigError
from gateway.core.tags import TagId

_STATES_MAX: Final = 62
"""Bits of a number of 64; the highest state is far below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One comparator before it runs."""

    tag: TagId
    is_above: bool
    includes_limit: bool
    limit: float
    dead_band: float = 0.0
    delay_ns: int = 0
    off_delay_ns: int = 0
    states: tuple[int, ...] = ()
    """The values that count, instead of the limit; empty is the limit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watches:
    """All comparators of a board, before they run."""

    alarm_count: int
    """k: how many of them are alarms."""
    all: tuple[Watch, ...]
    """The alarms, then the suppressors."""
    suppresses: tuple[tuple[int, ...], ...]
    """The alarms that each suppressor suppresses."""
    suppressed_by: tuple[tuple[tuple[int, str], ...], ...]
    """Position and text of what suppresses each alarm."""
    state_bits: NDArray[np.int64]
    """The states that count, a bit each, shape (n,); 0 is a limit."""

    @classmethod
    def build(cls, limits: Sequence[AlarmLimit]) -> "Watches":
        """Return what these alarms need.

        Raises:
            ConfigError: an alarm is to be suppressed by one that is not there, or by itself.
        """
        mistakes: list[str] = []
        found = [_watch_of(limit) for limit in limits]
        by_id = {limit.id: limit for limit in limits}
        places: dict[Watch, int] = {}
        suppressed_by: list[tuple[tuple[int, str], ...]] = []
        for limit in limits:
            own: list[tuple[int, str]] = []
            for suppressor in limit.suppressors:
                watch = _suppressing(limit, suppressor, by_id, mistakes)
                if watch is not None:
                    place = places.setdefault(watch, len(limits) + len(places))
                    own.append((place, suppressor.text))
            suppressed_by.append(tuple(own))
        mistakes += _circles(limits)
        if mistakes:
            raise ConfigError(*mistakes)
        every = (*found, *places)
        suppresses: list[list[int]] = [[] for _ in places]
        for position, suppressors in enumerate(suppressed_by):
            for place in {place for place, _ in suppressors}:
                suppresses[place - len(limits)].append(position)
        return cls(
            alarm_count=len(limits),
            all=every,
            suppresses=tuple(map(tuple, suppresses)),
            suppressed_by=tuple(suppressed_by),
            state_bits=np.array(
                [sum(1 << state for state in watch.states) for watch in every], dtype=np.int64
            ),
        )

    def comparators(self, chatter: ChatterRule | None) -> Comparators:
        """Return them, ready to run; only alarms are held when they chatter."""
        is_above = np.array([watch.is_above for watch in self.all], dtype=np.bool_)
        limit = np.array([watch.limit for watch in self.all], dtype=np.float64)
        # Beyond is strictly beyond; a limit that belongs to it moves by the smallest step there is.
        nudged: FloatArray = np.nextafter(limit, np.where(is_above, -np.inf, np.inf))
        includes = np.array([watch.includes_limit for watch in self.all], dtype=np.bool_)
        return Comparators(
            limit=np.where(includes, nudged, limit),
            is_above=is_above,
            dead_band=np.array([watch.dead_band for watch in self.all], dtype=np.float64),
            on_delay_ns=np.array([watch.delay_ns for watch in self.all], dtype=np.int64),
            off_delay_ns=np.array([watch.off_delay_ns for watch in self.all], dtype=np.int64),
            chatter=chatter,
            can_chatter=np.arange(len(self.all)) < self.alarm_count,
        )

    def seen(self, position: PositionArray, value: FloatArray) -> FloatArray:
        """Return values as their comparators see them: 1 and 0 for a state that counts or not.

        Args:
            position: Which comparator each value is for, shape (p,).
            value: Shape (p,); NaN stays.
        """
        bits = self.state_bits[position]
        is_state = (bits != 0) & ~np.isnan(value)
        if not is_state.any():
            return value
        # What is no state at all, such as -1 or 1e9, is no bit of them either.
        state = np.clip(np.where(is_state, value, 0), 0, _STATES_MAX).astype(np.int64)
        return np.where(is_state, ((bits >> state) & 1).astype(np.float64), value)


def _watch_of(limit: AlarmLimit) -> Watch:
    return Watch(
        tag=limit.tag,
        is_above=limit.is_above,
        includes_limit=limit.includes_limit,
        limit=limit.limit,
        dead_band=limit.dead_band,
        delay_ns=limit.delay_ns,
        off_delay_ns=limit.off_delay_ns,
    )


def _circles(limits: Sequence[AlarmLimit]) -> list[str]:
    """Return a mistake where alarms suppress each other: all of them active, none would speak."""
    graph = {
        limit.id: [each.alarm for each in limit.suppressors if each.alarm not in (None, limit.id)]
        for limit in limits
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = ", ".join(error.args[1][:-1])
        return [f"suppress_when: these alarms suppress each other in a circle: {circle}"]
    return []


def _suppressing(
    limit: AlarmLimit,
    suppressor: Suppressor,
    by_id: dict[AlarmId, AlarmLimit],
    mistakes: list[str],
) -> Watch | None:
    """Return the comparator of a suppressor; None, with a mistake noted, when there is none."""
    if suppressor.alarm is None:
        assert suppressor.tag is not None
        return Watch(
            tag=suppressor.tag,
            is_above=suppressor.is_above,
            includes_limit=suppressor.includes_limit,
            limit=0.5 if suppressor.states else suppressor.limit,
            off_delay_ns=limit.suppress_off_delay_ns,
            states=suppressor.states,
        )
    other = by_id.get(suppressor.alarm)
    if other is None or other is limit:
        why = "there is no such alarm" if other is None else "an alarm cannot suppress itself"
        mistakes.append(f"alarm {limit.id}: suppress_when names {suppressor.alarm}: {why}")
        return None
    return Watch(
        tag=other.tag,
        is_above=other.is_above,
        includes_limit=other.includes_limit,
        limit=other.limit,
        dead_band=other.dead_band,
        delay_ns=other.delay_ns,
        off_delay_ns=other.off_delay_ns + limit.suppress_off_delay_ns,
    )
