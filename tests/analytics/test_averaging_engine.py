"""Means over a model's period where rows come faster: when they decide, holes, restarts, clocks."""

import numpy as np
import pytest

from analytics.anomaly.averaging_engine import AveragingEngine
from analytics.anomaly.engine import Assessed
from gateway.core.arrays import BoolArray, FloatArray
from gateway.recordings.pace import period_means
from tests.analytics.frames import NS

PERIOD_S = 5.0
ALL = np.ones(2, dtype=np.bool_)


class Listener:
    """An engine whose score is the first column of what it was given, and which notes it."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, FloatArray, BoolArray]] = []

    def update(self, time_ns: int, value: FloatArray, counts: BoolArray) -> Assessed:
        self.heard.append((time_ns, value.copy(), counts.copy()))
        return Assessed(
            score=np.where(counts, value[:, 0], np.nan),
            is_waiting=np.zeros(len(value), dtype=np.bool_),
            is_begun=np.ones(len(value), dtype=np.bool_),
        )

    def shares(self) -> FloatArray:
        return np.ones((2, 2))

    def rebase(self, shift_ns: int) -> None:
        self.heard = [(at + shift_ns, value, counts) for at, value, counts in self.heard]

    def checkpoint(self) -> str:
        return "remembered"

    def restore(self, checkpoint: str) -> None:
        assert checkpoint == "remembered"


def engine() -> tuple[AveragingEngine, Listener]:
    inner = Listener()
    return AveragingEngine(inner, period_s=PERIOD_S, asset_count=2, column_count=2), inner


def rows(count: int) -> FloatArray:
    """Values of two assets and columns, shape (r, 2, 2)."""
    return np.random.default_rng(4).normal(10.0, 1.0, (count, 2, 2))


def test_means_are_those_that_a_training_makes() -> None:
    """The same times and values as `period_means` has, for rows of an uneven pace."""
    host, inner = engine()
    value = rows(60)
    at = np.cumsum(np.random.default_rng(5).uniform(0.3, 1.9, 60) * NS).astype(np.int64)
    for time_ns, row in zip(at.tolist(), value, strict=True):
        host.update(time_ns, row, ALL)
    for asset in range(2):
        ends, means = period_means(at, value[:, asset], period_s=PERIOD_S)
        assert [heard for heard, _, _ in inner.heard] == ends[:-1].tolist()
        np.testing.assert_allclose([each[asset] for _, each, _ in inner.heard], means[:-1])


def test_a_mean_decides_once_and_its_score_stands() -> None:
    host, _ = engine()
    value = rows(12)
    said = [host.update(k * NS, value[k], ALL) for k in range(12)]
    assert [bool(each.is_waiting[0]) for each in said] == [k not in (5, 10) for k in range(12)]
    first, second = value[:5, :, 0].mean(axis=0), value[5:10, :, 0].mean(axis=0)
    assert all(np.isnan(each.score).all() for each in said[:5])
    for k in range(5, 10):
        np.testing.assert_allclose(said[k].score, first)
    np.testing.assert_allclose(said[11].score, second)


def test_rows_that_do_not_count_are_in_no_mean_and_have_no_score() -> None:
    host, inner = engine()
    value = rows(11)
    value[2, 1] = np.nan
    for k in range(11):
        counts = np.array([True, k in (0, 1, 8)])
        said = host.update(k * NS, value[k], counts)
        assert np.isnan(said.score[1]) or counts[1]
    np.testing.assert_allclose(inner.heard[0][1][1], value[:2, 1].mean(axis=0))
    assert inner.heard[1][2].tolist() == [True, True]
    np.testing.assert_allclose(inner.heard[1][1][1], value[8, 1])


def test_an_asset_without_a_row_in_a_period_has_no_score_after_it() -> None:
    host, inner = engine()
    value = rows(11)
    for k in range(11):
        said = host.update(k * NS, value[k], np.array([True, k < 5 or k == 10]))
    assert inner.heard[1][2].tolist() == [True, False]
    assert np.isnan(said.score[1])
    assert said.is_waiting.tolist() == [False, True]


@pytest.mark.parametrize("cut", [1, 4, 5, 7])
def test_a_restart_within_a_mean_changes_nothing(cut: int) -> None:
    value = rows(12)
    whole, heard_whole = engine()
    for k in range(cut):
        whole.update(k * NS, value[k], ALL)
    again, heard_again = engine()
    again.restore(whole.checkpoint())
    heard_whole.heard.clear()
    for k in range(cut, 12):
        one, other = (host.update(k * NS, value[k], ALL) for host in (whole, again))
        np.testing.assert_array_equal(one.score, other.score)
    assert [at for at, _, _ in heard_again.heard] == [at for at, _, _ in heard_whole.heard]


def test_when_the_clock_is_set_the_begun_mean_is_dropped() -> None:
    host, inner = engine()
    value = rows(30)
    for k in range(8):
        host.update(k * NS, value[k], ALL)
    host.rebase(-3600 * NS)
    for k in range(8, 30):
        host.update(k * NS - 3600 * NS, value[k], ALL)
    times = [at for at, _, _ in inner.heard]
    assert times == sorted(set(times))
    np.testing.assert_allclose(inner.heard[1][1], value[8:10].mean(axis=0))
