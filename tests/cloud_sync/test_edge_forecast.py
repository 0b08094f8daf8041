import pytest

from cloud_sync.edge.forecast import DrainForecast

SECOND_NS = 1_000_000_000


def test_nothing_left_takes_no_time() -> None:
    assert DrainForecast().drain_s(0) == 0.0


def test_one_look_tells_nothing() -> None:
    forecast = DrainForecast()
    forecast.seen(100, now_ns=0)
    assert forecast.drain_s(100) is None


def test_the_rest_takes_as_long_as_it_did_so_far() -> None:
    forecast = DrainForecast()
    for second in range(5):
        forecast.seen(1000 - 100 * second, now_ns=second * SECOND_NS)
    assert forecast.drain_s(600) == pytest.approx(6.0)


def test_a_backlog_that_stands_still_has_no_end() -> None:
    forecast = DrainForecast()
    forecast.seen(100, now_ns=0)
    forecast.seen(100, now_ns=SECOND_NS)
    assert forecast.drain_s(100) is None


def test_a_new_backlog_is_not_measured_by_the_old_one() -> None:
    forecast = DrainForecast()
    forecast.seen(100, now_ns=0)
    forecast.seen(10, now_ns=SECOND_NS)
    forecast.seen(5000, now_ns=2 * SECOND_NS)
    assert forecast.drain_s(5000) is None
