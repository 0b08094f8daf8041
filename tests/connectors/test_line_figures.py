"""What a line measures of itself, compared with adding it all up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.line_figures import WINDOW_S, BusyTime, Latencies, Turnarounds


@given(st.lists(st.tuples(st.floats(0.01, 0.6), st.booleans()), min_size=30, max_size=120))
def test_the_busy_share_is_the_busy_part_of_the_window(steps: list[tuple[float, bool]]) -> None:
    """Measured from a point up to a second beside the window's begin; so compared with both."""
    busy = BusyTime(0.0)
    now_s, is_busy = 0.0, False
    spans: list[tuple[float, float]] = []
    for step_s, is_next_busy in steps:
        if is_busy:
            spans.append((now_s, now_s + step_s))
        now_s += step_s
        is_busy = is_next_busy
        busy.set(now_s, is_busy=is_busy)
    shares = [share_since(spans, max(0.0, now_s - back_s), now_s) for back_s in back_to()]
    assert min(shares) - 0.02 <= busy.share(now_s) <= max(shares) + 0.02


def back_to() -> list[float]:
    """Return how far back the point that is measured from can be: steps are up to 0.6 s."""
    return [WINDOW_S - 1.7 + 0.02 * k for k in range(200)]


def share_since(spans: list[tuple[float, float]], begin_s: float, end_s: float) -> float:
    return sum(max(0.0, to_s - max(from_s, begin_s)) for from_s, to_s in spans) / (end_s - begin_s)


def test_a_busy_line_is_busy_while_it_waits() -> None:
    busy = BusyTime(100.0)
    busy.set(100.0, is_busy=True)
    assert busy.share(103.0) == pytest.approx(1.0)
    busy.set(103.0, is_busy=False)
    assert busy.share(120.0) < 0.2


def test_rate_and_median_are_of_late() -> None:
    latencies = Latencies(0.0)
    assert latencies.median_s() is None
    assert latencies.per_s(0.0) == 0.0
    for k in range(200):
        latencies.note(0.5, 0.1 * k)
    for k in range(200):
        latencies.note(0.002, 20.0 + 0.05 * k)
    assert latencies.median_s() == 0.002
    assert latencies.per_s(30.0) == pytest.approx(20.0, rel=0.1)
    assert latencies.per_s(90.0) < 2.0


def test_a_probe_is_given_what_the_others_take_and_never_more_than_the_timeout() -> None:
    turnarounds = Turnarounds(factor=10, probe_s_min=0.1)
    assert turnarounds.probe_s(1, 2.0) == 2.0  # nothing is known
    turnarounds.learn(1, 0.001)
    assert turnarounds.probe_s(2, 2.0) == 0.1
    for _ in range(100):
        turnarounds.learn(1, 0.05)
    assert turnarounds.probe_s(2, 2.0) == pytest.approx(0.5, rel=0.01)
    turnarounds.learn_late(2, 1.4)
    assert turnarounds.probe_s(2, 2.0) == 2.0
    assert turnarounds.probe_s(1, 2.0) == pytest.approx(0.5, rel=0.01)
