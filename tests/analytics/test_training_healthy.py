"""Healthy rows: whole, running, and away from every alarm."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.training.healthy import (
    EVER_NS,
    AlarmEdge,
    Series,
    Span,
    alarm_spans,
    healthy_rows,
)
from gateway.core.events import Transition
from gateway.core.rows import OperatingState

RUNNING, OFF = float(OperatingState.RUNNING), float(OperatingState.OFF)


def series(points: dict[int, float]) -> Series:
    return Series.of(np.array(list(points), dtype=np.int64), np.array(list(points.values())))


def edge(time_ns: int, transition: Transition, onset_ns: int | None = None) -> AlarmEdge:
    return AlarmEdge(
        asset="P-101", condition="hot", transition=transition, time_ns=time_ns, onset_ns=onset_ns
    )


def test_the_last_of_equal_times_counts() -> None:
    found = Series.of(np.array([3, 1, 3], dtype=np.int64), np.array([1.0, 2.0, 5.0]))
    assert found.time_ns.tolist() == [1, 3]
    assert found.value.tolist() == [2.0, 5.0]


def test_only_whole_running_rows_outside_of_alarms_are_healthy() -> None:
    state = series({1: RUNNING, 2: OFF, 3: RUNNING, 4: RUNNING, 5: RUNNING})
    first = series({1: 10.0, 2: 20.0, 3: 30.0, 4: 40.0, 5: 50.0})
    second = series({1: 1.0, 3: np.nan, 4: 4.0, 5: 5.0})
    rows = healthy_rows(state, [first, second], unhealthy=[Span(from_ns=5, to_ns=9)])
    assert rows.time_ns.tolist() == [1, 4]
    assert rows.value.tolist() == [[10.0, 1.0], [40.0, 4.0]]
    assert rows.alarm_row_count == 1


def test_an_alarm_spans_from_before_its_onset_to_its_return() -> None:
    edges = [
        edge(100, Transition.RAISED, onset_ns=80),
        edge(120, Transition.ACKNOWLEDGED),
        edge(150, Transition.RETURNED),
        edge(200, Transition.RAISED),
    ]
    assert list(alarm_spans(edges, margin_ns=10)) == [
        ("P-101", Span(from_ns=70, to_ns=150)),
        ("P-101", Span(from_ns=190, to_ns=EVER_NS)),
    ]


def test_nothing_gives_nothing() -> None:
    rows = healthy_rows(series({}), [series({})], unhealthy=[])
    assert rows.value.shape == (0, 1)
    assert not list(alarm_spans([], margin_ns=10))


@given(
    times=st.lists(st.integers(0, 50), max_size=40),
    spans=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=4),
)
def test_no_row_lies_in_a_span(times: list[int], spans: list[tuple[int, int]]) -> None:
    state = series(dict.fromkeys(sorted(times), RUNNING))
    unhealthy = [Span(from_ns=a, to_ns=b) for a, b in spans]
    rows = healthy_rows(state, [state], unhealthy=unhealthy)
    inside = {t for t in times for a, b in spans if a <= t <= b}
    assert set(rows.time_ns.tolist()) == set(times) - inside
    assert rows.alarm_row_count == len(inside)
