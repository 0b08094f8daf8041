"""The alarms that nobody writes: which there are, and when they come."""

import numpy as np

from analytics.alarms import LimitAlarms
from analytics.defaults import anomaly_alarms, default_alarms
from gateway.core.rows import AssetId
from tests.analytics.frames import frame_of, table_of

ASSETS = (AssetId("P-101"), AssetId("K-01"))
SCORE = "P-101.anomaly_score"


def test_which_there_are() -> None:
    def ids(columns: tuple[str, ...], *, has_scores: bool) -> list[str]:
        alarms = default_alarms(ASSETS[:1], columns=columns, has_scores=has_scores)
        return [alarm.id for alarm in alarms]

    health, frozen, anomaly = "P-101/health_low", "P-101/sensor_frozen", "P-101/anomaly"
    assert ids(("flow_residual_m3h",), has_scores=True) == [health, frozen, anomaly]
    assert ids(("flow_residual_m3h",), has_scores=False) == [health, frozen]
    assert ids(("flow_m3h",), has_scores=True) == [frozen, anomaly]
    assert ids(("flow_m3h",), has_scores=False) == [frozen]


def alarmed(scores: list[float]) -> list[tuple[str, int]]:
    table = table_of(SCORE)
    board = LimitAlarms(anomaly_alarms(ASSETS[:1]))
    board.bind(table)
    frames = [frame_of(table, (SCORE, k, score)) for k, score in enumerate(scores)]
    return [
        (event.transition.value, event.time_ns // 10**9)
        for frame in frames
        for event in board.update(frame)
    ]


def test_an_anomaly_that_lasts_five_seconds_is_one_alarm() -> None:
    assert alarmed([0.5] * 5 + [1.2] * 30) == [("raised", 10)]


def test_what_is_over_in_seconds_is_none() -> None:
    assert alarmed([0.5] * 5 + [3.0] * 4 + [0.5] * 30) == []


def test_a_score_around_its_threshold_is_one_alarm() -> None:
    dice = np.random.default_rng(3)
    assert len(alarmed([1.5] * 20 + (1.0 + 0.08 * dice.normal(size=3000)).tolist())) == 1


def test_the_alarm_returns_a_minute_after_the_anomaly() -> None:
    assert alarmed([1.5] * 20 + [0.5] * 90) == [("raised", 5), ("returned", 80)]


def test_a_frozen_sensor_is_an_alarm_at_once() -> None:
    table = table_of("K-01.health", "K-01.frozen_signals")
    board = LimitAlarms(
        default_alarms(ASSETS[1:], columns=("current_residual_a",), has_scores=False)
    )
    board.bind(table)
    frames = [frame_of(table, ("K-01.frozen_signals", k, float(k > 2))) for k in range(6)]
    events = [event for frame in frames for event in board.update(frame)]
    assert [(event.condition, event.time_ns // 10**9) for event in events] == [("sensor_frozen", 3)]


def test_health_of_exactly_a_half_is_low() -> None:
    """As a frozen sensor makes it."""
    table = table_of("K-01.health", "K-01.frozen_signals")
    board = LimitAlarms(
        default_alarms(ASSETS[1:], columns=("current_residual_a",), has_scores=False)
    )
    board.bind(table)
    frames = [frame_of(table, ("K-01.health", k, 0.5)) for k in range(40)]
    events = [event for frame in frames for event in board.update(frame)]
    assert [(event.condition, event.time_ns // 10**9) for event in events] == [("health_low", 30)]
