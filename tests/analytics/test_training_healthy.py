"""Healthy rows: whole, running, and away from every alarm."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.training.healthy import (
    EVER_NS,
    Happening,
    Series,
    Span,
    findings,
    healthy_rows,
    unhealthy_spans,
)
from gateway.core.cases import CLOSED, Verdict
from gateway.core.events import Transition
from gateway.core.rows import OperatingState

RUNNING, OFF = float(OperatingState.RUNNING), float(OperatingState.OFF)


def series(points: dict[int, float]) -> Series:
    return Series.of(np.array(list(points), dtype=np.int64), np.array(list(points.values())))


def edge(time_ns: int, transition: Transition, onset_ns: int | None = None) -> Happening:
    return Happening(
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


def test_an_unhealthy_spans_from_before_its_onset_to_its_return() -> None:
    edges = [
        edge(100, Transition.RAISED, onset_ns=80),
        edge(120, Transition.ACKNOWLEDGED),
        edge(150, Transition.RETURNED),
        edge(200, Transition.RAISED),
    ]
    assert list(unhealthy_spans(edges, margin_ns=10)) == [
        ("P-101", Span(from_ns=70, to_ns=150)),
        ("P-101", Span(from_ns=190, to_ns=EVER_NS)),
    ]


def test_nothing_gives_nothing() -> None:
    rows = healthy_rows(series({}), [series({})], unhealthy=[])
    assert rows.value.shape == (0, 1)
    assert not list(unhealthy_spans([], margin_ns=10))


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


def verdict(verdict: Verdict, opened_ns: int, time_ns: int) -> Happening:
    return Happening(
        asset="P-101",
        condition=verdict.condition,
        transition=Transition.NOTED,
        time_ns=time_ns,
        onset_ns=opened_ns,
    )


def closing(opened_ns: int, time_ns: int) -> Happening:
    return Happening(
        asset="P-101",
        condition=CLOSED,
        transition=Transition.NOTED,
        time_ns=time_ns,
        onset_ns=opened_ns,
    )


def test_rows_of_a_false_alarm_are_healthy_again() -> None:
    alarms = [edge(100, Transition.RAISED), edge(150, Transition.RETURNED)]
    false = verdict(Verdict.FALSE, 100, 160)
    assert list(unhealthy_spans([*alarms, false, closing(100, 160)], margin_ns=10)) == []
    later = [edge(200, Transition.RAISED), edge(210, Transition.RETURNED)]
    happenings = [*alarms, false, closing(100, 160), *later]
    assert list(unhealthy_spans(happenings, margin_ns=10)) == [
        ("P-101", Span(from_ns=190, to_ns=210))
    ]


def test_a_case_that_was_no_false_alarm_is_left_out_whole() -> None:
    for decided in (Verdict.CONFIRMED, Verdict.PLANNED_WORK):
        happenings = [
            edge(100, Transition.RAISED),
            edge(110, Transition.RETURNED),
            verdict(Verdict.FALSE, 100, 120),
            verdict(decided, 100, 130),
            closing(100, 180),
        ]
        assert list(unhealthy_spans(happenings, margin_ns=10)) == [
            ("P-101", Span(from_ns=90, to_ns=110)),
            ("P-101", Span(from_ns=90, to_ns=180)),
        ]


def test_the_latest_verdict_is_the_label() -> None:
    (found,) = findings([verdict(Verdict.FALSE, 100, 120), verdict(Verdict.CONFIRMED, 100, 130)])
    assert (found.verdict, found.span) == (Verdict.CONFIRMED, Span(from_ns=100, to_ns=EVER_NS))
