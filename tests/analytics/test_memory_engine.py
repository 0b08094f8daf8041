"""The engine of a memory: events that become alarms, checkpoints, damaged graphs."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from analytics.alarms import LimitAlarms
from analytics.anomaly.memory_engine import FADED_SCORE, MemoryEngine
from analytics.defaults import ANOMALY_ALARM, anomaly_alarms
from analytics.multivariate import AnomalyDetector
from analytics.training.anomaly import train_anomaly
from analytics.training.graph import constants_graph
from gateway.core.arrays import FloatArray
from gateway.core.errors import ModelError
from gateway.core.events import Transition
from gateway.core.rows import AssetId
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.wire.bundle import Bundle, read_bundle, write_bundle
from tests.analytics.frames import NS
from tests.analytics.models import COLUMNS, NAME, TYPE, healthy, model, plain_purpose, rows_at

PURPOSE = replace(plain_purpose(), columns=COLUMNS[1:2])


@cache
def bundle() -> Bundle:
    return train_anomaly([healthy(500)[:, 1:2] + 20.0], PURPOSE).bundle


def later(count: int = 200) -> FloatArray:
    """A column that jumps in its row 100, for two assets, shape (2, r)."""
    rows = np.stack([healthy(count, seed=seed)[:, 1] + 20.0 for seed in (2, 3)])
    rows[1, 100:] += 15.0
    return rows


def played(host: MemoryEngine, rows: FloatArray) -> FloatArray:
    counts = np.ones(len(rows), dtype=np.bool_)
    scores = [host.update(k * NS, row[:, np.newaxis], counts).score for k, row in enumerate(rows.T)]
    return np.stack(scores, axis=1)


def test_an_event_is_above_one_in_one_row_and_then_fades() -> None:
    scores = played(MemoryEngine(bundle().model, asset_count=2), later())
    assert np.flatnonzero(scores[1, 90:] > 1.0).tolist()[0] == 10
    assert (scores[0] > 1.0).sum() <= 2
    assert 0.9 < scores[1, 101] < FADED_SCORE
    assert (scores[1, 101:] > 1.0).sum() <= 3, "only what is worse is told again"
    assert 1.0 - ANOMALY_ALARM.dead_band < FADED_SCORE < 1.0


def test_an_event_raises_the_default_alarm() -> None:
    asset = AssetId("P-101")
    host = AnomalyDetector(
        model_name=NAME,
        asset_type=TYPE,
        assets=[asset],
        columns=PURPOSE.columns,
        monotonic_ns=lambda: 0,
    )
    board = LimitAlarms(anomaly_alarms([asset]))
    table = TagTable.build(host.derived_tags, epoch=ConfigEpoch(1))
    host.bind(table)
    board.bind(table)
    host.activate(write_bundle(bundle()))
    raised = []
    for k, value in enumerate(later()[1]):
        rows = rows_at(k, np.array([[value]]), columns=PURPOSE.columns)
        frame = host.update(rows).frame
        assert frame is not None
        raised += [k for event in board.update(frame) if event.transition is Transition.RAISED]
    assert [100 <= k <= 110 for k in raised if k >= 50] == [True]


def test_a_checkpoint_goes_on_exactly() -> None:
    rows = later()
    expected = played(MemoryEngine(bundle().model, asset_count=2), rows)
    first, second = (MemoryEngine(bundle().model, asset_count=2) for _ in "ab")
    played(first, rows[:, :110])
    second.restore(first.checkpoint())
    np.testing.assert_array_equal(expected[:, 110:], played(second, rows[:, 110:]))
    with pytest.raises(ValueError, match="checkpoint"):
        MemoryEngine(bundle().model, asset_count=1).restore(first.checkpoint())


def test_rows_that_do_not_count_have_no_score_and_do_not_stop_the_others() -> None:
    rows = later()
    host = MemoryEngine(bundle().model, asset_count=2)
    played(host, rows[:, :50])
    counts = np.array([True, False])
    value = np.array([[rows[0, 50]], [np.nan]])
    score = host.update(50 * NS, value, counts).score
    assert np.isfinite(score).tolist() == [True, False]
    both = np.ones(2, dtype=np.bool_)
    assert np.isfinite(host.update(51 * NS, rows[:, 51:52], both).score).all()


def test_a_graph_that_is_no_memory_is_refused() -> None:
    with pytest.raises(ModelError, match="none"):
        MemoryEngine(read_bundle(model()).model, asset_count=1)
    with pytest.raises(ModelError, match="no memory"):
        MemoryEngine(constants_graph({"level": np.zeros(1)}), asset_count=1)
