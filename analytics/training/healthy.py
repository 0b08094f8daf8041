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
from gateway.core.cases import CLOSED, VERDICT_BY_CONDITION, Verdict
from gateway.core.events import Transition
from gateway.core.rows import OperatingState

STATE: Final = "state"
"""The derived tag `asset.state` holds the `OperatingState` as a number."""
ALARM_ENDS: Final = frozenset(
    (
        Transition.RETURNED,
        Transition.UNSHELVED,
        Transition.UNSUPPRESSED,
        Transition.IN_SERVICE,
    )
)
"""What is silenced tells nothing of its condition: such an alarm ends with its silence, and one
that is still active is raised again at the same instant."""
EVER_NS: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time, both ends inclusive."""

    from_ns: int
    """UTC."""
    to_ns: int
    """UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What an event tells of an asset: of its alarms and of its cases."""

    asset: str
    condition: str
    transition: Transition
    time_ns: int
    """UTC."""
    onset_ns: int | None
    """When its cause began, or its case was opened, as far as known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a technician found behind the case of an asset: a label."""

    asset: str
    verdict: Verdict
    span: Span
    """From the opening of the case to its closing; without an end while it is open."""


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


def findings(happenings: Iterable[Happening]) -> tuple[Finding, ...]:
    """Return what technicians found, one finding a case; the latest verdict counts.

    Args:
        happenings: In the order of time; what is of no case counts for nothing.
    """
    verdicts: dict[tuple[str, int], Verdict] = {}
    ends: dict[tuple[str, int], int] = {}
    for each in happenings:
        if each.onset_ns is None:
            continue
        case = (each.asset, each.onset_ns)
        if each.condition in VERDICT_BY_CONDITION:
            verdicts[case] = VERDICT_BY_CONDITION[each.condition]
        elif each.condition == CLOSED:
            ends[case] = each.time_ns
    return tuple(
        Finding(
            asset=case[0],
            verdict=verdict,
            span=Span(from_ns=case[1], to_ns=ends.get(case, EVER_NS)),
        )
        for case, verdict in verdicts.items()
    )


def unhealthy_spans(
    happenings: Sequence[Happening], *, margin_ns: int
) -> Iterator[tuple[str, Span]]:
    """Yield each asset and a time in which it is not known to be healthy.

    That is while one of its alarms is active, unless a technician found nothing wrong, and all of
    a case that was confirmed or was planned work. A span begins at the alarm's onset where it is
    known, and a margin before that. An alarm that never returned is still active.

    Args:
        happenings: In the order of time.
        margin_ns: Time before an alarm that is not taken for healthy either.
    """
    found = findings(happenings)
    false = [each for each in found if each.verdict is Verdict.FALSE]
    for asset, raised_ns, span in _alarm_spans(happenings, margin_ns):
        if not any(each.asset == asset and _holds(each.span, raised_ns) for each in false):
            yield asset, span
    for each in found:
        if each.verdict is not Verdict.FALSE:
            began_ns = max(each.span.from_ns - margin_ns, 0)
            yield each.asset, Span(from_ns=began_ns, to_ns=each.span.to_ns)


def _alarm_spans(
    happenings: Iterable[Happening], margin_ns: int
) -> Iterator[tuple[str, int, Span]]:
    """Yield asset, time of the raise, and span of each alarm."""
    active: dict[tuple[str, str], tuple[int, int]] = {}
    for each in happenings:
        alarm = (each.asset, each.condition)
        if each.transition is Transition.RAISED:
            onset_ns = each.time_ns if each.onset_ns is None else each.onset_ns
            began_ns = max(min(onset_ns, each.time_ns) - margin_ns, 0)
            active.setdefault(alarm, (each.time_ns, began_ns))
        elif each.transition in ALARM_ENDS and alarm in active:
            raised_ns, began_ns = active.pop(alarm)
            yield each.asset, raised_ns, Span(from_ns=began_ns, to_ns=each.time_ns)
    for (asset, _), (raised_ns, began_ns) in active.items():
        yield asset, raised_ns, Span(from_ns=began_ns, to_ns=EVER_NS)


def _holds(span: Span, time_ns: int) -> bool:
    return span.from_ns <= time_ns <= span.to_ns


def _within(times: TimeArray, spans: Iterable[Span]) -> BoolArray:
    """Return which times lie in one of the spans, same shape."""
    inside = np.zeros(len(times), dtype=np.bool_)
    for span in spans:
        inside |= (times >= span.from_ns) & (times <= span.to_ns)
    return inside
