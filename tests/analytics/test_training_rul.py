"""Learning remaining life: what comes out is what went in, and mistakes are named."""

from dataclasses import replace

import numpy as np
import pytest

from analytics.prognosis.remaining_life import LIFE, STATISTICS
from analytics.runtime import Session
from analytics.training.life_graph import life_graph
from analytics.training.life_learners import learn_pair
from analytics.training.rul import CAP_ROWS, PARITY_MAX, UNITS_MIN, Life, train_rul
from gateway.core.errors import ModelError
from gateway.core.rul_manifest import RulManifest
from gateway.wire.bundle import read_bundle, write_bundle
from tests.analytics.lives import COLUMNS, life, purpose, trained


def manifest() -> RulManifest:
    made = trained().bundle.manifest
    assert isinstance(made, RulManifest)
    return made


def test_the_bundle_says_what_it_was_learnt_from_and_what_it_costs() -> None:
    made = manifest()
    assert made.trained_units == 30
    assert made.trained_rows == sum(len(life(seed).time) for seed in range(30))
    assert made.metrics["conditions"] == 2
    assert made.cost is not None
    assert 0 < made.cost.row_ms_p50 < 1
    assert made.cost.size_bytes < 5_000_000


def test_a_bundle_is_read_back_as_it_was_written() -> None:
    whole = trained().bundle
    back = read_bundle(write_bundle(whole))
    assert (back.manifest, back.model, back.canary) == (whole.manifest, whole.model, None)


def test_lives_left_out_are_foretold_better_than_by_the_mean() -> None:
    """The mean of all remaining lives is off by 14 of 40 cycles."""
    assert manifest().metrics["left_out_rmse"] < 7


def test_columns_that_count_for_nothing_and_the_setting_are_named() -> None:
    text = "; ".join(trained().notes)
    assert "never change and count for nothing: still" in text
    assert "operating conditions apart: " in text


def test_the_graph_is_the_formula() -> None:
    """On drawn statistics, also where a statistic is exactly at a threshold."""
    generator = np.random.default_rng(3)
    statistics = np.round(generator.normal(size=(400, 6)), 1).astype(np.float32)
    share = np.clip(0.5 + 0.3 * statistics[:, 0] + 0.1 * statistics[:, 1] ** 2, 0, 1)
    pairs = [learn_pair(statistics[k::2], share[k::2].astype(float), seed=k) for k in range(2)]
    low, high = statistics.min(axis=0), statistics.max(axis=0)
    graph = Session(life_graph(pairs, low=low, high=high))
    wild = np.concatenate([statistics, 100 * statistics[:50]])
    by_graph = graph.run({STATISTICS: wild})[LIFE]
    by_formula = np.mean([pair.predict(np.clip(wild, low, high)) for pair in pairs], axis=0)
    assert np.abs(by_graph - by_formula).max() <= PARITY_MAX


def test_the_same_lives_give_the_same_model() -> None:
    few = [life(seed) for seed in range(4)]
    first, second = train_rul(few, purpose()), train_rul(few, purpose())
    assert first.bundle.model == second.bundle.model


def test_without_a_cap_it_looks_a_number_of_rows_ahead() -> None:
    lives = [life(seed, period=10.0) for seed in range(UNITS_MIN)]
    made = train_rul(lives, purpose(cap=None))
    assert isinstance(made.bundle.manifest, RulManifest)
    assert made.bundle.manifest.cap == 10.0 * CAP_ROWS
    assert "looks 1250 ahead" in made.notes[0]


def test_a_column_without_a_number_is_left_out() -> None:
    lives = [life(seed) for seed in range(UNITS_MIN)]
    emptied = [replace(each, value=_with(each, "flow", np.nan)) for each in lives]
    assert "flow" in "; ".join(train_rul(emptied, purpose()).notes)


def test_mistakes_are_named() -> None:
    lives = [life(seed) for seed in range(UNITS_MIN)]
    with pytest.raises(ModelError, match="2 lives are too few: at least 3"):
        train_rul(lives[:2], purpose())
    with pytest.raises(ModelError, match="no column of the lives varies"):
        train_rul([replace(each, value=np.ones_like(each.value)) for each in lives], purpose())
    short = Life(unit="young", time=lives[0].time[:5].copy(), value=lives[0].value[:5].copy())
    with pytest.raises(ModelError, match="'young' has 10 rows or fewer"):
        train_rul([*lives, short], purpose())
    blind = replace(lives[0], value=_with(lives[0], "heat", np.nan), unit="blind")
    with pytest.raises(ModelError, match="'blind' has 10 usable rows or fewer"):
        train_rul([*lives[1:], life(9), blind], purpose())


def _with(whole: Life, column: str, value: float) -> np.ndarray:
    changed = whole.value.copy()
    changed[:, COLUMNS.index(column)] = value
    return changed
