"""Healthy rows of a running machine, put together from its samples and its alarms.

A twin writes one derived frame a tick: the columns of all its assets and their `state`, all with
the time of the tick. A row is a tick for which every column of the model is there and Good while
the state is RUNNING, outside of every time in which the asset was not known to be healthy.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, TimeArray
from gateway.core.events import Transition
from gateway.core.rows import OperatingState

STATE: Final = "state"
"""The derived tag `asset.state` holds the `OperatingState` as a number."""
EVER_NS: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time, both ends inclusive."""

    from_ns: int
    """UTC."""
    to_ns: int
    """UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmEdge:
    """An alarm of an asset was raised, or came back to normal."""

    asset: str
    condition: str
    transition: Transition
    time_ns: int
    """UTC."""
    onset_ns: int | None
    """When its cause began, as far as known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """The Good samples of one tag."""

    time_ns: TimeArray
    """UTC, shape (n,), rising."""
    value: FloatArray
    """Shape (n,)."""

    @classmethod
    def of(cls, time_ns: TimeArray, value: FloatArray) -> "Series":
        """Return samples in the order of time, the last one of equal times."""
        times, first_from_behind = np.unique(time_ns[::-1], return_index=True)
        return cls(time_ns=times, value=value[::-1][first_from_behind])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HealthyRows:
    """Rows of one asset."""

    time_ns: TimeArray
    """The tick of each row, UTC, shape (n,), rising; stops and alarms leave gaps."""
    value: FloatArray
    """Shape (n, m), finite, in the columns' units."""
    alarm_row_count: int
    """Running rows that were left out for an alarm."""


def healthy_rows(
    state: Series, columns: Sequence[Series], *, unhealthy: Iterable[Span]
) -> HealthyRows:
    """Return the rows of a running asset outside of its alarms.

    Args:
        state: Of the asset.
        columns: Of the model, m of them.
        unhealthy: Times to leave out.
    """
    times = state.time_ns[state.value == OperatingState.RUNNING]
    value = np.full((len(times), len(columns)), np.nan)
    for place, column in enumerate(columns):
        _, rows, found = np.intersect1d(
            times, column.time_ns, assume_unique=True, return_indices=True
        )
        value[rows, place] = column.value[found]
    is_whole = np.isfinite(value).all(axis=1)
    is_alarmed = _within(times, unhealthy)
    keep = is_whole & ~is_alarmed
    return HealthyRows(
        time_ns=times[keep],
        value=value[keep],
        alarm_row_count=int((is_whole & is_alarmed).sum()),
    )


def alarm_spans(edges: Iterable[AlarmEdge], *, margin_ns: int) -> Iterator[tuple[str, Span]]:
    """Yield each asset and a time in which one of its alarms was active.

    A span begins at the alarm's onset where it is known, and a margin before that. An alarm that
    never returned is still active.

    Args:
        edges: In the order of time; other transitions than raised and returned count for nothing.
        margin_ns: Time before an alarm that is not taken for healthy either.
    """
    open_since: dict[tuple[str, str], int] = {}
    for edge in edges:
        alarm = (edge.asset, edge.condition)
        if edge.transition is Transition.RAISED:
            onset_ns = edge.time_ns if edge.onset_ns is None else edge.onset_ns
            open_since.setdefault(alarm, min(onset_ns, edge.time_ns))
        elif edge.transition is Transition.RETURNED and alarm in open_since:
            began_ns = open_since.pop(alarm) - margin_ns
            yield edge.asset, Span(from_ns=max(began_ns, 0), to_ns=edge.time_ns)
    for (asset, _), began_ns in open_since.items():
        yield asset, Span(from_ns=max(began_ns - margin_ns, 0), to_ns=EVER_NS)


def _within(times: TimeArray, spans: Iterable[Span]) -> BoolArray:
    """Return which times lie in one of the spans, same shape."""
    inside = np.zeros(len(times), dtype=np.bool_)
    for span in spans:
        inside |= (times >= span.from_ns) & (times <= span.to_ns)
    return inside
